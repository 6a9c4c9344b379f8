"""`groundglass deidentify`: what is asked for, what is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from typer.testing import Result

from made_ct import as_bytes, ct_series

pytest.importorskip("dicomanonymizer", reason="dicom-anonymizer is in the serve extra")

Invoke = Callable[..., Result]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "site.key"
    path.write_bytes(bytes(range(32)))
    return path


def test_a_study_is_exported_and_no_identifier_told(
    invoke: Invoke, phantom_study: Path, key: Path, tmp_path: Path
) -> None:
    out = tmp_path / "export"
    done = invoke("deidentify", phantom_study, "--out", out, "--key-file", key)
    assert done.exit_code == 0, done.output
    assert "24 files of 1 study" in done.stdout
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) == 24
    for path in written:
        assert "PHANTOM" not in str(pydicom.dcmread(path).get("PatientID"))
        assert path.stem == pydicom.dcmread(path).SOPInstanceUID
    for identifier in ("Phantom^", "PHANTOM-"):
        assert identifier not in done.stdout + done.stderr


def test_what_is_left_out_is_counted_by_reason_not_by_name(
    invoke: Invoke, key: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    (folder / "Doe-1").write_bytes(as_bytes(ct_series()[0]))
    (folder / "Doe-2").write_bytes(as_bytes(ct_series(BurnedInAnnotation="YES")[1]))
    done = invoke("deidentify", folder, "--out", tmp_path / "o", "--key-file", key)
    assert done.exit_code == 0
    assert "Left out: 1 files" in done.stdout
    assert "burned in annotation" in done.stdout
    assert "Doe-2" not in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--key-file", "nosuch")])
def test_without_a_key_it_is_wrong_use(
    invoke: Invoke, phantom_study: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = invoke("deidentify", phantom_study, "--out", tmp_path / "o", *arguments)
    assert done.exit_code == 2
    assert "key-file" in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_short_key_is_refused_before_anything_is_written(
    invoke: Invoke, phantom_study: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.key"
    short.write_bytes(b"short")
    done = invoke("deidentify", phantom_study, "--out", tmp_path / "o", "--key-file", short)
    assert done.exit_code == 2
    assert "a key of 5 bytes" in done.stderr
    assert not (tmp_path / "o").exists()


def test_nothing_to_export_leaves_nothing(invoke: Invoke, key: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("mine")
    done = invoke("deidentify", tmp_path / "in", "--out", tmp_path / "o", "--key-file", key)
    assert done.exit_code == 1
    assert "no file that can be de-identified" in done.stderr
    assert not (tmp_path / "o").exists()
