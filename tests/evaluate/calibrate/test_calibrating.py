"""Thresholds from a site's own cases: what is fitted, what it is worth, and when it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from made_answers import LABELS, made_bundle, no_verdict

from groundglass.cohort import PNEUMONIA
from groundglass.core.result import Outcome
from groundglass.errors import BundleError, InputError, SettingsError
from groundglass.evaluate.calibrate.calibrating import (
    CalibrationSettings,
    SiteCalibration,
    calibrate,
    refuse_calibrated,
)
from groundglass.evaluate.run.case_prediction import (
    AS_IN_SERVICE,
    Answer,
    CasePrediction,
    Strata,
)
from groundglass.evaluate.statistics.conformal import conformal_thresholds
from groundglass.infer.bundle_metadata import BundleMetadata, ShareRule

RULE = ShareRule(0.5, 0.5, 1.0, None, "training", 7)
BUNDLE = made_bundle(BundleMetadata(share_rule=RULE))
TENTH = CalibrationSettings()


def case(row: int, truth: str, ill: int, judged: int = 100) -> CasePrediction:
    findings = RULE.probability(ill / judged)
    named = dict.fromkeys(LABELS, 0.0) | {"CP": findings, "healthy": 1 - findings}
    label = "CP" if ill / judged >= RULE.study_threshold else "healthy"
    answer = Answer(Outcome.VERDICT, "", label, named, label, ill, judged)
    return CasePrediction(row, row, truth, Strata("here"), {AS_IN_SERVICE: answer}, 0.5)


def site(ill: Sequence[int], others: Sequence[int]) -> tuple[CasePrediction, ...]:
    """A case per count of ill slices, the ill ones of a kind not known."""
    truths = [PNEUMONIA] * len(ill) + ["healthy"] * len(others)
    counts = [*ill, *others]
    return tuple(case(k, *one) for k, one in enumerate(zip(truths, counts, strict=True), 2))


def drawn(rng: np.random.Generator, many: int = 40) -> tuple[CasePrediction, ...]:
    ill = np.round(100 * rng.beta(3, 3, many)).astype(int) + 1
    others = np.round(100 * rng.beta(1, 6, many)).astype(int)
    return site(np.minimum(ill, 100).tolist(), others.tolist())


def figures(found: SiteCalibration) -> dict[str, float | None]:
    return {one.name: one.share.value for one in found.cross_fitted}


class TestFitted:
    def test_the_rule_has_the_sites_threshold_and_slope(self) -> None:
        found = calibrate(site(range(30, 50), range(20)), BUNDLE, TENTH, "here")
        assert found.rule is not None
        assert found.rule.study_threshold == pytest.approx((0.19 + 0.30) / 2)
        assert found.rule.probability(found.rule.study_threshold) == 0.5
        assert found.rule.probability(0.45) > 0.85
        assert found.rule.probability(0.05) < 0.15
        assert (found.rule.fitted_on, found.rule.n) == ("here", 40)
        assert found.rule.slice_threshold == RULE.slice_threshold

    def test_a_sensitivity_asked_for_is_reached(self) -> None:
        cases = drawn(np.random.default_rng(1))
        for wanted in (0.8, 0.95, 1.0):
            found = calibrate(cases, BUNDLE, CalibrationSettings(sensitivity=wanted), "here")
            assert found.point is not None
            assert found.point.sensitivity is not None
            assert found.point.sensitivity >= wanted

    def test_the_conformal_part_is_that_of_the_scores(self) -> None:
        ill, others = np.arange(30, 60), np.arange(40)
        found = calibrate(site(ill.tolist(), others.tolist()), BUNDLE, TENTH, "here").conformal
        by_hand = conformal_thresholds(ill / 100, others / 100, 0.1)
        assert found.findings_quantile == by_hand.lowest_of_ill
        assert found.none_quantile == by_hand.highest_of_others
        assert (found.n_ill, found.n_not_ill) == (30, 40)

    def test_order_changes_nothing(self) -> None:
        cases = drawn(np.random.default_rng(2))
        one, other = (calibrate(x, BUNDLE, TENTH, "here") for x in (cases, cases[::-1]))
        assert (one.rule, one.conformal) == (other.rule, other.conformal)
        assert figures(one) == figures(other)

    def test_a_patient_counts_once_by_the_study_hardest_to_cover(self) -> None:
        cases = site(range(30, 50), range(20))
        easier = tuple(
            replace(case(100 + one.patient, one.truth, 90 if one.truth == PNEUMONIA else 0),
                    patient=one.patient)
            for one in cases
        )  # fmt: skip
        alone, together = (calibrate(x, BUNDLE, TENTH, "here") for x in (cases, (*easier, *cases)))
        assert (alone.rule, alone.conformal) == (together.rule, together.conformal)

    def test_cases_without_a_verdict_have_no_part(self) -> None:
        cases = site(range(30, 50), range(20))
        lost = replace(cases[0], row=90, patient=90, answers={AS_IN_SERVICE: no_verdict()})
        assert calibrate((*cases, lost), BUNDLE, TENTH, "x").conformal.n_ill == 20

    def test_a_bundle_that_votes_keeps_its_vote(self) -> None:
        cases = [
            replace(one, answers={AS_IN_SERVICE: replace(one.answer, ill=None, judged=None)})
            for one in site(range(30, 50), range(20))
        ]
        found = calibrate(cases, made_bundle(), TENTH, "here")
        assert found.rule is None
        assert found.point is None
        assert found.conformal.findings_quantile == RULE.probability(0.31)


class TestCrossFitted:
    def test_each_patient_is_judged_by_the_others(self) -> None:
        cases = drawn(np.random.default_rng(6), 15)
        found = figures(calibrate(cases, BUNDLE, TENTH, "here"))
        covered, released = [], []
        for one in cases:
            rest = calibrate([x for x in cases if x is not one], BUNDLE, TENTH, "here")
            score, kept = one.answer.share, rest.conformal
            assert score is not None
            assert rest.rule is not None
            if one.truth == PNEUMONIA:
                covered.append(kept.findings_fit(score))
            alone = kept.none_fits(score) and not kept.findings_fit(score)
            if alone and score < rest.rule.study_threshold:
                released.append(one.truth == PNEUMONIA)
        assert found["ill covered"] == np.mean(covered)
        assert found["ill among the released"] == np.mean(released)

    def test_coverage_is_what_was_promised_on_the_mean(self) -> None:
        rng = np.random.default_rng(9)
        found = [figures(calibrate(drawn(rng, 29), BUNDLE, TENTH, "x")) for _ in range(60)]
        for name in ("ill covered", "not ill covered"):
            assert np.mean([one[name] for one in found]) >= 0.9 - 0.02

    def test_well_told_apart_nobody_is_left_for_a_reader_but_the_promised_few(self) -> None:
        found = figures(calibrate(site(range(60, 99), range(39)), BUNDLE, TENTH, "here"))
        assert found["ill among the released"] == 0
        assert found["ill left for a reader"] <= 0.11
        assert found["ill called findings before that"] == 1

    def test_with_the_fewest_that_will_do_no_coverage_is_claimed(self) -> None:
        """Without one of nine, nothing is ruled out, and all would be covered."""
        found = figures(calibrate(site(range(30, 39), range(9)), BUNDLE, TENTH, "here"))
        assert found["ill covered"] is found["not ill covered"] is None


class TestRefused:
    def test_too_few(self) -> None:
        with pytest.raises(InputError, match="8 ill patients with a verdict"):
            calibrate(site(range(30, 38), range(9)), BUNDLE, TENTH, "here")

    def test_a_sensitivity_that_only_calling_everybody_reaches(self) -> None:
        cases = site([0, *range(30, 50)], range(20))
        wanted = CalibrationSettings(sensitivity=1.0)
        with pytest.raises(InputError, match="a study threshold of 0"):
            calibrate(cases, BUNDLE, wanted, "here")

    def test_scores_the_wrong_way_round(self) -> None:
        with pytest.raises(InputError, match="no higher in the ill"):
            calibrate(site(range(1, 20), range(40, 60)), BUNDLE, TENTH, "here")

    def test_what_was_calibrated_before(self) -> None:
        found = calibrate(site(range(30, 50), range(20)), BUNDLE, TENTH, "here")
        with pytest.raises(BundleError, match="calibrated already"):
            refuse_calibrated(made_bundle(BundleMetadata(conformal=found.conformal)))
        refuse_calibrated(BUNDLE)

    @pytest.mark.parametrize("values", [{"error": 0.0}, {"error": 0.5}, {"sensitivity": 0.0}])
    def test_settings_without_sense(self, values: dict[str, float]) -> None:
        with pytest.raises(SettingsError):
            CalibrationSettings(**values)
