"""Slices of several scans between one another are told by their voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundglass.errors import AssemblyError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.assembly import refuse_alternating
from made_ct import ct_series, thorax, write


@pytest.mark.parametrize("scans", [2, 3, 4])
def test_scans_that_take_turns_are_refused(tmp_path: Path, scans: int) -> None:
    """Nothing in the headers tells them apart: another patient's every second slice."""
    hu = np.array(thorax(48))
    for turn in range(1, scans):
        hu[turn::scans] = np.roll(hu[turn::scans], 5 * turn, axis=1)
    chosen = select_chest_ct(read_study(write(ct_series(hu, spacing_mm=(5.0, 5, 5)), tmp_path)))
    with pytest.raises(AssemblyError, match="take turns"):
        read_volume(chosen)


def taking_turns(slices: int, scans: int) -> np.ndarray:
    """Random images, each of which differs from the next of its scan by less than from others."""
    rng = np.random.default_rng(3)
    images = rng.uniform(-900, 100, (scans, 64, 64))
    drift = rng.uniform(-50, 50, (slices, 64, 64))
    return np.array([images[index % scans] for index in range(slices)]) + drift


@pytest.mark.parametrize(
    ("scans", "words"),
    [(2, "the second next one"), (3, "the third next one"), (4, "the fourth next one")],
)
def test_how_many_scans_there_are_is_told(scans: int, words: str) -> None:
    with pytest.raises(AssemblyError, match=f"{words}.*as where {scans} scans lie"):
        refuse_alternating(taking_turns(24, scans).astype(np.float32))


def test_of_more_than_four_nothing_is_said() -> None:
    refuse_alternating(taking_turns(25, 5).astype(np.float32))


def test_a_few_slices_unlike_all_others_do_not_hide_it() -> None:
    rng = np.random.default_rng(0)
    hu = rng.uniform(-600, -400, (64, 64)) + rng.uniform(-30, 30, (24, 64, 64))
    hu[::2] += rng.uniform(-120, 120, (64, 64))
    hu[[5, 12, 19]] = 400
    with pytest.raises(AssemblyError, match="take turns"):
        refuse_alternating(hu.astype(np.float32))


def test_of_fewer_than_eight_slices_nothing_is_said() -> None:
    refuse_alternating(taking_turns(7, 2).astype(np.float32))
    with pytest.raises(AssemblyError, match="take turns"):
        refuse_alternating(taking_turns(8, 2).astype(np.float32))


def test_metal_and_fill_do_not_hide_that_scans_take_turns() -> None:
    """What lies beyond tissue and air counts no more than these."""
    hu = taking_turns(24, 2)
    hu[:, :32] = 3000 + 4000 * np.arange(24)[:, None, None]
    hu[:, 32:40] = -2000 - 4000 * np.arange(24)[:, None, None]
    with pytest.raises(AssemblyError, match="take turns"):
        refuse_alternating(hu.astype(np.float32))


def test_one_slice_that_moved_says_nothing_of_the_others() -> None:
    hu = np.array(thorax(30), dtype=np.float32)
    hu[11] = np.roll(hu[11], 20, axis=1)
    refuse_alternating(hu)


@pytest.mark.parametrize("noise", [0, 20, 300])
@pytest.mark.parametrize("slices", [8, 30, 200])
def test_one_scan_is_accepted_however_noisy(noise: int, slices: int) -> None:
    hu = thorax(slices) + np.random.default_rng(0).normal(0, noise, thorax(slices).shape)
    refuse_alternating(hu.astype(np.float32))


def test_constant_slices_are_accepted() -> None:
    refuse_alternating(np.zeros((20, 16, 16), np.int16))


def test_real_volumes_are_accepted(shared_data: Path) -> None:
    for path in sorted((shared_data / "lung-volumes").glob("*.npz")):
        held = np.load(path)
        hu = held["hu"] if "hu" in held else held["image"] * (1500 / 255) - 1350
        refuse_alternating(hu.astype(np.float32))
