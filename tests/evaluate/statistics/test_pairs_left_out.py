"""The leave-pair-out area: the brute-force definition, fair with nothing to know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from groundglass.evaluate.statistics.pairs_left_out import pairs_left_out_area


def by_definition(numbers: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Fisher's discriminant fitted anew for each pair."""
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    won = 0.0
    pairs = [(i, j) for i in np.flatnonzero(positive) for j in np.flatnonzero(~positive)]
    for i, j in pairs:
        rest = np.delete(np.arange(len(positive)), [i, j])
        own, others = scaled[rest][positive[rest]], scaled[rest][~positive[rest]]
        around = np.concatenate([own - own.mean(axis=0), others - others.mean(axis=0)])
        within = around.T @ around / (len(rest) - 2) + 0.1 * np.eye(scaled.shape[1])
        rule = np.linalg.solve(within, own.mean(axis=0) - others.mean(axis=0))
        ahead = float((scaled[i] - scaled[j]) @ rule)
        won += 1.0 if ahead > 0 else 0.5 if ahead == 0 else 0.0
    return won / len(pairs)


@given(st.integers(0, 10**6), st.integers(5, 9), st.integers(5, 9), st.integers(1, 4))
@settings(max_examples=25)
def test_it_is_the_discriminant_fitted_without_each_pair(
    seed: int, own: int, others: int, many: int
) -> None:
    rng = np.random.default_rng(seed)
    positive = np.arange(own + others) < own
    numbers = rng.normal(size=(own + others, many)) + positive[:, None] * rng.normal(size=many)
    found = pairs_left_out_area(numbers, positive)
    assert found is not None
    assert found[0] == pytest.approx(by_definition(numbers, positive))
    assert found[1].low <= found[0] <= found[1].high


def test_with_nothing_to_know_it_is_one_half_on_the_mean() -> None:
    """Leaving out one at a time and pooling, it would lie well below."""
    rng = np.random.default_rng(0)
    positive = np.arange(16) < 8
    areas = [pairs_left_out_area(rng.normal(size=(16, 5)), positive) for _ in range(400)]
    mean = np.mean([one[0] for one in areas if one is not None])
    assert mean == pytest.approx(0.5, abs=0.025)


def test_what_tells_all_apart_gives_one_whatever_its_unit() -> None:
    rng = np.random.default_rng(2)
    positive = np.arange(20) < 10
    numbers = np.stack([np.where(positive, 300, 60) + rng.normal(size=20), np.ones(20)], axis=1)
    for unit in (1.0, 1e-6, 1e6):
        found = pairs_left_out_area(numbers * unit, positive)
        assert found is not None
        assert found[0] == 1.0
        assert found[1].low < 1.0


def test_few_patients_and_constant_numbers_give_none() -> None:
    numbers = np.arange(18.0).reshape(9, 2)
    assert pairs_left_out_area(numbers, np.arange(9) < 4) is None
    assert pairs_left_out_area(np.full((20, 2), 7.3), np.arange(20) < 10) is None
