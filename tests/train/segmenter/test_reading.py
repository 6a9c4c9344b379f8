"""Marked slices of every form are read with where they lie and what is ill in them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.cohort import Case
from groundglass.prepare import Recipe
from groundglass.train.data.cache import CacheSettings
from groundglass.train.segmenter.reading import read_lung_slices, read_whole_volume
from groundglass.train.segmenter.slices import LungSlice, SliceForm, SlicePlace

SIZE = 64


def read(folder: Path, *cases: Case) -> tuple[list[LungSlice], list[str]]:
    found, excluded = read_lung_slices(
        cases, 3, Recipe(image_size=SIZE), CacheSettings(folder / "kept", 1), lambda *_: None
    )
    return found, [one.reason for one in excluded]


@pytest.fixture
def whole(tmp_path: Path) -> Case:
    """30 slices of 5 mm, lung from 8 to 21, a lesion in slice 10, the truth of slice 12 wrong."""
    lung, lesion = np.zeros((2, 30, 128, 128), bool)
    lung[8:22, 30:90, 20:60] = True
    lesion[10, 40:60, 20:40] = True
    hu = np.where(lung, -850, 40).astype(np.int16)
    path = tmp_path / "v.npz"
    np.savez(path, hu=hu, lung=lung, lesion=lesion, spacing_mm=np.array([5.0, 1.5, 1.5]))
    extra = {"mask": str(path), "lesion_mask": str(path), "faulty_slices": "12"}
    return Case("p", path, "CP", "train", "lung-volumes", 2, extra)


def test_every_slice_of_a_volume_but_the_faulty_ones_is_taken(whole: Case, tmp_path: Path):
    found, excluded = read(tmp_path, whole)
    assert len(found) == 29
    assert not excluded
    assert {one.form for one in found} == {SliceForm.VOLUME}
    assert found[0].place is SlicePlace.OUTSIDE
    assert found[7].place is SlicePlace.APEX
    assert found[20].place is SlicePlace.BASE  # slice 21: the faulty one is not counted
    assert [k for k, one in enumerate(found) if one.lesion.any()] == [10]
    assert found[10].lung.shape == (SIZE, SIZE)
    assert found[10].lung.sum() == pytest.approx(30 * 20, rel=0.1)


def test_a_volume_in_the_square_keeps_its_millilitres(whole: Case):
    volume = read_whole_volume(whole, SIZE)
    ml = volume.lung.sum() * np.prod(volume.spacing_mm) / 1000
    assert ml == pytest.approx(14 * 60 * 40 * 5 * 1.5**2 / 1000, rel=0.05)
    assert np.flatnonzero(~volume.trusted).tolist() == [12]


def test_a_slice_with_a_lesion_mask_is_an_equalised_one(tmp_path: Path):
    grey = np.full((SIZE, SIZE), 180, np.uint8)
    lungs, lesions = np.zeros((2, SIZE, SIZE), np.uint8)
    lungs[10:40, 10:40], lesions[12:20, 12:20] = 255, 255
    grey[lungs > 0] = 50
    for name, image in (("ct", grey), ("lungs", lungs), ("lesions", lesions)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    extra = {"mask": "lungs.png", "lesion_mask": "lesions.png"}
    case = Case("p", tmp_path / "ct.png", "CP", "train", "lesion-slices", 2, extra)
    ((one,), _) = read(tmp_path, case)
    assert (one.form, one.place) == (SliceForm.EQUALISED, SlicePlace.MIDDLE)
    assert np.array_equal(one.lesion, lesions > 0)


def test_what_cannot_be_read_is_set_aside(whole: Case, tmp_path: Path):
    whole.study.write_bytes(b"no npz")
    found, (reason,) = read(tmp_path, whole)
    assert found == []
    assert "npz" in reason
