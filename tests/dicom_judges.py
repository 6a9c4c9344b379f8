"""Programs of others that say what our DICOM files are: dicom3tools, dcmtk, dcmqi."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray


def _program(name: str) -> str:
    """Beside this Python, or of the system; dcmtk's never from the virtual environment."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=120
    )


def dciodvfy(path: Path) -> list[str]:
    """The errors David Clunie's validator finds."""
    done = _run(_program("dciodvfy"), path)
    told = done.stdout + done.stderr
    assert "Error - " in told or "Warning - " in told or told.strip(), "dciodvfy said nothing"
    return [line for line in told.splitlines() if line.startswith("Error")]


def dsrdump(path: Path) -> str:
    """A structured report as dcmtk shows it."""
    done = _run(_program("dsrdump"), "+Pl", path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_measurements(path: Path, folder: Path) -> dict[str, Any]:
    """A TID 1500 report as dcmqi reads it."""
    target = folder / "measurements.json"
    done = _run(_program("tid1500reader"), "--inputDICOM", path, "--outputMetadata", target)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(target.read_text("utf-8")))


def read_segment(path: Path, folder: Path) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """The one segment as dcmqi reads it: (slice, row, column) values, and LPS mm of the first."""
    program = _program("segimage2itkimage")
    done = _run(program, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd")
    assert done.returncode == 0, done.stdout + done.stderr
    return _read_nrrd(folder / "1.nrrd")


def read_map(path: Path, folder: Path) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """A parametric map as dcmqi reads it.

    It knows uncompressed floating point maps only: dcmtk unpacks the pixels, and the stored values
    are turned into what the map's own real world value mapping says they are.
    """
    plain = folder / "plain.dcm"
    done = _run(_program("dcmdjpls"), path, plain)
    assert done.returncode == 0, done.stdout + done.stderr
    data = pydicom.dcmread(plain)
    (mapping,) = data.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    stored = np.frombuffer(data.PixelData, "<u2").astype(np.float64)
    heat = stored * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        del data[keyword]
    data.BitsAllocated = 32
    data.add_new("FloatPixelData", "OF", heat.astype("<f4").tobytes())
    data.save_as(plain)
    program = _program("paramap2itkimage")
    done = _run(program, "--inputDICOM", plain, "--outputDirectory", folder, "-t", "nrrd")
    assert done.returncode == 0, done.stdout + done.stderr
    return _read_nrrd(folder / "pmap.nrrd")


_NUMBERS = {"short": "<i2", "unsigned short": "<u2", "float": "<f4", "double": "<f8"}


def _read_nrrd(path: Path) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    assert fields["space"] == "left-posterior-superior"
    content = gzip.decompress(body) if fields["encoding"] == "gzip" else body
    sizes = [int(size) for size in fields["sizes"].split()]
    values = np.frombuffer(content, _NUMBERS[fields["type"]]).reshape(sizes[::-1])
    origin = [float(part) for part in fields["space origin"].strip("()").split(",")]
    return values, np.array(origin)
