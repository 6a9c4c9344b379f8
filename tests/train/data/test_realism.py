"""What real and made lesions look like, and what is thrown out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("sklearn", reason="needs groundglass[train]")

from groundglass.train.data.realism import FEATURES, REAL, RealOrMade, SeenSlice, lesion_features


def _slice(seed: int, *, ragged: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A lung with one round lesion, smooth of outline or torn."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:128, :128] - 64.0
    lung = np.abs(rows) + np.abs(columns) < 60
    angle = np.arctan2(rows, columns)
    reach = rng.uniform(11, 16) * (1 + 0.35 * ragged * np.sin(9 * angle))
    lesion = np.hypot(rows - rng.uniform(-8, 8), columns) < reach
    hu = np.where(lung, -850.0, 40.0) + lesion * rng.uniform(300, 600)
    hu = cv2.GaussianBlur(hu.astype(np.float32), (0, 0), 0.6)
    return hu + rng.normal(0, 12, hu.shape).astype(np.float32), lung, lesion


def _seen(ragged_made: bool = True) -> list[SeenSlice]:
    return [
        SeenSlice(
            f"patient-{seed % 6}",
            "CP" if made else REAL,
            lesion_features(*_slice(seed + 100 * made, ragged=made and ragged_made)),
        )
        for seed in range(36)
        for made in (False, True)
    ]


def test_features_do_not_depend_on_the_scale_of_grey_and_the_lungs_density() -> None:
    hu, lung, lesion = _slice(1, ragged=False)
    one = lesion_features(hu, lung, lesion)
    other = lesion_features(hu * np.float32(1.15) + np.float32(60), lung, lesion)
    assert one.shape == other.shape == (1, len(FEATURES))
    relative = [k for k, name in enumerate(FEATURES) if name not in ("contrast", "area")]
    assert np.abs(one - other)[0, relative].max() < 0.35


def test_other_lesions_are_not_looked_at() -> None:
    hu, lung, lesion = _slice(1, ragged=False)
    assert len(lesion_features(hu, lung, lesion, ignored=lesion)) == 0


def test_torn_outlines_give_fakes_away_and_are_thrown_out(tmp_path: Path) -> None:
    found = RealOrMade.fit(_seen())
    assert found is not None
    assert found.auc > 0.9
    assert found.auc_low <= found.auc <= found.auc_high
    real, made = (
        [found(one.features) for one in _seen() if one.made is made] for made in (False, True)
    )
    assert sum(p > found.limit for p in made) == pytest.approx(0.1 * len(made), abs=1)
    assert max(real) < found.limit
    found.write(tmp_path / "realism.json")
    assert RealOrMade.read(tmp_path / "realism.json") == found


def test_fakes_like_real_lesions_are_not_told() -> None:
    found = RealOrMade.fit(_seen(ragged_made=False))
    assert found is not None
    assert found.auc < 0.7


def test_nothing_is_learnt_from_too_few_patients() -> None:
    assert RealOrMade.fit([one for one in _seen() if one.patient < "patient-3"]) is None
