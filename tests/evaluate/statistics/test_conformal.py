"""Conformal thresholds: the definition by p-values, the coverage promised, refusal of too few."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.errors import InputError, SettingsError
from groundglass.evaluate.statistics.conformal import (
    conformal_thresholds,
    fewest_patients,
    refuse_too_few,
)

#: Shares of twenty slices: many ties.
SHARES = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=40)
ALPHAS = st.sampled_from([0.05, 0.1, 0.15, 0.2, 1 / 3, 0.4])


@given(SHARES, SHARES, ALPHAS, st.integers(0, 20).map(lambda k: k / 20))
def test_an_answer_is_possible_where_its_p_value_is_above_alpha(
    ill: list[float], others: list[float], alpha: float, score: float
) -> None:
    """The set by Vovk's p-values: the share of patients, the new one too, no likelier than it."""
    found = conformal_thresholds(np.array(ill), np.array(others), alpha)
    p_ill = (sum(one <= score for one in ill) + 1) / (len(ill) + 1)
    p_none = (sum(one >= score for one in others) + 1) / (len(others) + 1)
    assert (score >= found.lowest_of_ill) == (p_ill > alpha + 1e-12)
    assert (score <= found.highest_of_others) == (p_none > alpha + 1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("patients", "alpha"), [(9, 0.1), (19, 0.1), (24, 0.1), (40, 0.2)])
def test_a_new_patient_is_covered_as_often_as_promised(
    patients: int, alpha: float, ties: bool
) -> None:
    """On the mean over cohorts; with ties more often."""
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(4000):
        scores = rng.beta(2, 1, patients + 1)
        scores = np.round(scores, 1) if ties else scores
        low = conformal_thresholds(scores[1:], scores[1:], alpha).lowest_of_ill
        covered.append(scores[0] >= low)
    exact = 1 - math.floor(alpha * (patients + 1) + 1e-9) / (patients + 1)
    assert np.mean(covered) >= 1 - alpha - 0.02
    if not ties:
        assert np.mean(covered) == pytest.approx(exact, abs=0.02)


def test_the_classes_do_not_know_of_each_other() -> None:
    rng = np.random.default_rng(1)
    ill, others, far = rng.random(20), rng.random(20), rng.random(500) + 1
    one, two = conformal_thresholds(ill, others, 0.1), conformal_thresholds(ill, far, 0.1)
    assert one.lowest_of_ill == two.lowest_of_ill
    assert one.highest_of_others < 1 < two.highest_of_others


@given(ALPHAS)
def test_one_patient_fewer_than_the_fewest_rules_nothing_out(alpha: float) -> None:
    fewest = fewest_patients(alpha)
    scores = np.linspace(0.1, 0.9, fewest)
    enough = conformal_thresholds(scores, scores, alpha)
    assert enough.lowest_of_ill == 0.1
    assert enough.highest_of_others == 0.9
    short = conformal_thresholds(scores[1:], scores[1:], alpha)
    assert (short.lowest_of_ill, short.highest_of_others) == (-math.inf, math.inf)


def test_too_few_are_refused_with_the_number_needed() -> None:
    assert [fewest_patients(alpha) for alpha in (0.1, 0.05, 0.01, 0.07)] == [9, 19, 99, 14]
    refuse_too_few(9, 9, 0.1)
    with pytest.raises(InputError, match="8 ill patients") as refused:
        refuse_too_few(8, 30, 0.1)
    assert "at least 9 of either kind" in refused.value.expected
    assert "0.11 or more" in refused.value.action
    with pytest.raises(InputError, match="3 ill and 4 not ill"):
        refuse_too_few(3, 4, 0.1)
    with pytest.raises(InputError) as refused:
        refuse_too_few(1, 4, 0.4)
    assert refused.value.action == "Add cases."


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_an_error_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(SettingsError, match="an error of"):
        fewest_patients(alpha)
