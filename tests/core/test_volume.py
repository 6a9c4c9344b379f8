"""Volume: once made, valid and unchangeable."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.errors import SettingsError

GEOMETRY = Geometry(
    (2, 3, 4),
    (5.0, 0.7, 0.7),
    (0.0, 0.0, 0.0),
    ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


def test_voxels_are_read_only() -> None:
    volume = Volume(np.zeros((2, 3, 4), np.int16), GEOMETRY)
    with pytest.raises(ValueError, match="read-only"):
        volume.hu[0, 0, 0] = 1


def test_bytes_are_refused_because_they_are_no_hounsfield_units() -> None:
    with pytest.raises(SettingsError, match="uint8"):
        Volume(np.zeros((2, 3, 4), np.uint8), GEOMETRY)  # type: ignore[arg-type]


def test_shape_must_be_the_geometrys() -> None:
    with pytest.raises(SettingsError, match="geometry"):
        Volume(np.zeros((3, 3, 4), np.int16), GEOMETRY)


def test_repr_says_what_it_is() -> None:
    text = repr(Volume(np.zeros((2, 3, 4), np.int16), GEOMETRY))
    assert text == "Volume(2 slices of 3×4, HU, 0.70×0.70×5.00 mm)"
