"""Geometry: indices and millimetres agree, and turning an array never moves a voxel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.geometry import Geometry, Reorientation
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
def test_the_inverse_undoes_apply(geometry: Geometry) -> None:
    _, turn = geometry.to_axial()
    array = np.random.default_rng(0).normal(size=geometry.shape)
    assert np.array_equal(turn.inverse.apply(turn.apply(array)), array)


@given(geometries())
def test_only_a_turn_that_moves_nothing_is_none(geometry: Geometry) -> None:
    _, turn = geometry.to_axial()
    labels = np.arange(24).reshape(2, 3, 4)
    turned = turn.apply(labels)
    still = turned.shape == labels.shape and np.array_equal(turned, labels)
    assert turn.is_identity == still == (geometry.directions == AXES)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
@pytest.mark.parametrize("flips", list(itertools.product([False, True], repeat=3)))
def test_one_slice_is_undone_as_the_volume_is(
    order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    turn = Reorientation(order, flips)
    array = np.random.default_rng(0).normal(size=(3, 4, 5))
    axial = turn.apply(array)
    for index in range(3):
        source = turn.inverse.apply_index(index, 3)
        assert np.array_equal(turn.inverse.apply_image(axial[index]), array[source])
        assert turn.apply_index(source, 3) == index


@given(st.permutations([0, 1, 2]), st.floats(-40, 40), st.floats(-40, 40))
def test_oblique_axes_go_to_those_they_run_along_most(
    order: list[int], nod_deg: float, turn_deg: float
) -> None:
    """Turned about two of the patient's axes, by less than a half of a right angle in all."""
    if abs(nod_deg) + abs(turn_deg) > 44:
        nod_deg, turn_deg = nod_deg / 2, turn_deg / 2
    (c, s), (c2, s2) = ((np.cos(a), np.sin(a)) for a in np.radians([nod_deg, turn_deg]))
    nod = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    turned = np.array(AXES) @ nod @ np.array([[c2, -s2, 0], [s2, c2, 0], [0, 0, 1]])
    geometry = Geometry(
        (4, 5, 6),
        (3.0, 2.0, 1.0),
        (10.0, 20.0, 30.0),
        tuple(tuple(map(float, turned[axis])) for axis in order),  # type: ignore[arg-type]
    )
    axial, turn = geometry.to_axial()
    assert np.allclose(axial.directions, turned)
    assert turn.order == tuple(int(axis) for axis in np.argsort(order))
    assert turn.flips == (False, False, False)


def test_a_voxel_has_the_volume_of_its_sides() -> None:
    assert Geometry((1, 1, 1), (5.0, 0.8, 0.7), (0.0, 0.0, 0.0), AXES).voxel_ml == pytest.approx(
        0.0028
    )


@pytest.mark.parametrize("tilt", [0.0005, -0.0005])
def test_cosines_as_scanners_round_them_are_an_orientation(tilt: float) -> None:
    Geometry((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((tilt, 0.0, 1.0), *AXES[1:]))
    with pytest.raises(SettingsError, match="axes"):
        Geometry((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((4 * tilt, 0.0, 1.0), *AXES[1:]))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"shape": (0, 4, 4)}, "shape"),
        ({"shape": (2, 4, 0)}, "shape"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing"),
        ({"spacing_mm": (1.0, float("nan"), 1.0)}, "spacing"),
        ({"spacing_mm": (1.0, 1.0, float("inf"))}, "spacing"),
        ({"spacing_mm": (-1.0, 1.0, 1.0)}, "spacing"),
        ({"directions": ((0.0, 0.0, 2.0), AXES[1], AXES[2])}, "axes"),
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
