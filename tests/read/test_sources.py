"""Zip archives: every member by its place, none of it believed before its checksum."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from groundglass.core.study import Instance
from groundglass.errors import ReadError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.reading import read_entries
from groundglass.read.sources import Sources, UnreadableMember, list_entries
from groundglass.read.studies import find_studies
from made_ct import STUDY_UID, as_bytes, ct_series, enhanced_ct, thorax
from made_images import nifti_bytes

OTHER = f"{STUDY_UID}.78"


def zipped(path: Path, members: list[tuple[str, bytes]], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that come twice
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["IM", "/etc/IM", "../../IM", "C:\\ct\\IM", "ct\x07\n", "d/"])
def test_members_of_one_name_are_all_read(tmp_path: Path, name: str) -> None:
    series = ct_series()
    path = zipped(tmp_path / "a.zip", [(name, as_bytes(data)) for data in series])
    study = read_study(path)
    assert study.rejected == ()
    np.testing.assert_array_equal(read_volume(select_chest_ct(study)).hu, thorax())


def test_two_studies_under_the_same_names_are_told_apart(tmp_path: Path) -> None:
    one, two = ct_series(), ct_series(thorax(seed=5), StudyInstanceUID=OTHER, number=2)
    members = [(f"IM{k:04d}", as_bytes(d)) for data in (one, two) for k, d in enumerate(data)]
    studies, rejected = find_studies([zipped(tmp_path / "flat.zip", members)])
    assert rejected == ()
    for study in studies:
        volume = read_volume(select_chest_ct(read_entries(study.entries)))
        seed = 5 if study.study_instance_uid == OTHER else 0
        np.testing.assert_array_equal(volume.hu, thorax(seed=seed))


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_large_member_is_compared_with_its_checksum_too(
    tmp_path: Path, how: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundglass.read.sources._SMALL", 1000)
    monkeypatch.setattr("groundglass.read.sources._PIECE", 700)
    content = os.urandom(100_000)
    path = zipped(tmp_path / "a.zip", [("large", content)], how)
    with Sources() as sources:
        assert sources.read(Instance(path, 0), start=999, limit=70) == content[999:1069]
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 16
    path.write_bytes(damaged)
    with Sources() as sources, pytest.raises(UnreadableMember, match="damaged"):
        sources.read(Instance(path, 0), limit=70)


def spoil(path: Path, words: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(words)] ^= 1
    path.write_bytes(content)


def test_one_damaged_member_speaks_against_the_whole_archive(tmp_path: Path) -> None:
    """The last slice, damaged in its header: without it the rest would be a shorter lung."""
    members = [(f"{k}", as_bytes(data)) for k, data in enumerate(ct_series())]
    path = zipped(tmp_path / "a.zip", [*members, ("readme", b"no image of any kind")])
    spoil(path, b"no image of any kind")
    with pytest.raises(ReadError, match=r"1 of 25 files cannot be used.*checksum does not match"):
        read_study(path)


def test_every_study_of_a_damaged_archive_has_that_reason(tmp_path: Path) -> None:
    members = [(f"a{k}", as_bytes(data)) for k, data in enumerate(ct_series())]
    members += [(f"b{k}", as_bytes(d)) for k, d in enumerate(ct_series(StudyInstanceUID=OTHER))]
    path = zipped(tmp_path / "a.zip", members)
    content = bytearray(path.read_bytes())
    content[content.index(members[-1][1]) + 5] ^= 1
    path.write_bytes(content)
    studies, _ = find_studies([path])
    assert len(studies) == 2
    for study in studies:
        with pytest.raises(ReadError, match="checksum does not match"):
            read_entries(study.entries)


def test_an_enhanced_object_in_an_archive(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [("1", as_bytes(enhanced_ct()))], zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(read_volume(read_study(path).series[0]).hu, thorax())


def test_a_length_that_swallows_members_is_noticed(tmp_path: Path) -> None:
    """In the directory, the comment's length of the second member made to cover the third."""
    path = zipped(
        tmp_path / "a.zip", [(f"{k:018d}", as_bytes(d)) for k, d in enumerate(ct_series())]
    )
    content = bytearray(path.read_bytes())
    second = [m.start() for m in re.finditer(rb"PK\x01\x02", content)][1]
    content[second + 32] = 64  # 46 bytes and a name of 18
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == len(ct_series()) - 1  # zipfile does not notice
    with pytest.raises(ReadError, match="a damaged zip archive"):
        read_study(path)


@pytest.mark.parametrize("keep", [0.1, 0.67, 0.999])
def test_an_archive_that_is_cut_off_is_called_so(tmp_path: Path, keep: float) -> None:
    path = zipped(tmp_path / "a.zip", [(f"{k}", as_bytes(d)) for k, d in enumerate(ct_series())])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    for read in (read_study, lambda path: find_studies([path])):
        with pytest.raises(ReadError, match="a zip archive that is cut off"):
            read(path)


@pytest.mark.parametrize("method", [9, 14, 93, 98])  # Deflate64 of Windows, LZMA, Zstandard, PPMd
def test_a_packing_that_is_not_known_is_called_so(tmp_path: Path, method: int) -> None:
    path = zipped(tmp_path / "a.zip", [("1", as_bytes(ct_series()[0]))])
    content = bytearray(path.read_bytes())
    content[8] = content[content.index(b"PK\1\2") + 10] = method
    path.write_bytes(content)
    with pytest.raises(ReadError, match=f"packed by method {method};.*Unpack the archive"):
        read_study(path)


def test_one_encrypted_member_speaks_against_the_whole_archive(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [(f"{k}", as_bytes(d)) for k, d in enumerate(ct_series())])
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ReadError, match="1 of 24 files are encrypted"):
        read_study(path)
    good = zipped(tmp_path / "b.zip", [(f"{k}", as_bytes(d)) for k, d in enumerate(ct_series())])
    (study,), (refused,) = find_studies([path, good])  # one archive stops no other
    assert len(study.entries) == 24
    assert "encrypted" in refused.reason


def test_names_are_listed_in_order_with_their_places(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [("b", b"1"), ("a", b"2"), ("b", b"3"), ("c/", b"")])
    entries, _ = list_entries(path)
    assert [(entry.name, entry.member) for entry in entries] == [("a", 1), ("b", 0), ("b", 2)]


def test_volume_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    one, two = (bytes(nifti_bytes(thorax(seed=seed))) for seed in (1, 2))
    study = read_study(zipped(tmp_path / "a.zip", [("ct.nii", one), ("ct.nii", two)]))
    for series, seed in zip(study.series, (1, 2), strict=True):
        np.testing.assert_array_equal(read_volume(series).hu, thorax(seed=seed))
