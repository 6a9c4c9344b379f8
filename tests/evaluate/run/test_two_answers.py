"""Findings or none: the released first, kinds left open in a column, unknown kinds in no figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_answers import COHORT, LABELS, NO_LEAK, QUICK, made_bundle, no_verdict

from groundglass.cohort import PNEUMONIA
from groundglass.core.result import KIND_NOT_TOLD, Outcome
from groundglass.evaluate.report.document import evaluation_document
from groundglass.evaluate.run.case_prediction import (
    AS_IN_SERVICE,
    Answer,
    CasePrediction,
    Strata,
)
from groundglass.evaluate.run.evaluation import Evaluation, compared_with, evaluate
from groundglass.evaluate.run.trivial import TrivialStatistics
from groundglass.evaluate.run.two_answers import two_answers
from groundglass.evaluate.statistics import auc, wilson
from groundglass.infer.bundle_metadata import BundleMetadata, DecisionThreshold, ShareRule

RULE = ShareRule(0.5, 0.2, 30.0, 0.8, "a test", 5)
BY_SHARE = BundleMetadata(share_rule=RULE)


def by_share(ill: int, judged: int = 40, kind: str = "CP", *, told: bool = True) -> Answer:
    """A verdict by the share of ill slices."""
    findings = RULE.probability(ill / judged)
    named = dict.fromkeys(LABELS, 0.0) | {kind: findings, "healthy": 1 - findings}
    called = ill / judged >= RULE.study_threshold
    label = (kind if told else KIND_NOT_TOLD) if called else "healthy"
    return Answer(Outcome.VERDICT, "", label, named, kind if called else "healthy", ill, judged)


def case(row: int, truth: str, answer: Answer, source: str = "here") -> CasePrediction:
    return CasePrediction(row, row, truth, Strata(source), {AS_IN_SERVICE: answer}, 0.5)


#: Two of three ill with a verdict are found; one of the two released is ill.
FEW = (
    case(2, "CP", by_share(20)),
    case(3, "NCP", by_share(12, kind="CP", told=False)),
    case(4, "NCP", by_share(1)),
    case(5, "healthy", by_share(0)),
    case(6, "healthy", by_share(10, kind="NCP")),
    case(7, "CP", no_verdict(Outcome.FOR_A_READER, "fits both")),
    case(8, "healthy", no_verdict(Outcome.FOR_A_READER, "fits both")),
    case(9, "healthy", no_verdict(Outcome.NO_LUNG, "none")),
)


def evaluated(cases: Sequence[CasePrediction], metadata: BundleMetadata = BY_SHARE) -> Evaluation:
    return evaluate(tuple(cases), made_bundle(metadata), COHORT, NO_LEAK, QUICK)


class TestFindingsOrNone:
    def test_the_released_are_counted_with_the_ill_among_them(self) -> None:
        found = two_answers(FEW, "healthy")
        assert (found.released, found.released_ill) == (2, 1)
        assert found.released_share.value == 0.5
        assert found.released_share.interval == wilson(1, 2)

    def test_a_kind_left_open_is_findings(self) -> None:
        found = two_answers(FEW, "healthy")
        assert (found.ill, found.not_ill) == (3, 2)
        assert found.sensitivity.value == pytest.approx(2 / 3)
        assert found.specificity.value == 0.5

    def test_ends_without_a_verdict_are_counted_apart_by_truth(self) -> None:
        ends = {
            one.outcome: (one.ill, one.not_ill) for one in two_answers(FEW, "healthy").unanswered
        }
        assert ends == {Outcome.FOR_A_READER: (1, 1), Outcome.NO_LUNG: (0, 1)}

    def test_nobody_released_gives_no_share_and_no_fault(self) -> None:
        found = two_answers((FEW[0], FEW[5]), "healthy")
        assert (found.released, found.released_share.value) == (0, None)
        assert found.specificity.value is found.area.value is None
        assert found.worst == 1.0

    def test_the_area_is_that_of_the_share_where_probabilities_are_all_one(self) -> None:
        """With a steep slope every probability rounds to 1 and says no more which is more."""
        steep = replace(RULE, slope=1e4)
        assert steep.probability(0.5) == steep.probability(0.9) == 1.0
        cases = [
            case(k, truth, replace(by_share(ill), probabilities={"CP": 1.0, "healthy": 0.0}))
            for k, (truth, ill) in enumerate([("CP", 30), ("CP", 20), ("healthy", 10)], 2)
        ]
        assert two_answers(cases, "healthy").area.value == 1.0

    def test_by_vote_the_summed_probability_is_ranked(self) -> None:
        rng = np.random.default_rng(3)
        odds = rng.dirichlet((1, 1, 1), 30)
        truths = [LABELS[k] for k in rng.integers(0, 3, 30)]
        cases = []
        for row, (truth, one) in enumerate(zip(truths, odds, strict=True), 2):
            named = dict(zip(LABELS, map(float, one), strict=True))
            label = max(named, key=lambda name: named[name])
            cases.append(case(row, truth, Answer(Outcome.VERDICT, "", label, named, label)))
        ill = np.array([truth != "healthy" for truth in truths])
        assert two_answers(cases, "healthy").area.value == auc(1 - odds[:, 2], ill)


class TestTheTable:
    def test_every_case_is_in_it_once_and_an_open_kind_has_its_column(self) -> None:
        table = evaluated(FEW).answers
        assert table.answers == (*LABELS, KIND_NOT_TOLD, "no-lung", "for-a-reader")
        assert table.truths == LABELS
        assert sum(map(sum, table.counts)) == len(FEW)
        assert table.counts[table.truths.index("NCP")] == (0, 0, 1, 1, 0, 0)

    def test_the_votes_table_has_no_such_column(self) -> None:
        cases = [replace(one, answers={AS_IN_SERVICE: one.answer}) for one in FEW if one.row != 3]
        assert KIND_NOT_TOLD not in evaluated(cases, BundleMetadata()).answers.answers

    def test_a_class_is_forced_in_the_figures_of_classes(self) -> None:
        found = evaluated(FEW)
        assert found.figures.metrics.confusion.tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 1]]


class TestKindsNotKnown:
    def test_they_count_as_ill_and_in_no_figure_of_kinds(self) -> None:
        more = (*FEW, case(10, PNEUMONIA, by_share(30)), case(11, PNEUMONIA, by_share(2)))
        found, without = evaluated(more), evaluated(FEW)
        assert found.two.ill == without.two.ill + 2
        assert found.two.released_ill == 2
        assert found.figures.metrics.values() == without.figures.metrics.values()
        assert found.accuracy_of_all == without.accuracy_of_all
        assert found.answers.truths == (*LABELS, PNEUMONIA)

    def test_a_cohort_that_knows_no_kind_at_all_is_told_in_two_classes(self) -> None:
        cases = [case(one.row, one.truth.replace("NCP", "CP").replace("CP", PNEUMONIA), one.answer)
                 for one in FEW]  # fmt: skip
        point = DecisionThreshold(("CP", "NCP"), 0.5, 0.9, 0.8, "validation", 30)
        found = evaluated(cases, BundleMetadata(share_rule=RULE, operating_point=point))
        assert found.predictions.labels == (PNEUMONIA, "healthy")
        assert found.positive == (PNEUMONIA,)
        assert found.figures.metrics.confusion.tolist() == [[2, 1], [1, 1]]
        assert found.two == two_answers(FEW, "healthy")
        assert found.threshold is not None
        assert found.threshold.here.positives == 3
        assert found.answers.answers[:4] == (*LABELS, KIND_NOT_TOLD)
        document = evaluation_document(found, "f32")
        assert document["classes"] == [PNEUMONIA, "healthy"]

    def test_a_point_of_some_kinds_cannot_be_judged_without_kinds(self) -> None:
        cases = [case(2, PNEUMONIA, by_share(30)), case(3, "healthy", by_share(0))]
        point = DecisionThreshold(("CP",), 0.5, 0.9, 0.8, "validation", 30)
        assert evaluated(cases, BundleMetadata(operating_point=point)).threshold is None

    def test_a_class_of_that_name_is_the_class(self) -> None:
        two = Answer(Outcome.VERDICT, "", PNEUMONIA, {PNEUMONIA: 0.8, "healthy": 0.2}, PNEUMONIA)
        bundle = made_bundle(labels=(PNEUMONIA, "healthy"))
        found = evaluate((case(2, PNEUMONIA, two),), bundle, COHORT, NO_LEAK, QUICK)
        assert found.figures.metrics.confusion.tolist() == [[1, 0], [0, 0]]

    def test_two_bundles_are_compared_in_two_classes(self) -> None:
        cases = [case(one.row, PNEUMONIA if one.truth != "healthy" else one.truth, one.answer)
                 for one in FEW]  # fmt: skip
        other = [replace(one, answers={AS_IN_SERVICE: by_share(0)}) for one in cases]
        found = compared_with(evaluated(cases), other, made_bundle(name="other"), NO_LEAK, QUICK)
        assert found.compared is not None
        assert found.compared.second_two.released_ill == 3
        assert found.compared.first_two.released_ill == 1
        assert found.compared.left_out == 3


class TestBySource:
    def test_the_worst_comes_first(self) -> None:
        good = [case(10 + k, truth, by_share(ill), "a good one")
                for k, (truth, ill) in enumerate([("CP", 30), ("healthy", 0)])]  # fmt: skip
        missing = [case(20, "CP", no_verdict(), "no verdicts")]
        poor = [replace(one, strata=Strata("poor")) for one in FEW]
        groups = evaluated((*good, *missing, *poor)).groups["source"]
        assert [group.name for group in groups] == ["poor", "a good one", "no verdicts"]
        assert groups[0].two == two_answers(poor, "healthy")

    def test_a_source_that_gives_itself_away_has_a_high_floor(self) -> None:
        rng = np.random.default_rng(5)

        def scanned(row: int, truth: str, slices: int) -> CasePrediction:
            seen = TrivialStatistics(slices + int(rng.integers(4)), 1.0, 0.7, -300.0, 9.0)
            return replace(case(row, truth, by_share(20)), trivial=seen)

        told = [scanned(k, ("CP", "healthy")[k % 2], (60, 200)[k % 2]) for k in range(2, 22)]
        alike = [scanned(k, ("CP", "healthy")[k % 2], 60) for k in range(2, 82)]
        high, low = two_answers(told, "healthy").floor, two_answers(alike, "healthy").floor
        assert high.value == 1.0
        assert low.interval is not None
        assert low.interval.low < 0.5
        assert two_answers(told[:8], "healthy").floor.value is None

    def test_several_studies_of_a_patient_count_once_in_the_floor(self) -> None:
        same = TrivialStatistics(60, 1.0, 0.7, -300.0, 9.0)
        cases = [
            replace(case(k, ("CP", "healthy")[k % 2], by_share(20)), patient=k % 2, trivial=same)
            for k in range(2, 40)
        ]
        assert two_answers(cases, "healthy").floor.value is None


@given(st.lists(st.tuples(st.sampled_from([*LABELS, PNEUMONIA]), st.integers(0, 40)), min_size=1))
def test_released_and_called_are_all_there_are(rows: list[tuple[str, int]]) -> None:
    cases = [case(k, truth, by_share(ill)) for k, (truth, ill) in enumerate(rows, 2)]
    found = two_answers(cases, "healthy")
    assert found.ill + found.not_ill == len(cases)
    missed = found.ill * (1 - (found.sensitivity.value or 0.0)) if found.ill else 0
    assert found.released_ill == pytest.approx(missed)
    passed = found.not_ill * (found.specificity.value or 0.0)
    assert found.released - found.released_ill == pytest.approx(passed)
