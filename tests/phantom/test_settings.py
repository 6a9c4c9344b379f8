"""Senseless settings are refused, and each purpose has a random stream of its own."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.errors import SettingsError
from groundglass.phantom import PhantomSettings
from groundglass.phantom.settings import stream


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "covid"},
        {"severity": 1.5},
        {"severity": float("nan")},
        {"seed": -1},
        {"matrix": 8},
        {"slice_count": 0},
        {"slice_spacing_mm": 0.0},
        {"field_of_view_mm": 5.0},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=f"PhantomSettings.{next(iter(wrong))}"):
        PhantomSettings(**wrong)  # type: ignore[arg-type]


def test_streams_repeat_and_differ_by_purpose_and_seed() -> None:
    def draw(seed: int, purpose: str) -> list[float]:
        return stream(seed, purpose).random(4).tolist()

    assert draw(1, "anatomy") == draw(1, "anatomy")
    assert draw(1, "anatomy") != draw(1, "scanner")
    assert draw(1, "anatomy") != draw(2, "anatomy")
    assert np.all(np.isfinite(draw(0, "")))
