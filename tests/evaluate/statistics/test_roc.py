from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_predictions import brief

from groundglass.errors import SettingsError
from groundglass.evaluate.statistics import auc, auc_interval, roc_curve
from groundglass.evaluate.statistics.roc import delong_variance, newcombe_interval

#: Few different scores, so that ties are many.
scored = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30)


def arrays(pairs):
    scores, positive = zip(*pairs, strict=True)
    return np.array(scores, dtype=np.float64), np.array(positive)


def both_kinds(pairs):
    return len({positive for _, positive in pairs}) == 2


@pytest.fixture(scope="module")
def ratings():
    """109 CT images rated 1 to 5: Hanley and McNeil, Radiology 1982;143:29, Table II."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    scores = np.repeat([1.0, 2, 3, 4, 5] * 2, [*normal, *abnormal])
    return scores, np.arange(109) >= 58


class TestHanleyAndMcNeil1982:
    def test_area(self, ratings):
        assert auc(*ratings) == pytest.approx(0.893, abs=0.0005)

    def test_delong_standard_error_and_interval(self, ratings):
        # As Stata's manual gives them for this data ([R] roctab): 0.0307, 0.83295 to 0.95339.
        assert delong_variance(*ratings) ** 0.5 == pytest.approx(0.0307, abs=5e-5)
        interval = auc_interval(*ratings)
        assert interval.low == pytest.approx(0.83295, abs=5e-6)
        assert interval.high == pytest.approx(0.95339, abs=5e-6)
        assert interval.method == "DeLong"


@brief
@given(scored.filter(both_kinds))
def test_auc_is_the_share_of_pairs_in_order_ties_half(pairs):
    own = [score for score, positive in pairs if positive]
    rest = [score for score, positive in pairs if not positive]
    wins = sum((a > b) + 0.5 * (a == b) for a in own for b in rest)
    assert auc(*arrays(pairs)) == pytest.approx(wins / (len(own) * len(rest)))


@brief
@given(scored.filter(both_kinds))
def test_auc_of_the_complement(pairs):
    scores, positive = arrays(pairs)
    assert auc(-scores, positive) == pytest.approx(1 - auc(scores, positive))
    assert auc(scores, ~positive) == pytest.approx(1 - auc(scores, positive))


@brief
@given(scored.filter(both_kinds))
def test_auc_depends_on_the_order_of_scores_only(pairs):
    scores, positive = arrays(pairs)
    assert auc(np.exp(scores / 3), positive) == auc(scores, positive)


@brief
@given(scored.filter(both_kinds))
def test_the_area_under_the_curve_is_the_auc(pairs):
    curve = roc_curve(*arrays(pairs))
    x, y = curve.false_positive_rate, curve.true_positive_rate
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    area = float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())
    assert area == pytest.approx(auc(*arrays(pairs)))


@brief
@given(scored.filter(both_kinds))
def test_each_point_of_the_curve_is_its_threshold_applied(pairs):
    scores, positive = arrays(pairs)
    curve = roc_curve(scores, positive)
    for threshold, x, y in zip(
        curve.thresholds, curve.false_positive_rate, curve.true_positive_rate, strict=True
    ):
        assert y == (scores >= threshold)[positive].mean()
        assert x == (scores >= threshold)[~positive].mean()


@brief
@given(scored.filter(both_kinds))
def test_the_interval_holds_the_auc(pairs):
    interval = auc_interval(*arrays(pairs))
    assert 0 <= interval.low <= auc(*arrays(pairs)) <= interval.high <= 1
    assert interval.low < interval.high


@pytest.mark.parametrize("positive", [np.ones(3, dtype=bool), np.zeros(3, dtype=bool)])
def test_one_kind_of_patient_only_has_no_curve(positive):
    scores = np.array([0.1, 0.2, 0.3])
    assert roc_curve(scores, positive) is None
    assert auc(scores, positive) is None
    assert auc_interval(scores, positive) is None


def test_a_perfect_auc_still_has_a_width():
    interval = auc_interval(np.arange(20.0), np.arange(20) >= 10)
    assert interval.high == 1
    assert 0.7 < interval.low < 0.95
    assert "Newcombe" in interval.method


@pytest.mark.parametrize("area", [0.5, 0.8, 0.97])
def test_newcombe_ends_are_z_standard_errors_away(area):
    # The definition, with Hanley and McNeil's variance written out and both sizes their mean.
    m, n = 25, 53
    mean = (m + n) / 2
    interval = newcombe_interval(area, m, n)
    for end in (interval.low, interval.high):
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
        spread = end * (1 - end) + (mean - 1) * (q1 - end**2 + q2 - end**2)
        assert abs(end - area) / (spread / (m * n)) ** 0.5 == pytest.approx(1.959964, abs=1e-4)


@brief
@given(st.floats(0, 1), st.integers(1, 40), st.integers(1, 40))
def test_newcombe_mirrors(area, m, n):
    one, other = newcombe_interval(area, m, n), newcombe_interval(1 - area, m, n)
    assert one.low == pytest.approx(1 - other.high, abs=1e-6)
    assert one.low <= area <= one.high


def test_a_level_that_makes_no_sense():
    with pytest.raises(SettingsError, match="confidence level of 95"):
        auc_interval(np.arange(4.0), np.array([False, True, False, True]), level=95)
