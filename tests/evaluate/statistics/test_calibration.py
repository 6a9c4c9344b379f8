from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_predictions import any_predictions, brief, made

from groundglass.errors import InputError, SettingsError
from groundglass.evaluate.statistics import (
    brier_score,
    expected_calibration_error,
    fit_slope,
    fit_temperature,
    judge_threshold,
    reliability,
    threshold_for_sensitivity,
    threshold_of_youden,
)


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def honest(seed: int, patients: int = 4000):
    """Logits, and truths drawn from their own softmax: calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(patients, 3))
    cumulative = softmax(logits).cumsum(axis=1)
    truth = (rng.random((patients, 1)) > cumulative).sum(axis=1)
    return logits, np.minimum(truth, 2)


class TestReliability:
    def test_by_hand(self):
        confidence = np.array([0.1, 0.15, 0.9, 0.95, 0.85])
        came_true = np.array([False, True, True, True, False])
        low, high = reliability(confidence, came_true, bins=2)
        assert (low.count, low.mean_confidence, low.observed) == (2, 0.125, 0.5)
        assert (high.count, high.observed) == (3, 2 / 3)
        # 2/5 · |0.5 − 0.125| + 3/5 · |2/3 − 0.9|
        assert expected_calibration_error(confidence, came_true, 2) == pytest.approx(0.29)

    def test_bins_hold_their_upper_end(self):
        table = reliability(np.array([0.0, 0.2, 0.4, 1.0]), np.ones(4, dtype=bool), bins=5)
        assert [row.count for row in table] == [2, 1, 0, 0, 1]

    def test_an_empty_bin_has_no_figures(self):
        empty = reliability(np.array([0.9]), np.array([True]), bins=2)[0]
        assert empty.mean_confidence is empty.observed is empty.interval is None

    @brief
    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 20))
    def test_the_error_is_the_table_s_and_every_patient_counts(self, pairs, bins):
        confidence = np.array([pair[0] for pair in pairs])
        came_true = np.array([pair[1] for pair in pairs])
        table = reliability(confidence, came_true, bins=bins)
        assert sum(row.count for row in table) == len(pairs)
        for row in table:
            if row.count:
                assert row.low - 1e-12 <= row.mean_confidence <= row.high + 1e-12
        gaps = [row.count * abs(row.observed - row.mean_confidence) for row in table if row.count]
        error = expected_calibration_error(confidence, came_true, bins)
        assert error == pytest.approx(sum(gaps) / len(pairs))
        assert 0 <= error <= 1

    def test_small_for_honest_probabilities_and_large_for_boasting(self):
        logits, truth = honest(3)
        for factor, low, high in ((1, 0, 0.03), (3, 0.1, 1)):
            probabilities = softmax(logits * factor)
            right = probabilities.argmax(axis=1) == truth
            error = expected_calibration_error(probabilities.max(axis=1), right)
            assert low <= error <= high

    def test_no_bins(self):
        with pytest.raises(SettingsError, match="bins"):
            reliability(np.array([0.5]), np.array([True]), bins=0)


class TestBrier:
    def test_by_hand(self):
        # (0.3² + 0.3²) and (0.8² + 0.8²).
        probabilities = np.array([[0.7, 0.3], [0.2, 0.8]])
        assert brier_score(probabilities, np.array([0, 0])) == pytest.approx((0.18 + 1.28) / 2)

    @pytest.mark.parametrize(("row", "score"), [([1.0, 0.0], 0), ([0.0, 1.0], 2)])
    def test_ends(self, row, score):
        assert brier_score(np.array([row]), np.array([0])) == score


class TestTemperature:
    @pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 4.0])
    def test_finds_what_the_logits_were_multiplied_by(self, factor):
        logits, truth = honest(5)
        fitted = fit_temperature(softmax(logits * factor), truth)
        assert fitted.temperature == pytest.approx(factor, rel=0.06)
        assert fitted.not_fitted is None

    def test_no_other_temperature_is_likelier(self):
        predictions = made(skill=1)
        fitted = fit_temperature(predictions.probabilities, predictions.truth)

        def nll(temperature):
            scaled = softmax(np.log(predictions.probabilities) / temperature)
            return -np.log(scaled[np.arange(len(scaled)), predictions.truth]).mean()

        assert fitted.nll_after == pytest.approx(nll(fitted.temperature))
        assert fitted.nll_before == pytest.approx(nll(1.0))
        for other in (0.9, 0.99, 1.01, 1.1):
            assert nll(fitted.temperature * other) > fitted.nll_after

    @brief
    @given(any_predictions())
    def test_never_worse_and_never_another_order(self, predictions):
        fitted = fit_temperature(predictions.probabilities, predictions.truth)
        assert fitted.temperature > 0
        assert fitted.nll_after <= fitted.nll_before + 1e-9
        applied = fitted.apply(predictions.probabilities)
        assert applied.sum(axis=1) == pytest.approx(1)
        if fitted.not_fitted is not None:
            assert fitted.temperature == 1
            assert applied == pytest.approx(predictions.probabilities)

    def test_all_right_keeps_one_and_says_why(self):
        fitted = fit_temperature(np.array([[0.6, 0.4], [0.1, 0.9]]), np.array([0, 1]))
        assert fitted.temperature == 1
        assert "called right" in fitted.not_fitted

    def test_no_better_than_chance_keeps_one_and_says_why(self):
        fitted = fit_temperature(np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([0, 1]))
        assert fitted.temperature == 1
        assert "chance" in fitted.not_fitted

    def test_chance_to_the_last_digit_keeps_one(self):
        """Two patients alike of two classes: the slope is a rounding below nothing."""
        fitted = fit_temperature(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]))
        assert fitted.temperature == 1
        assert "chance" in fitted.not_fitted

    def test_a_certain_miss_is_survived(self):
        probabilities = np.array([[1.0, 0.0], [0.9, 0.1], [0.2, 0.8]] * 30)
        truth = np.array([1] + [0, 0, 1] * 29 + [0, 1])
        assert np.isfinite(fit_temperature(probabilities, truth).nll_after)

    def test_no_patients(self):
        with pytest.raises(InputError, match="no validation patients"):
            fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=np.int64))


class TestOperatingPoint:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    positive = np.array([True, True, False, True, False, True, False, False])

    @pytest.mark.parametrize(
        ("wanted", "threshold", "sensitivity", "specificity"),
        [(0.5, 0.8, 0.5, 1.0), (0.51, 0.6, 0.75, 0.75), (0.75, 0.6, 0.75, 0.75), (1, 0.4, 1, 0.5)],
    )
    def test_by_hand(self, wanted, threshold, sensitivity, specificity):
        point = threshold_for_sensitivity(self.scores, self.positive, wanted)
        assert point.threshold == threshold
        assert (point.sensitivity, point.specificity) == (sensitivity, specificity)
        assert point.sensitivity_interval.low < sensitivity <= point.sensitivity_interval.high

    @brief
    @given(
        st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1).filter(
            lambda pairs: any(positive for _, positive in pairs)
        ),
        st.floats(0.01, 1),
    )
    def test_reached_and_no_higher_threshold_reaches_it(self, pairs, wanted):
        scores = np.array([score / 9 for score, _ in pairs])
        positive = np.array([kind for _, kind in pairs])
        point = threshold_for_sensitivity(scores, positive, wanted)
        assert point.sensitivity >= wanted - 1e-9
        for higher in scores[scores > point.threshold]:
            assert judge_threshold(scores, positive, higher).sensitivity < wanted

    def test_rounding_asks_for_no_patient_too_many(self):
        # In binary 0.55 · 100 is 55.00000000000001.
        point = threshold_for_sensitivity(np.arange(100.0), np.ones(100, dtype=bool), 0.55)
        assert point.sensitivity == 0.55

    def test_without_negatives_there_is_no_specificity(self):
        point = judge_threshold(np.array([0.5]), np.array([True]), 0.4)
        assert point.specificity is point.specificity_interval is None
        assert point.sensitivity == 1

    def test_without_positives_nothing_to_choose_on(self):
        with pytest.raises(InputError, match="no positive patient"):
            threshold_for_sensitivity(np.array([0.5]), np.array([False]), 0.9)

    @pytest.mark.parametrize("wanted", [0, 1.1, 95])
    def test_impossible_wishes(self, wanted):
        with pytest.raises(SettingsError, match="wanted sensitivity"):
            threshold_for_sensitivity(self.scores, self.positive, wanted)


class TestSlope:
    @given(st.integers(0, 10**6), st.floats(0.1, 0.9))
    def test_no_other_slope_makes_the_softened_truth_likelier(
        self, seed: int, threshold: float
    ) -> None:
        rng = np.random.default_rng(seed)
        positive = np.arange(24) < 12
        scores = np.clip(rng.normal(np.where(positive, 0.7, 0.3), 0.25), 0, 1)
        yes, no = 13 / 14, 1 / 14
        wanted = np.where(positive, yes, no)

        def loss(slope: float) -> float:
            given = 1 / (1 + np.exp(-slope * (scores - threshold)))
            return float(-(wanted * np.log(given) + (1 - wanted) * np.log1p(-given)).sum())

        try:
            best = fit_slope(scores, positive, threshold)
        except InputError:
            assert loss(1e-6) >= loss(0.0) - 1e-12
            return
        assert best > 0
        assert loss(best) <= min(loss(best * 1.01), loss(best / 1.01))

    def test_patients_told_apart_give_a_slope_all_the_same(self) -> None:
        scores = np.array([0.1, 0.2, 0.8, 0.9])
        assert 0 < fit_slope(scores, scores > 0.5, 0.5) < 20

    def test_the_wrong_way_round_there_is_none(self) -> None:
        scores = np.array([0.1, 0.2, 0.8, 0.9])
        with pytest.raises(InputError, match="no higher in the ill"):
            fit_slope(scores, scores < 0.5, 0.5)


class TestYouden:
    @given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=30))
    def test_no_threshold_has_a_larger_sum_and_none_lower_has_as_large_a_one(
        self, rows: list[tuple[int, bool]]
    ) -> None:
        scores = np.array([score / 12 for score, _ in rows])
        positive = np.array([truth for _, truth in rows])
        if positive.all() or not positive.any():
            with pytest.raises(InputError, match="positive and"):
                threshold_of_youden(scores, positive)
            return

        def total(threshold: float) -> float:
            called = scores >= threshold
            return float(called[positive].mean() + (~called[~positive]).mean())

        found = threshold_of_youden(scores, positive)
        grid = np.linspace(0, 1.05, 22 * 12)
        assert total(found.threshold) >= max(map(total, grid[grid > scores.min()]), default=0)
        # Thresholds between the same two scores call the same patients.
        below = scores[scores < found.threshold].max()
        lower = [one for one in grid if scores.min() < one <= below]
        assert all(total(one) < total(found.threshold) for one in lower)
        assert found.sensitivity == (scores[positive] >= found.threshold).mean()

    def test_it_lies_between_the_two_kinds(self) -> None:
        scores = np.array([0.1, 0.2, 0.6, 0.7])
        assert threshold_of_youden(scores, scores > 0.5).threshold == pytest.approx(0.4)
