"""Several studies of one patient: intervals as wide as their patients allow, no narrower."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_predictions import LABELS, any_predictions, brief, made

from groundglass.errors import InputError, SettingsError
from groundglass.evaluate.statistics import (
    BootstrapSettings,
    Predictions,
    auc,
    auc_interval,
    bootstrap,
    compare,
    measure,
    measure_with_intervals,
    share_interval,
    wilson,
)
from groundglass.evaluate.statistics.roc import delong_variance


def repeated(predictions: Predictions, times: int) -> Predictions:
    """Every study `times` times, as studies of the same patient."""
    rows = np.repeat(np.arange(len(predictions.truth)), times)
    return predictions.take(rows)


def width(interval) -> float:
    return interval.high - interval.low


class TestShares:
    @given(st.lists(st.booleans(), min_size=1, max_size=40))
    @brief
    def test_one_study_a_patient_is_wilson(self, hits: list[bool]):
        came_true = np.array(hits)
        found = share_interval(came_true, np.arange(len(hits))[::-1])
        assert found == wilson(sum(hits), len(hits))

    @given(st.lists(st.booleans(), min_size=2, max_size=30), st.integers(2, 5))
    @brief
    def test_the_same_study_many_times_says_no_more_than_once(self, hits: list[bool], times: int):
        once = wilson(sum(hits), len(hits))
        patients = np.repeat(np.arange(len(hits)), times)
        found = share_interval(np.repeat(np.array(hits), times), patients)
        # Rao and Scott divide by n − 1 patients, Wilson by n: never narrower, hardly wider.
        assert width(found) >= width(once) - 1e-12
        assert width(found) <= width(once) * len(hits) / (len(hits) - 1) + 1e-12

    def test_studies_that_agree_no_more_than_strangers_count_almost_in_full(self):
        rng = np.random.default_rng(2)
        hits = rng.random(400) < 0.7
        found = share_interval(hits, np.arange(400) // 2)
        assert width(found) == pytest.approx(width(wilson(int(hits.sum()), 400)), rel=0.15)

    def test_all_right_counts_patients(self):
        found = share_interval(np.ones(12, dtype=bool), np.arange(12) // 4)
        assert (found.low, found.high) == pytest.approx((wilson(3, 3).low, 1.0))
        assert "12 studies of 3 patients as 3.0" in found.method

    def test_a_level_that_makes_no_sense(self):
        with pytest.raises(SettingsError, match="confidence level of 95"):
            share_interval(np.array([True, False]), np.zeros(2, dtype=np.int64), 95)

    def test_coverage_of_clustered_shares(self):
        # 30 patients with 4 studies, which agree: the plain interval misses often, this one seldom.
        rng = np.random.default_rng(5)
        patients = np.arange(120) // 4
        missed = {"plain": 0, "clustered": 0}
        for _ in range(300):
            own = rng.beta(0.4, 0.2, 30)  # mean 2/3
            hits = rng.random(120) < own[patients]
            for name, found in (
                ("plain", wilson(int(hits.sum()), 120)),
                ("clustered", share_interval(hits, patients)),
            ):
                missed[name] += not found.low <= 2 / 3 <= found.high
        assert missed["clustered"] < 0.09 * 300
        assert missed["plain"] > 0.15 * 300


class TestAreas:
    @given(any_predictions())
    @brief
    def test_one_study_a_patient_is_delong(self, predictions: Predictions):
        scores, positive = predictions.probabilities[:, 0], predictions.truth == 0
        plain = delong_variance(scores, positive)
        numbered = delong_variance(scores, positive, np.arange(len(scores))[::-1])
        assert (plain is None) == (numbered is None)
        assert plain is None or numbered == pytest.approx(plain, abs=1e-15)

    def test_the_same_study_many_times_says_no_more_than_once(self):
        once = made()
        many = repeated(once, 4)
        for k in range(3):
            first = delong_variance(once.probabilities[:, k], once.truth == k)
            same = delong_variance(many.probabilities[:, k], many.truth == k, many.patients)
            assert same == pytest.approx(first)

    def test_variance_is_what_drawing_patients_shows(self):
        rng = np.random.default_rng(3)
        own = rng.normal(size=90)
        patients = np.arange(270) // 3
        positive = (patients % 2 == 0) ^ (rng.random(270) < 0.2)  # some patients have both
        scores = positive * 1.2 + own[patients] + rng.normal(size=270) * 0.3
        probability = 1 / (1 + np.exp(-scores))
        predictions = Predictions(
            ("yes", "no"),
            np.where(positive, 0, 1),
            np.where(probability > 0.5, 0, 1),
            np.stack([probability, 1 - probability], axis=1),
            patients,
        )
        drawn = bootstrap(
            predictions,
            lambda p: {"auc": measure(p).classes[0].measures.auc},
            BootstrapSettings(resamples=500, stratified=False),
        ).intervals["auc"]
        found = auc_interval(probability, positive, patients=patients)
        assert "Obuchowski" in found.method
        assert width(found) == pytest.approx(width(drawn), rel=0.15)
        assert width(found) > 1.2 * width(auc_interval(probability, positive))

    @pytest.mark.parametrize(
        ("likeness", "least", "most"), [(0.8, 0.0, 0.6), (0.0, 0.9, 1.1), (-0.8, 1.4, 2.0)]
    )
    def test_variance_is_that_of_fresh_cohorts_however_a_patient_s_studies_hang_together(
        self, likeness: float, least: float, most: float
    ):
        # A sick and a healthy study of each of 40 patients. Where their scores rise together the
        # area varies less than DeLong's says, where one falls as the other rises it varies more.
        rng = np.random.default_rng(11)
        spread = np.array([[1, likeness], [likeness, 1]])
        positive, patients = np.repeat([True, False], 40), np.tile(np.arange(40), 2)
        areas, stated, strangers = [], [], []
        for _ in range(400):
            scores = rng.multivariate_normal([1, 0], spread, 40).T.ravel()
            areas.append(auc(scores, positive))
            stated.append(delong_variance(scores, positive, patients))
            strangers.append(delong_variance(scores, positive))
        assert np.mean(stated) == pytest.approx(np.var(areas), rel=0.2)  # 400 draws: ± 7 %
        assert least < np.mean(stated) / np.mean(strangers) < most

    @pytest.mark.parametrize("likeness", [2.0, -2.0])
    def test_variance_is_what_leaving_each_patient_out_shows(self, likeness: float):
        rng = np.random.default_rng(7)
        patients = np.sort(rng.integers(0, 150, 500))  # 0 to 9 studies each, of either kind
        positive = rng.random(500) < 0.4
        own = rng.normal(size=150)[patients]
        scores = positive + rng.normal(size=500) + own * np.where(positive, likeness, 1)
        left = np.array(
            [auc(scores[patients != one], positive[patients != one]) for one in np.unique(patients)]
        )
        # Efron and Tibshirani 1993, equation 11.5: the jackknife, of patients.
        expected = (len(left) - 1) * np.var(left)
        assert delong_variance(scores, positive, patients) == pytest.approx(expected, rel=0.03)
        assert abs(delong_variance(scores, positive) / expected - 1) > 0.1

    def test_a_perfect_area_counts_patients(self):
        scores = np.repeat(np.arange(6.0), 3)
        found = auc_interval(scores, scores >= 3, patients=np.arange(18) // 3)
        assert found == auc_interval(np.arange(6.0), np.arange(6) >= 3)


class TestBootstrap:
    @pytest.mark.parametrize("stratified", [True, False])
    def test_patients_are_drawn_whole_and_as_many_as_there_are(self, stratified: bool):
        many = repeated(made(), 3)
        seen = []

        def statistic(drawn: Predictions):
            seen.append(np.unique(drawn.patients, return_counts=True)[1])
            return {"one": 1.0}

        bootstrap(many, statistic, BootstrapSettings(resamples=5, stratified=stratified))
        assert all((counts % 3 == 0).all() for counts in seen)
        assert {counts.sum() for counts in seen} == {len(many.truth)}

    def test_repeating_studies_changes_no_interval(self):
        once = made()
        settings = BootstrapSettings(resamples=60)
        first = bootstrap(once, settings=settings).intervals
        again = bootstrap(repeated(once, 2), settings=settings).intervals
        assert first.keys() == again.keys()
        for name, interval in first.items():
            same = again[name]
            assert (interval.low, interval.high) == pytest.approx((same.low, same.high)), name


def test_patients_decide_mcnemar_not_studies():
    truth = np.array([0, 0, 0, 1, 1])
    patients = np.array([0, 0, 0, 1, 2])
    first = one_hot(truth, np.array([0, 0, 0, 0, 1]), patients)
    second = one_hot(truth, np.array([1, 1, 0, 1, 1]), patients)
    test = compare(first, second).mcnemar
    assert (test.only_first, test.only_second) == (1, 1)


def test_compare_refuses_other_patients():
    one = made()
    with pytest.raises(InputError, match="different true labels"):
        compare(one, replace(one, patients=one.patients[::-1].copy()))


def test_every_figure_has_the_interval_that_fits_it():
    predictions = made()
    found = measure_with_intervals(predictions, BootstrapSettings(resamples=50))
    methods = {name: interval.method for name, interval in found.intervals.items()}
    assert set(methods) == set(found.metrics.values())
    for label in LABELS:
        for share in ("sensitivity", "specificity", "ppv", "npv"):
            assert methods[f"class/{label}/{share}"] == "Wilson score"
        assert methods[f"class/{label}/auc"] == "DeLong"
        assert methods[f"class/{label}/f1"].startswith("percentile bootstrap")
    assert methods["accuracy"] == "Wilson score"
    assert methods["macro/auc"].startswith("percentile bootstrap")
    one = found.metrics.classes[1]
    assert found.intervals["class/NCP/ppv"] == wilson(one.counts.true_positives, one.counts.called)
    assert found.intervals["class/NCP/npv"] == wilson(
        one.counts.true_negatives, one.counts.not_called
    )


def test_patients_numbers_must_fit():
    one = made()
    with pytest.raises(InputError, match="patients' numbers"):
        replace(one, patients=np.arange(3))


def one_hot(truth, called, patients) -> Predictions:
    return Predictions(("A", "B"), truth, called, np.eye(2)[called], patients)


def test_a_figure_at_its_bound_gets_no_interval_without_width():
    perfect = made(skill=60.0)
    found = measure_with_intervals(perfect, BootstrapSettings(resamples=20))
    assert found.metrics.averages["macro"].f1 == 1.0
    assert "macro/f1" not in found.intervals
    assert "says nothing about others" in found.without_interval["macro/f1"]
    assert found.intervals["accuracy"] == wilson(78, 78)
    assert found.intervals["class/CP/auc"].low < 1
