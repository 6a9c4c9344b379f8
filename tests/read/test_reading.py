"""Any pile of files becomes a Study, with a reason for each file that was not used."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    MediaStorageDirectoryStorage,
)

from groundglass.core.study import Study
from groundglass.errors import ReadError
from groundglass.read import read_study, read_volume
from groundglass.read.sources import File, Sources
from made_ct import as_bytes, ct_series, thorax, write


def reasons(study: Study) -> dict[str, str]:
    return {rejection.what: rejection.reason for rejection in study.rejected}


def test_any_nesting_and_any_names(tmp_path: Path) -> None:
    hu = thorax()
    for index, data in enumerate(ct_series(hu)):
        folder = tmp_path / str(index % 5) / "deeper" / str(index % 3)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"no suffix {index * 7919 % 101}.txt").write_bytes(as_bytes(data))
    (series,) = read_study(tmp_path).series
    np.testing.assert_array_equal(read_volume(series).hu, hu)


def test_progress_reaches_the_number_of_files(tmp_path: Path) -> None:
    write(ct_series(thorax(5)), tmp_path)
    seen: list[tuple[int, int]] = []
    read_study(tmp_path, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(done, 5) for done in range(1, 6)]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGLosslessSV1])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_archive(tmp_path: Path, syntax: object, compression: int) -> None:
    hu = thorax()
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", compression) as out:
        for index, data in enumerate(ct_series(hu)):
            out.writestr(f"DICOM/{index}", as_bytes(data, syntax))  # type: ignore[arg-type]
        out.writestr("DICOM/readme.txt", "no image")
    study = read_study(archive)
    np.testing.assert_array_equal(read_volume(study.series[0]).hu, hu)
    assert list(reasons(study)) == ["DICOM/readme.txt"]


def test_zip_member_names_touch_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for index, data in enumerate(ct_series(thorax(4))):
            out.writestr(f"../../../escaped{index}", as_bytes(data))
    inside = tmp_path / "a" / "b" / "c" / "d"
    inside.mkdir(parents=True)
    shutil.move(archive, inside / "study.zip")
    volume = read_volume(read_study(inside / "study.zip").series[0])
    assert volume.geometry.shape[0] == 4
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["study.zip"]


def test_encrypted_zip_members_have_their_reason(tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("image", as_bytes(ct_series(thorax(3))[0]))
    raw = bytearray(archive.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    raw[6] |= 1
    archive.write_bytes(raw)
    with pytest.raises(ReadError, match="encrypted"):
        read_study(archive)


def test_single_file(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(as_bytes(ct_series()[0]))
    study = read_study(path)
    assert len(study.series[0].instances) == 1


@pytest.mark.parametrize("implicit", [True, False])
def test_file_without_preamble_and_meta(tmp_path: Path, implicit: bool) -> None:
    hu = thorax(4)
    for index, data in enumerate(ct_series(hu)):
        data["PixelData"].VR = "OW"
        buffer = io.BytesIO()
        data.save_as(buffer, implicit_vr=implicit, little_endian=True)
        (tmp_path / str(index)).write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(read_volume(read_study(tmp_path).series[0]).hu, hu)


def test_every_other_file_has_its_reason(tmp_path: Path) -> None:
    good = ct_series(thorax(4))
    write(good, tmp_path)
    whole = as_bytes(good[0])
    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID, report.Modality = BasicTextSRStorage, "1.2.3", "SR"
    index = Dataset()
    index.SOPClassUID, index.SOPInstanceUID = MediaStorageDirectoryStorage, "1.2.4"
    spaced = as_bytes(ct_series(thorax(4), SOPInstanceUID="1.2.5")[0])
    assert spaced.count(b"5.0\\5.0") == 1
    huge = ct_series(thorax(4), Rows=65535, Columns=65535, SOPInstanceUID="1.2.6")[0]
    many = ct_series(thorax(4), NumberOfFrames=2_000_000_000, SOPInstanceUID="1.2.7")[0]
    odd = {
        "empty": (b"", "empty"),
        "text": (b"Dear colleague, please find the study enclosed.", "no image format"),
        "report": (as_bytes(report), "without an image"),
        "DICOMDIR": (as_bytes(index), "DICOMDIR"),
        "cut in the pixels": (whole[:-500], "pixel data of"),
        "cut in the header": (whole[:400], ""),
        "spacing": (spaced.replace(b"5.0\\5.0", b"5.0\\5,0"), "PixelSpacing"),
        "huge": (as_bytes(huge), "65535"),
        "many": (as_bytes(many), "2000000000"),
        "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(64), "ImageStackSettings"),
        "inner.zip": (b"PK\3\4" + bytes(64), "zip"),
        "zeros": (bytes(1000), "no image format"),
    }
    for name, (content, _) in odd.items():
        (tmp_path / name).write_bytes(content)
    study = read_study(tmp_path)
    found = reasons(study)
    assert sorted(found) == sorted(odd)
    for name, (_, words) in odd.items():
        assert words in found[name], (name, found[name])
    assert len(study.series[0].instances) == 4


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(ct_series(thorax(3)), tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert set(reasons(read_study(tmp_path))) == {"pipe", "dangling"}
    with pytest.raises(ReadError, match="neither a folder nor a regular file"):
        read_study(tmp_path / "pipe")


def test_folders_that_are_not_entered_have_their_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ct_series(thorax(3)), tmp_path / "open")
    (tmp_path / "shut").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = reasons(read_study(tmp_path))
    assert "Permission denied" in found.pop("shut")
    assert "link to a folder" in found.pop("loop")
    assert found == {}


def test_copies_are_kept_once(tmp_path: Path) -> None:
    hu = thorax(5)
    write(ct_series(hu), tmp_path / "a")
    write(ct_series(hu), tmp_path / "b", JPEGLosslessSV1)  # re-sent, compressed on the way
    study = read_study(tmp_path)
    assert len(study.series[0].instances) == 5
    assert set(reasons(study)) == {f"b/im{k:04d}" for k in range(5)}
    assert all("the same image as a/" in reason for reason in reasons(study).values())


def test_copies_that_disagree_are_both_left_out(tmp_path: Path) -> None:
    datasets = ct_series(thorax(5))
    write(datasets, tmp_path)
    other = ct_series(thorax(5, seed=1))[2]
    (tmp_path / "other").write_bytes(as_bytes(other))
    study = read_study(tmp_path)
    assert len(study.series[0].instances) == 4
    assert set(reasons(study)) == {"im0002", "other"}


def test_a_header_of_any_length_is_read_whole(tmp_path: Path) -> None:
    """Wherever the first look into a file ends, in the middle of a number too."""
    data = ct_series(thorax(1))[0]
    data.add_new(0x00090010, "LO", "MADE UP")
    lengths = range(64_300, 65_000, 2)  # moves every number of the header across 64 KiB
    for length in lengths:
        data.add_new(0x00091001, "OB", bytes(length))
        data.SOPInstanceUID = f"1.2.3.{length}"
        (tmp_path / f"{length}").write_bytes(as_bytes(data))
    study = read_study(tmp_path)
    assert reasons(study) == {}
    assert len(study.series[0].instances) == len(lengths)


def test_each_file_is_opened_once_for_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ct_series(), tmp_path)
    opened: list[Path] = []
    read = Sources.read

    def counted(self: Sources, file: File, **where: int) -> bytes:
        opened.append(file.path)
        return read(self, file, **where)

    monkeypatch.setattr(Sources, "read", counted)
    study = read_study(tmp_path)
    assert len(study.series[0].instances) == len(opened) == len(set(opened))


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no file or folder"):
        read_study(tmp_path / "absent")
    with pytest.raises(ReadError, match="no usable image among 0 files"):
        read_study(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").write_text("text")
    with pytest.raises(ReadError, match=r"a\.txt and 1 more"):
        read_study(tmp_path)


def test_no_identifier_is_kept(tmp_path: Path) -> None:
    write(ct_series(thorax(3)), tmp_path)
    instance = read_study(tmp_path).series[0].instances[0]
    assert "Made^Up" not in str(instance.header)
    assert "NOBODY" not in str(instance.header)


def test_series_are_sorted_by_number(tmp_path: Path) -> None:
    for number in (7, 2, 5):
        write(ct_series(thorax(3), number=number), tmp_path / f"z{9 - number}")
    numbers = [s.instances[0].header.series_number for s in read_study(tmp_path).series]
    assert numbers == [2, 5, 7]


def test_a_deflate_bomb_is_not_unpacked(tmp_path: Path) -> None:
    data = ct_series(thorax(3))[0]
    content = as_bytes(data, DeflatedExplicitVRLittleEndian)
    plain = as_bytes(data, ImplicitVRLittleEndian)
    start = content.index(b"1.2.840.10008.1.2.1.99") + 22
    bomb = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # An element of 200 MB of zeros before everything else.
    body = bomb.compress(b"\x08\0\x01\0UN\0\0" + (200 << 20).to_bytes(4, "little"))
    body += bomb.flush(zlib.Z_FULL_FLUSH)
    body += 200 * (bomb.compress(bytes(1 << 20)) + bomb.flush(zlib.Z_FULL_FLUSH))
    (tmp_path / "bomb").write_bytes(content[:start] + body)
    (tmp_path / "plain").write_bytes(plain)
    assert len(body) < 300_000
    study = read_study(tmp_path)
    assert set(reasons(study)) == {"bomb"}
