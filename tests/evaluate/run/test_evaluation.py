"""An evaluation: every case counted, figures where they exist, two bundles on the same cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_answers import COHORT, LABELS, NO_LEAK, QUICK, made_bundle, made_cases, no_verdict

from groundglass.core.result import Outcome
from groundglass.errors import InputError
from groundglass.evaluate.run.case_prediction import (
    AS_IN_SERVICE,
    CasePrediction,
    Strata,
    predictions_of,
)
from groundglass.evaluate.run.evaluation import Evaluation, compared_with, evaluate
from groundglass.evaluate.run.findings import probe_finding
from groundglass.evaluate.run.subgroups import UNKNOWN, age_group, thickness_group
from groundglass.evaluate.statistics import measure, wilson
from groundglass.infer.bundle_metadata import BundleMetadata, DecisionThreshold


def evaluated(
    cases: tuple[CasePrediction, ...], metadata: BundleMetadata | None = None
) -> Evaluation:
    return evaluate(cases, made_bundle(metadata), COHORT, NO_LEAK, QUICK)


@pytest.fixture(scope="module")
def cases() -> tuple[CasePrediction, ...]:
    return made_cases(missing=4)


@pytest.fixture(scope="module")
def one(cases: tuple[CasePrediction, ...]) -> Evaluation:
    return evaluated(cases)


def test_a_case_without_verdict_is_counted_and_counts_as_not_right(
    one: Evaluation, cases: tuple[CasePrediction, ...]
) -> None:
    right = sum(x.answer.label == x.truth for x in cases)
    assert [x.row for x in one.without_verdict] == [34, 35, 36, 37]
    assert len(one.predictions.truth) == 32
    assert one.figures.metrics.accuracy == right / 32
    assert one.accuracy_of_all.value == right / 36
    assert one.accuracy_of_all.interval == wilson(right, 36)


def test_without_any_verdict_there_is_nothing_to_measure(cases: tuple[CasePrediction, ...]) -> None:
    none = tuple(replace(x, answers={AS_IN_SERVICE: no_verdict(Outcome.NO_LUNG)}) for x in cases)
    with pytest.raises(InputError, match=r"no verdict for any of 36 cases \(no-lung\)"):
        evaluated(none)


def test_several_studies_of_a_patient_widen_the_intervals(
    cases: tuple[CasePrediction, ...],
) -> None:
    alone = evaluated(cases[:30]).accuracy_of_all
    together = evaluated(tuple(replace(x, patient=x.row // 5) for x in cases[:30]))
    assert together.patients == 7
    assert together.accuracy_of_all.value == alone.value
    assert together.accuracy_of_all.interval.high - together.accuracy_of_all.interval.low > (
        alone.interval.high - alone.interval.low
    )


class TestGroups:
    def test_each_grouping_holds_every_case(self, one: Evaluation) -> None:
        assert list(one.groups) == ["source", "scanner", "slice thickness", "sex", "age"]
        for groups in one.groups.values():
            assert sum(group.cases for group in groups) == len(one.cases)
            assert sum(group.without_verdict for group in groups) == 4
            for group in groups:
                assert sum(group.classes.values()) == group.cases

    def test_a_group_is_measured_as_a_cohort_of_its_own(self, one: Evaluation) -> None:
        here = [x for x in one.cases if x.strata.source == "here"]
        (group,) = (group for group in one.groups["source"] if group.name == "here")
        alone = predictions_of(here, LABELS)
        assert group.accuracy.value == measure(alone).accuracy
        assert group.auc.value == pytest.approx(measure(alone).classes[2].measures.auc)

    def test_what_is_not_known_comes_last(self, one: Evaluation) -> None:
        assert [g.name for g in one.groups["scanner"]] == ["Maker A", "Maker B", UNKNOWN]
        assert [g.name for g in one.groups["slice thickness"]] == [
            "up to 1.5 mm", "above 1.5 to 3 mm", "above 3 to 5 mm", UNKNOWN,
        ]  # fmt: skip
        assert [g.name for g in one.groups["age"]] == [
            "under 40 years", "40 to 59 years", "60 to 79 years", "80 years and older",
        ]  # fmt: skip

    def test_a_grouping_of_which_nothing_is_known_is_left_out(self) -> None:
        bare = tuple(replace(x, strata=Strata("here")) for x in made_cases())
        assert list(evaluated(bare).groups) == ["source"]

    def test_ends_of_groups(self) -> None:
        def thick(mm: float) -> str:
            return thickness_group(Strata("", thickness_mm=mm))

        assert [thick(x) for x in (1.5, 1.51, 5.0, 5.01)] == [
            "up to 1.5 mm", "above 1.5 to 3 mm", "above 3 to 5 mm", "above 5 mm",
        ]  # fmt: skip
        assert age_group(Strata("", age_years=39.9)) == "under 40 years"
        assert age_group(Strata("", age_years=40)) == "40 to 59 years"

    def test_a_group_without_any_verdict_has_no_figures(self) -> None:
        cases = made_cases(missing=2)
        last = tuple(
            replace(x, strata=replace(x.strata, source="nowhere")) if x.row > 35 else x
            for x in cases
        )
        group = evaluated(last).groups["source"][-1]
        assert (group.name, group.cases, group.without_verdict) == ("nowhere", 2, 2)
        assert group.accuracy.value is group.auc.value is group.accuracy.interval is None


class TestFacts:
    def test_without_them_all_but_healthy_is_positive(self, one: Evaluation) -> None:
        assert one.positive == ("CP", "NCP")
        assert one.threshold is None
        healthy = one.figures.metrics.classes[2].measures.auc
        assert one.positive_auc.value == pytest.approx(healthy)

    def test_the_operating_point_is_judged_here(self, cases: tuple[CasePrediction, ...]) -> None:
        point = DecisionThreshold(("CP",), 0.5, 0.9, 0.8, "validation", 30)
        found = evaluated(cases, BundleMetadata(operating_point=point))
        assert found.positive == ("CP",)
        scores = found.predictions.probabilities[:, 0]
        truth = found.predictions.truth == 0
        assert found.threshold.here.sensitivity == (scores[truth] >= 0.5).mean()
        assert found.threshold.here.specificity == (scores[~truth] < 0.5).mean()


class TestCompared:
    def test_only_cases_both_have_a_verdict_for_count(self, one: Evaluation) -> None:
        second = list(made_cases(2))
        second[0] = replace(second[0], answers={AS_IN_SERVICE: no_verdict()})
        found = compared_with(
            one, tuple(second), made_bundle(name="other"), NO_LEAK, QUICK
        ).compared
        assert found.left_out == 5
        assert found.first_metrics.confusion.sum() == 31
        assert found.figures.metrics.confusion.sum() == 31

    def test_labels_in_another_order_are_the_same_classes(self, one: Evaluation) -> None:
        other = made_bundle(labels=("healthy", "CP", "NCP"))
        same = compared_with(one, made_cases(missing=4), other, NO_LEAK, QUICK).compared
        assert (same.figures.metrics.confusion == one.figures.metrics.confusion).all()
        assert (same.tests.mcnemar.only_first, same.tests.mcnemar.only_second) == (0, 0)

    def test_other_classes_are_refused(self, one: Evaluation) -> None:
        other = made_bundle(labels=("CP", "healthy"))
        with pytest.raises(InputError, match="second bundle with the classes CP, healthy"):
            compared_with(one, made_cases(), other, NO_LEAK, QUICK)

    def test_a_better_one_is_seen(self, one: Evaluation) -> None:
        found = compared_with(
            one, made_cases(1, skill=6.0), made_bundle(name="other"), NO_LEAK, QUICK
        )
        tests = found.compared.tests
        assert tests.mcnemar.only_second > tests.mcnemar.only_first
        assert tests.delong["NCP"].difference < 0


def test_probes_are_about_the_cases_service_has_a_verdict_for() -> None:
    rng = np.random.default_rng(8)
    cases = []
    for case, other in zip(made_cases(missing=3), rng.permutation(36), strict=True):
        shuffled = made_cases()[other].answer
        black = shuffled if case.answer.has_verdict else case.answer
        cases.append(replace(case, answers={**case.answers, "lungs-black": black}))
    found = evaluated(tuple(cases)).probed
    assert list(found.findings) == [AS_IN_SERVICE, "lungs-black"]
    assert {one.cases for one in found.findings.values()} == {33}
    assert found.findings[AS_IN_SERVICE].knows
    assert found.findings[AS_IN_SERVICE].same_verdict == 1.0
    assert not found.source.learnt_source


def test_an_honest_model_is_seldom_accused() -> None:
    cases = made_cases()
    accused = 0
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(len(cases))
        shuffled = [
            replace(case, answers=cases[other].answers)
            for case, other in zip(cases, order, strict=True)
        ]
        predictions = predictions_of(shuffled, LABELS)
        accused += probe_finding("lungs-black", predictions, len(cases)).knows
    assert accused <= 6
