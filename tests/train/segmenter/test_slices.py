"""Where in the lungs slices lie."""

from __future__ import annotations

import numpy as np

from groundglass.train.segmenter.slices import SlicePlace, slice_places


def test_ends_reach_beyond_the_lungs_and_into_them_in_millimetres():
    has_lung = np.zeros(60, bool)
    has_lung[10:50] = True
    places = slice_places(has_lung, 5.0)
    where = {one: [k for k, p in enumerate(places) if p is one] for one in SlicePlace}
    assert where[SlicePlace.APEX] == list(range(6, 17))  # 20 mm above to 30 mm below slice 10
    assert where[SlicePlace.BASE] == list(range(37, 55))  # 60 mm above to 25 mm below slice 49
    assert where[SlicePlace.MIDDLE] == list(range(17, 37))
    assert where[SlicePlace.OUTSIDE] == [*range(6), *range(55, 60)]


def test_a_volume_without_lung_is_all_outside():
    assert set(slice_places(np.zeros(5, bool), 5.0)) == {SlicePlace.OUTSIDE}
