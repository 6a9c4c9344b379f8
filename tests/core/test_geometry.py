"""Geometry: indices and millimetres agree, and turning an array never moves a voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.geometry import Geometry
from groundglass.errors import SettingsError

AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    order = draw(st.permutations([0, 1, 2]))
    signs = draw(st.tuples(*[st.sampled_from([1.0, -1.0])] * 3))
    directions = tuple(tuple(signs[k] * c for c in AXES[axis]) for k, axis in enumerate(order))
    return Geometry(
        shape=draw(st.tuples(*[st.integers(1, 5)] * 3)),
        spacing_mm=draw(st.tuples(*[st.floats(0.3, 5.0)] * 3)),
        origin_mm=draw(st.tuples(*[st.floats(-300, 300)] * 3)),
        directions=directions,  # type: ignore[arg-type]
    )


@given(geometries())
def test_turning_to_axial_keeps_every_voxel_where_it_is(geometry: Geometry) -> None:
    axial, turn = geometry.to_axial()
    labels = np.arange(np.prod(geometry.shape)).reshape(geometry.shape)
    turned = turn.apply(labels)
    assert turned.shape == axial.shape
    for index in np.ndindex(*axial.shape):
        source = np.argwhere(labels == turned[index])[0]
        assert np.allclose(
            axial.position_mm(tuple(map(float, index))),  # type: ignore[arg-type]
            geometry.position_mm(tuple(map(float, source))),  # type: ignore[arg-type]
            atol=1e-6,
        )


@given(geometries())
def test_axial_runs_feet_to_head_front_to_back_right_to_left(geometry: Geometry) -> None:
    axial, _ = geometry.to_axial()
    assert np.allclose(axial.directions, AXES)


@given(geometries())
def test_undo_is_the_inverse_of_apply(geometry: Geometry) -> None:
    _, turn = geometry.to_axial()
    array = np.random.default_rng(0).normal(size=geometry.shape)
    assert np.array_equal(turn.undo(turn.apply(array)), array)


def test_undo_slice_agrees_with_undo() -> None:
    directions = ((0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    geometry = Geometry((3, 4, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), directions)
    _, turn = geometry.to_axial()
    array = np.random.default_rng(0).normal(size=geometry.shape)
    axial = turn.apply(array)
    assert np.array_equal(turn.undo_slice(axial[2]), array[0])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"shape": (0, 4, 4)}, "shape"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing"),
        ({"spacing_mm": (1.0, float("nan"), 1.0)}, "spacing"),
        ({"directions": ((0.0, 0.3, 1.0), AXES[1], AXES[2])}, "axes"),
    ],
)
def test_what_is_no_grid_is_refused(change: dict[str, object], word: str) -> None:
    values: dict[str, object] = {
        "shape": (2, 4, 4),
        "spacing_mm": (1.0, 1.0, 1.0),
        "origin_mm": (0.0, 0.0, 0.0),
        "directions": AXES,
    }
    with pytest.raises(SettingsError, match=word):
        Geometry(**{**values, **change})  # type: ignore[arg-type]
