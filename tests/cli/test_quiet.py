"""What libraries think of an input stays among them: no warning, no UID on the terminal."""

from __future__ import annotations

import re
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom import config
from pydicom.uid import JPEGLosslessSV1

import made_ct
from groundglass.core.quiet import quietly
from made_ct import as_bytes, ct_series, encapsulated, thorax

Command = Callable[..., "subprocess.CompletedProcess[str]"]
_BAD = "1.2.826.0.17.anonymous"
_UID = re.compile(r"\d+(\.\d+){5,}|anonymous")
#: What libraries say of such files: Python's and OpenCV's warnings, libpng, nibabel, pydicom.
_TALK = re.compile(r"[Ww]arning|WARN|libpng|form_code|Invalid value|Traceback|site-packages")


def _odd_series() -> list[pydicom.Dataset]:
    """Every slice with values against the standard, as scanners and anonymisers write them."""
    datasets = ct_series(thorax(24))
    with config.disable_value_validation(), quietly():
        for index, data in enumerate(datasets):
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
                setattr(data, keyword, _BAD)
            data.SOPInstanceUID = f"{_BAD}.{index}"
            data.SpecificCharacterSet = "NO SUCH SET"
            data.StudyDate, data.PatientBirthDate, data.PatientAge = "yesterday", "1957", "old"
            data.PatientID, data.SeriesDescription = "x" * 90, "y" * 90
            data.KVP = 120
    return datasets


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every library that reads it finds something to say."""
    folder = tmp_path_factory.mktemp("odd")
    datasets = _odd_series()
    with config.disable_value_validation(), quietly():
        for index, data in enumerate(datasets):
            (folder / f"{index:03d}").write_bytes(as_bytes(data))
        datasets[3].SOPClassUID = _BAD
        (folder / "class").write_bytes(as_bytes(datasets[3]))
        frame = made_ct.encode(datasets[4], JPEGLosslessSV1)
        (folder / "cut").write_bytes(encapsulated(datasets[4], [frame[:500]], JPEGLosslessSV1))
        with zipfile.ZipFile(folder / "twice.zip", "w") as archive:
            archive.writestr("a", as_bytes(datasets[5]))
            archive.writestr("a", as_bytes(datasets[6]))
    whole = (folder / "005").read_bytes()
    (folder / "half").write_bytes(whole[: len(whole) // 3])
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4)), folder / "code.nii")
    header = bytearray((folder / "code.nii").read_bytes())
    header[252:256] = struct.pack("<hh", 9, 9)  # qform_code, sform_code: nibabel logs what it mends
    (folder / "code.nii").write_bytes(header)
    png = cv2.imencode(".png", np.zeros((64, 64), np.uint16))[1].tobytes()
    (folder / "cut.png").write_bytes(png[:60])
    return folder


def _is_quiet(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode in (0, 1), done.stderr
    told = done.stdout + done.stderr
    assert told
    assert not _TALK.search(told), told
    assert not _UID.search(done.stderr), done.stderr


@pytest.mark.parametrize("name", ["", "code.nii", "twice.zip", "class", "half", "cut.png"])
def test_run(command: Command, odd: Path, bundle: Path, tmp_path: Path, name: str) -> None:
    source = odd / name if name else odd
    _is_quiet(command("run", source, "--out", tmp_path / "out", "--bundle", f"{bundle}/"))


def test_batch(command: Command, odd: Path, bundle: Path, tmp_path: Path) -> None:
    _is_quiet(command("batch", odd, "--out", tmp_path / "out", "--bundle", f"{bundle}/"))


def test_cohort_check(command: Command, odd: Path, tmp_path: Path) -> None:
    rows = [f"p{index},CP,train,{odd / name}" for index, name in enumerate(("", "code.nii", "cut"))]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["patient,label,split,study", *rows]) + "\n")
    _is_quiet(command("cohort", "check", table))


def test_deidentify(command: Command, odd: Path, tmp_path: Path) -> None:
    pytest.importorskip("dicomanonymizer")
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    _is_quiet(command("deidentify", odd, "--out", tmp_path / "out", "--key-file", key))
