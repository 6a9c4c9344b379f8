"""Images are measured: what is altered turns its own check red, what is not stays green."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from groundglass.core.result import CheckName, InputCheck
from groundglass.core.volume import Volume
from groundglass.phantom import Phantom, PhantomSettings, make_phantom
from groundglass.prepare import Coverage, InputRanges, check_input, out_of_range

#: A phantom and its lungs, altered.
Chest = tuple[Volume, np.ndarray]
SEEDS = (1, 2, 7)


@cache
def phantom(seed: int) -> Phantom:
    """A whole chest without contrast medium."""
    settings = PhantomSettings(
        "CP", 0.6, seed, matrix=192, slice_count=60, slice_spacing_mm=5.0, field_of_view_mm=400.0
    )
    return make_phantom(settings)


@pytest.fixture(params=SEEDS)
def chest(request: pytest.FixtureRequest) -> Chest:
    made = phantom(request.param)
    return made.volume, made.lung


def checks(chest: Chest) -> dict[CheckName, InputCheck]:
    volume, lung = chest
    found = check_input(volume, lung, lung, Coverage.of(volume, lung, lung))
    return {check.name: check for check in found}


def red(chest: Chest) -> set[CheckName]:
    return {name for name, check in checks(chest).items() if not check.ok}


def altered(chest: Chest, hu: np.ndarray) -> Chest:
    volume, lung = chest
    return replace(volume, hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16)), lung


def iodine(chest: Chest) -> Chest:
    """An arterial phase: all that is blood between the lungs, and muscle with it."""
    hu = chest[0].hu.astype(np.float32)
    return altered(chest, np.where((hu > 0) & (hu < 100), hu + 400, hu))


def noise(chest: Chest) -> Chest:
    hu = chest[0].hu
    return altered(chest, hu + np.random.default_rng(3).normal(0, 220, hu.shape))


def metal(chest: Chest) -> Chest:
    """Rods beside the spine."""
    hu = chest[0].hu.copy()
    rows, columns = (np.flatnonzero(chest[1].any(axis=axes)) for axes in ((0, 2), (0, 1)))
    hu[:, rows[-1] - 14 : rows[-1] - 8, columns.mean().astype(int)] = 3071
    return altered(chest, hu)


def breathing(chest: Chest) -> Chest:
    """Every slice from where a breath of 10 mm had moved it, lungs with it."""
    volume, lung = chest
    step = volume.geometry.spacing_mm[0]
    z = np.arange(len(lung)) * step
    moved = np.clip(np.rint((z + 15 * np.sin(2 * np.pi * z / 40)) / step), 0, len(z) - 1)
    return replace(volume, hu=volume.hu[moved.astype(int)]), lung[moved.astype(int)]


def far_apart(chest: Chest) -> Chest:
    volume, lung = chest
    near = volume.geometry
    return replace(volume, geometry=replace(near, spacing_mm=(25.0, *near.spacing_mm[1:]))), lung


def cropped(chest: Chest) -> Chest:
    """A reconstruction of 220 mm, which cuts both lungs."""
    volume, lung = chest
    side = round(220 / volume.geometry.spacing_mm[1])
    first = (volume.hu.shape[1] - side) // 2
    part = slice(first, first + side)
    hu = np.ascontiguousarray(volume.hu[:, part, part])
    return Volume(hu, replace(volume.geometry, shape=hu.shape)), lung[:, part, part]


def cut_off(chest: Chest) -> Chest:
    """Without the slices below the largest lung area."""
    volume, lung = chest
    first = int(lung.sum(axis=(1, 2)).argmax())
    hu = volume.hu[first:]
    return Volume(hu, replace(volume.geometry, shape=hu.shape)), lung[first:]


def one_removed(chest: Chest) -> Chest:
    volume, lung = chest
    gone = lung.copy()
    gone[:, :, lung.shape[2] // 2 :] = False
    hu = volume.hu.copy()
    hu[gone] = 35
    return altered((volume, lung & ~gone), hu)


ALTERED: tuple[tuple[Callable[[Chest], Chest], set[CheckName]], ...] = (
    (iodine, {CheckName.CONTRAST_PHASE}),
    (noise, {CheckName.NOISE}),
    (metal, {CheckName.METAL}),
    (breathing, {CheckName.MOTION}),
    (far_apart, {CheckName.SLICE_SPACING}),
    (cropped, {CheckName.FIELD_OF_VIEW, CheckName.CUT_LUNGS}),
    (cut_off, {CheckName.SCANNED_LUNGS}),
    (one_removed, {CheckName.SMALLER_LUNG}),
)


def test_a_whole_chest_is_answered(chest: Chest) -> None:
    assert red(chest) == set()
    assert set(checks(chest)) == set(CheckName)
    assert out_of_range(list(checks(chest).values())) is None


@pytest.mark.parametrize(
    ("alter", "expected"), ALTERED, ids=lambda one: getattr(one, "__name__", "")
)
def test_what_is_altered_turns_its_check_red(
    chest: Chest, alter: Callable[[Chest], Chest], expected: set[CheckName]
) -> None:
    assert red(alter(chest)) == expected


def test_every_check_can_turn_red() -> None:
    assert set().union(*(expected for _, expected in ALTERED)) == set(CheckName)


def test_the_reason_names_the_check_with_found_and_expected(chest: Chest) -> None:
    found = checks(noise(chest))
    reason = out_of_range(list(found.values()))
    value = found[CheckName.NOISE].value
    assert reason == (
        "The images are not such as the networks know. Noise: HU of noise in soft tissue, "
        f"{value:.3g} found, at most 150 expected."
    )


def test_what_misleads_refuses_findings_and_what_was_not_seen_does_not(chest: Chest) -> None:
    not_seen = {CheckName.CUT_LUNGS, CheckName.SCANNED_LUNGS, CheckName.SMALLER_LUNG}
    found = checks(chest).values()
    assert {check.name for check in found if not check.refuses_findings} == not_seen


@pytest.mark.parametrize("name", [CheckName.NOISE, CheckName.CONTRAST_PHASE])
def test_what_cannot_be_measured_refuses_nothing(chest: Chest, name: CheckName) -> None:
    """A body of fat and bone has no soft tissue between its lungs."""
    volume, lung = chest
    hu = np.where(volume.hu > -150, 900, volume.hu)
    check = checks(altered((volume, lung), hu))[name]
    assert check.value is None
    assert check.ok
    assert "not measured" in check.text


@pytest.mark.parametrize("sigma", [10.0, 40.0])
def test_noise_is_its_deviation_at_the_networks_pixels(sigma: float) -> None:
    volume, lung = phantom(1).volume, phantom(1).lung
    flat = np.where(lung, -850.0, 40.0) + np.random.default_rng(1).normal(0, sigma, lung.shape)
    found = checks(altered((volume, lung), flat))[CheckName.NOISE].value
    assert found == pytest.approx(sigma, rel=0.05)


def test_noise_finer_than_the_networks_pixels_is_averaged() -> None:
    """Four pixels in one, as the networks see a slice of 512."""
    volume, lung = phantom(1).volume, phantom(1).lung
    fine = np.stack([cv2.resize(one.view(np.uint8), None, fx=3, fy=3) for one in lung]) > 0
    hu = np.where(fine, -850.0, 40.0) + np.random.default_rng(1).normal(0, 40, fine.shape)
    slice_mm, row_mm, column_mm = volume.geometry.spacing_mm
    geometry = replace(
        volume.geometry, shape=fine.shape, spacing_mm=(slice_mm, row_mm / 3, column_mm / 3)
    )
    found = checks((Volume(np.rint(hu).astype(np.int16), geometry), fine))[CheckName.NOISE].value
    assert found == pytest.approx(40 / 2, rel=0.1)


def test_ranges_are_settings(chest: Chest) -> None:
    volume, lung = chest
    seen = Coverage.of(volume, lung, lung)
    found = check_input(volume, lung, lung, seen, InputRanges(field_mm=(450.0, 600.0)))
    assert [check.name for check in found if not check.ok] == [CheckName.FIELD_OF_VIEW]


@pytest.mark.parametrize(
    ("least", "most", "values"),
    [
        (None, 2.0, {2.0: True, 2.01: False, -9.0: True}),
        (1.0, None, {1.0: True, 0.99: False, 9.0: True}),
        (1.0, 2.0, {1.0: True, 2.0: True, 0.9: False, 2.1: False}),
    ],
)
def test_a_range_includes_its_ends(
    least: float | None, most: float | None, values: dict[float, bool]
) -> None:
    for value, ok in values.items():
        assert InputCheck(CheckName.METAL, "ml", value, least, most, refuses_findings=True).ok is ok
