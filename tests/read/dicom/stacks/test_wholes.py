"""A part of a stack is never judged, and what tears it is said once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from groundglass.errors import AssemblyError
from groundglass.read import read_study, read_volume, select_chest_ct
from made_ct import SLICES, STUDY_UID, ct_series, thorax, write


def refusal(datasets: list[Dataset], folder: Path) -> str:
    with pytest.raises(AssemblyError) as caught:
        select_chest_ct(read_study(write(datasets, folder)))
    return str(caught.value)


def with_its_own(keyword: str) -> list[Dataset]:
    datasets = ct_series()
    for index, data in enumerate(datasets):
        setattr(data, keyword, f"{STUDY_UID}.44.{index}")
    return datasets


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("SeriesInstanceUID", "each image has a Series Instance UID of its own"),
        ("FrameOfReferenceUID", "differ in Frame of Reference UID"),
        ("StudyInstanceUID", "name 24 studies"),
    ],
)
def test_a_uid_of_its_own_in_every_file_is_said_once(
    tmp_path: Path, keyword: str, words: str
) -> None:
    told = refusal(with_its_own(keyword), tmp_path)
    assert told.count(words) == 1
    assert STUDY_UID not in told
    assert len(told) < 500


@pytest.mark.parametrize("at", [1, 12, 23])
def test_one_stack_in_two_series(tmp_path: Path, at: int) -> None:
    datasets = ct_series()
    for data in datasets[at:]:
        data.SeriesInstanceUID, data.SeriesNumber = f"{STUDY_UID}.44", 2
    told = refusal(datasets, tmp_path)
    assert "make one stack of 24 slices together" in told
    assert "several series" in told


def test_another_series_may_go_on_where_this_one_ends(tmp_path: Path) -> None:
    """An abdomen below the chest is described as another thing."""
    abdomen = ct_series(number=2, SeriesDescription="Abdomen")
    for data in abdomen:
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [x, y, float(z) - SLICES * 10.0]
    write(abdomen, tmp_path / "a")
    write(ct_series(), tmp_path / "b")
    chosen = select_chest_ct(read_study(tmp_path))
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())


def test_a_part_loses_against_the_whole_of_its_series(tmp_path: Path) -> None:
    """However much better its kernel is."""
    part = ct_series(ConvolutionKernel="B70f")[:20]
    for index, data in enumerate(part):
        data.SOPInstanceUID = f"{STUDY_UID}.88.{index}"
    chosen = select_chest_ct(read_study(write(ct_series() + part, tmp_path)))
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())
    (rejection,) = chosen.rejected
    assert "covers 190 of 230 mm" in rejection.reason
    assert "kernel" in rejection.reason


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("PixelSpacing", "no usable Pixel Spacing in instance number 13"),
        ("ImageOrientationPatient", "no usable Image Orientation (Patient) in instance number 13"),
        ("ImagePositionPatient", "in instance number 13"),
    ],
)
def test_a_slice_without_a_place_is_no_gap(tmp_path: Path, keyword: str, words: str) -> None:
    datasets = ct_series()
    delattr(datasets[12], keyword)
    with pytest.raises(Exception, match="Found") as caught:
        select_chest_ct(read_study(write(datasets, tmp_path)))
    assert words in str(caught.value)
    assert "missing slices" not in str(caught.value)


def test_a_damaged_file_is_missing_from_its_series(tmp_path: Path) -> None:
    """At the end of the stack nothing else would show it."""
    files = sorted(write(ct_series(), tmp_path).iterdir())
    files[-1].write_bytes(files[-1].read_bytes()[:-1000])
    with pytest.raises(
        AssemblyError, match=r"1 image that is or may be of it cannot.*pixel data of"
    ):
        select_chest_ct(read_study(tmp_path))
    write(ct_series(number=2), tmp_path / "other")
    chosen = select_chest_ct(read_study(tmp_path))
    assert chosen.instances[0].attributes["SeriesNumber"] == 2


@pytest.mark.parametrize("last", [b"MONOCHROME2", b"B40f"], ids=["after its UIDs", "before"])
def test_a_header_cut_off_may_be_of_any_series(tmp_path: Path, last: bytes) -> None:
    files = sorted(write(ct_series(), tmp_path).iterdir())
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: whole.index(last) + len(last)])
    with pytest.raises(AssemblyError, match=r"cannot be used.*ends before its pixels"):
        select_chest_ct(read_study(tmp_path))


def test_a_damaged_copy_of_a_sound_image_does_no_harm(tmp_path: Path) -> None:
    files = sorted(write(ct_series(), tmp_path).iterdir())
    (tmp_path / "again").write_bytes(files[-1].read_bytes()[:-1000])
    np.testing.assert_array_equal(read_volume(select_chest_ct(read_study(tmp_path))).hu, thorax())


def test_copies_that_differ_are_missing_from_their_series(tmp_path: Path) -> None:
    datasets = ct_series()
    copy = ct_series(thorax(seed=1))[-1]
    with pytest.raises(AssemblyError, match="2 images that are or may be of it cannot be used"):
        select_chest_ct(read_study(write([*datasets, copy], tmp_path)))
