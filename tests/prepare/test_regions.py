"""Regions joined slice by slice are those of 3-D labelling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from groundglass.prepare.regions import Regions


def regions_of(mask: np.ndarray) -> Regions:
    return Regions.of(lambda index: mask[index], mask.shape)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.35, 0.6, 1.0])
def test_regions_are_those_of_labelling_in_3d(share: float) -> None:
    mask = np.random.default_rng(int(share * 100)).random((9, 24, 31)) < share
    regions = regions_of(mask)
    expected, count = ndimage.label(mask)
    parts = regions.first[:-1, None, None] + regions.labels
    found = regions.region[parts]
    assert np.array_equal(found != 0, mask)
    assert len(np.unique(found[mask])) == count
    pairs = np.unique(np.stack([found[mask], expected[mask]]), axis=1)
    assert pairs.shape[1] == count


def test_a_region_that_turns_back_is_one() -> None:
    mask = np.zeros((6, 5, 5), dtype=bool)
    mask[:, 0, 0] = mask[:, 0, 4] = True  # two columns
    mask[5, 0, :] = True  # joined at the last slice only
    regions = regions_of(mask)
    assert len(np.unique(regions.region)) == 2


def test_sums_and_selections_are_by_region() -> None:
    mask = np.zeros((4, 8, 8), dtype=bool)
    mask[:2, 1:3, 1:3] = True  # 8 voxels
    mask[:, 5:7, 5:8] = True  # 24 voxels
    regions = regions_of(mask)
    size = np.concatenate([np.bincount(labels.ravel()) for labels in regions.labels]).astype(float)
    total = regions.total(size)
    assert sorted(total[1:][total[1:] > 0]) == [8.0, 24.0]
    large = np.stack([regions.where(total == 24.0, index) for index in range(4)])
    assert large.sum() == 24
    assert not large[:, :4].any()
    assert np.array_equal(regions.sizes(), np.where(np.arange(len(total)) == 0, 0, total))
    assert np.array_equal(regions.mask(total == 24.0), large)


def test_slices_too_large_for_16_bits_are_numbered_in_32() -> None:
    mask = np.zeros((2, 512, 512), dtype=bool)
    mask[:, ::2, ::2] = True  # 65,536 parts a slice, one more than 16 bits hold
    regions = regions_of(mask)
    assert regions.region.max() == 65536
    assert np.array_equal(regions.mask(np.arange(len(regions.region)) > 0), mask)
    assert (regions.sizes()[1:65537] == 2).all()
    small = regions_of(mask[:, :256, :256])
    assert small.labels.dtype == np.uint16  # half the memory, where they do


def test_more_parts_than_a_table_holds_are_selected_too() -> None:
    mask = np.zeros((2, 64, 64), dtype=bool)
    mask[:, ::2, ::2] = True  # 1024 single pixels a slice
    regions = regions_of(mask)
    kept = np.zeros(len(regions.region), dtype=bool)
    last = regions.region[regions.first[1] - 1]
    kept[last] = True
    assert np.argwhere(regions.where(kept, 1)).tolist() == [[62, 62]]


def test_nothing_has_no_region() -> None:
    regions = regions_of(np.zeros((3, 4, 4), dtype=bool))
    assert not regions.region.any()
    assert not regions.where(np.ones(3, dtype=bool), 0).any()
