"""Trivial statistics: about scanner and export, the same however the axes run."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.evaluate.run.trivial import NAMES, TrivialStatistics

AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def made(noise_hu: float, slices: int = 20, mean_hu: float = -300.0) -> Volume:
    rng = np.random.default_rng(1)
    hu = rng.normal(mean_hu, noise_hu, (slices, 30, 30)).astype(np.float32)
    return Volume(hu, Geometry(hu.shape, (2.5, 0.8, 0.6), (0.0, 0.0, 0.0), AXES))


def test_they_are_what_they_are_called() -> None:
    found = TrivialStatistics.of(made(20.0))
    assert (found.slices, found.spacing_mm, found.pixel_mm) == (20, 2.5, 0.6)
    assert found.mean_hu == pytest.approx(-300, abs=2)
    # Of a difference of two normal values the median size is 0.6745 · √2 of their spread.
    assert found.noise_hu == pytest.approx(20 * 0.6745 * 2**0.5, rel=0.03)
    assert len(astuple(found)) == len(NAMES)


def test_a_volume_turned_round_gives_the_same() -> None:
    volume = made(20.0, slices=7)
    turned = replace(
        volume.geometry,
        directions=(AXES[0], AXES[1], (-1.0, 0.0, 0.0)),
    )
    other = Volume(np.ascontiguousarray(volume.hu[:, :, ::-1]), turned)
    assert astuple(TrivialStatistics.of(other)) == pytest.approx(
        astuple(TrivialStatistics.of(volume))
    )


def test_padding_does_not_count_as_grey() -> None:
    volume = made(5.0)
    hu = volume.hu.copy()
    hu[:, :, :15] = -3000
    found = TrivialStatistics.of(Volume(hu, volume.geometry))
    assert found.mean_hu == pytest.approx((-300 - 1024) / 2, abs=2)
