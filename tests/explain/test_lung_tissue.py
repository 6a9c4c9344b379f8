"""HU and lungs under a map: where the letterbox puts them, and moved as the image is."""

from __future__ import annotations

import numpy as np

from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.explain import SeenScan
from groundglass.explain.rigid_transform import RigidTransform


def scan() -> SeenScan:
    """Slices twice as wide as high, a bright spot in each, lungs in the middle of the square."""
    hu = np.full((3, 64, 128), -870, np.int16)
    hu[:, 32:36, 20:24] = 100
    lung = np.zeros((3, 64, 64), np.bool_)
    lung[:, 20:44, 4:60] = True
    geometry = Geometry(
        hu.shape,
        (5.0, 2.0, 2.0),
        (0.0, 0.0, 0.0),
        ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return SeenScan(Volume(hu, geometry), lung)


def test_slices_lie_in_the_square_as_the_networks_see_them() -> None:
    seen = scan()
    hu, lung = seen.tissue(1).on_square()
    assert hu.shape == lung.shape == (64, 64)
    assert seen.tissue(1).side_mm == 256.0
    assert hu[0, 0] == -1024  # above the slice
    assert hu[16 + 16, 10] == 100
    assert np.array_equal(lung, seen.lung[1])
    assert list(np.abs(np.diff(seen.positions_mm))) == [5.0, 5.0]


def test_what_lies_under_a_moved_image_moves_with_it() -> None:
    seen = scan()
    move = RigidTransform(shift_px=(40.0, -20.0))  # 10 and 5 pixels of this square
    hu, lung = seen.tissue(0).moved(move).on_square()
    there, _ = seen.tissue(0).on_square()
    assert hu[32 - 5, 10 + 10] == there[32, 10]
    assert np.array_equal(lung[15:39, 14:64], seen.lung[0][20:44, 4:54])
    assert not lung[:, :14].any()
