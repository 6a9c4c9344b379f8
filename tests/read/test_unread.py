"""What is not read is called what it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from groundglass.errors import ReadError
from groundglass.read import read_study
from groundglass.read.studies import find_studies
from made_ct import as_bytes, ct_series, thorax
from made_images import metaimage


def _tar(mode: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        content = as_bytes(ct_series()[0])
        about = tarfile.TarInfo("IM1")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return packed.getvalue()


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("IM1", as_bytes(ct_series()[0]))
    return packed.getvalue()


def _iso() -> bytes:
    return bytes(0x8000) + b"\1CD001\1" + bytes(2048)


_DICOM = as_bytes(ct_series()[0])
_PLANE = np.zeros((16, 16), np.uint16)
KINDS = {
    "tar": (_tar("w"), "a tar archive"),
    "tar.gz": (_tar("w:gz"), "gzip-compressed file that holds a tar archive"),
    "tar.bz2": (_tar("w:bz2"), "a bzip2-compressed file"),
    "tar.xz": (_tar("w:xz"), "an xz-compressed file"),
    "dcm.gz": (gzip.compress(_DICOM), "a gzip-compressed DICOM file"),
    "dcm.gz of two members": (
        gzip.compress(_DICOM[:999]) + gzip.compress(_DICOM[999:]),
        "a gzip-compressed DICOM file",
    ),
    "dcm.bz2": (bz2.compress(_DICOM), "a bzip2-compressed file"),
    "dcm.xz": (lzma.compress(_DICOM), "an xz-compressed file"),
    "dcm.zst": (imagecodecs.zstd_encode(_DICOM), "a Zstandard-compressed file"),
    "mha.gz": (gzip.compress(metaimage(thorax(3))), "a gzip-compressed MetaImage file"),
    "text.gz": (gzip.compress(b"text"), "gzip-compressed file that holds no NIfTI volume"),
    "cut.gz": (gzip.compress(b"text" * 99)[:-9], "compressed data that are damaged"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99), "a 7z archive"),
    "rar": (b"Rar!\x1a\x07\1\0" + bytes(99), "a RAR archive"),
    "iso": (_iso(), "an image of a CD or DVD"),
    "zip": (_zip(), "a zip archive among the files"),
    "zip cut": (_zip()[:-30], "a zip archive that is cut off"),
    "nrrd": (b"NRRD0004\ntype: short\n", "an NRRD file"),
    "npy": (b"\x93NUMPY\1\0" + bytes(99), "a NumPy array"),
    "jp2": (imagecodecs.jpeg2k_encode(_PLANE, codecformat="jp2"), "a JPEG 2000 image"),
    "jpegls": (imagecodecs.jpegls_encode(_PLANE), "a JPEG-LS image"),
    "pdf": (b"%PDF-1.7\n", "a PDF document"),
    "html": (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
    "analyze": (struct.pack("<i", 348) + bytes(344), "an Analyze 7.5 header"),
    "text": (b"Dear colleague", "no image format"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_called_what_it_is(tmp_path: Path, kind: str) -> None:
    content, words = KINDS[kind]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(content)
    for read in (read_study, lambda path: find_studies([path])):
        with pytest.raises(ReadError) as refused:
            read(tmp_path / "in")
        assert words in str(refused.value)


def test_a_zip_inside_a_zip_is_called_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", _zip())
    with pytest.raises(ReadError, match="a zip archive inside a zip archive"):
        read_study(tmp_path / "outer.zip")
