"""Slices are drawn by the shares of their forms, whatever their numbers; ends more often."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.train.segmenter.drawing import draw_probabilities
from groundglass.train.segmenter.slices import LungSlice, SliceForm, SlicePlace
from groundglass.train.settings import DrawSettings

VOLUME, SINGLE, PHANTOM = SliceForm.VOLUME, SliceForm.SINGLE, SliceForm.PHANTOM
SETTINGS = DrawSettings(volumes=0.6, singles=0.3, phantoms=0.1)


def test_forms_share_as_set_and_those_that_are_missing_leave_theirs_to_the_others(make_slice):
    slices = [make_slice(2, VOLUME)] * 50 + [make_slice(k, SINGLE) for k in range(3, 13)]
    found = draw_probabilities(slices, SETTINGS)
    assert found.sum() == pytest.approx(1)
    assert found[:50].sum() == pytest.approx(0.6 / 0.9)
    assert np.allclose(found[50:], 0.3 / 0.9 / 10)


def test_a_volume_of_many_slices_is_drawn_as_often_as_one_of_few(make_slice):
    slices = [make_slice(2)] * 40 + [make_slice(3)] * 10
    found = draw_probabilities(slices, SETTINGS)
    assert found[:40].sum() == pytest.approx(found[40:].sum())


@pytest.mark.parametrize(
    ("place", "times"), [("apex", 1.6), ("base", 2.2), ("outside", 0.35), ("middle", 1.0)]
)
def test_the_ends_of_a_volume_weigh_more(make_slice, place: str, times: float):
    slices: list[LungSlice] = [make_slice(), make_slice(place=SlicePlace(place))]
    middle, other = draw_probabilities(slices, SETTINGS)
    assert other / middle == pytest.approx(times)
