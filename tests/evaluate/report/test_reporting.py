"""The report: JSON that keeps its schema, a page that needs nothing outside it, all or nothing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from made_answers import COHORT, LABELS, NO_LEAK, QUICK, made_bundle, made_cases, no_verdict

from groundglass.cohort import PNEUMONIA
from groundglass.core.result import KIND_NOT_TOLD, RESEARCH_USE_ONLY, Outcome
from groundglass.errors import ReportError
from groundglass.evaluate.report.document import evaluation_document, evaluation_schema
from groundglass.evaluate.report.pictures import about
from groundglass.evaluate.report.reporting import MANIFEST, PAGE, figure, p_value, write_evaluation
from groundglass.evaluate.run.case_prediction import AS_IN_SERVICE, CasePrediction
from groundglass.evaluate.run.evaluation import Evaluation, compared_with, evaluate
from groundglass.evaluate.run.training_overlap import LeakCheck
from groundglass.infer.bundle_metadata import (
    BundleMetadata,
    Calibration,
    DecisionThreshold,
    ShareRule,
)

FACTS = BundleMetadata(
    calibration=Calibration(1.4, "validation", 30),
    operating_point=DecisionThreshold(("CP", "NCP"), 0.5, 0.9, 0.8, "validation", 30),
)
pytest.importorskip("matplotlib")


def probed(cases: tuple[CasePrediction, ...]) -> tuple[CasePrediction, ...]:
    """With answers to one probe that know as much as service does."""
    return tuple(
        replace(one, answers={AS_IN_SERVICE: one.answer, "lungs-black": one.answer})
        for one in cases
    )


def full() -> Evaluation:
    """With everything an evaluation can have."""
    one = evaluate(probed(made_cases(missing=2)), made_bundle(FACTS), COHORT, NO_LEAK, QUICK)
    unknown = LeakCheck(looked_for=False, words="It cannot be known.")
    return compared_with(one, made_cases(2), made_bundle(name="other"), unknown, QUICK)


def bare() -> Evaluation:
    """Two classes of three, no facts, no probes, no second bundle."""
    return evaluate(made_cases(counts=(9, 0, 8)), made_bundle(), COHORT, NO_LEAK, QUICK)


def by_share() -> Evaluation:
    """Of a bundle that judges slices, kinds left open; some of the ill of a kind not known."""
    cases = []
    for number, one in enumerate(made_cases(missing=2)):
        answer = one.answer
        if answer.has_verdict:
            ill = round(40 * answer.score("healthy"))
            told = answer.label if answer.label == "healthy" or number % 3 else KIND_NOT_TOLD
            answer = replace(answer, label=told, ill=ill, judged=40)
        ended = answer if number != 5 else no_verdict(Outcome.FOR_A_READER, "It fits both.")
        truth = PNEUMONIA if number % 5 == 0 and one.truth != "healthy" else one.truth
        cases.append(replace(one, truth=truth, answers={AS_IN_SERVICE: ended}))
    rule = ShareRule(0.5, 0.5, 9.0, 0.8, "a test", 9)
    bundle = made_bundle(BundleMetadata(share_rule=rule))
    return evaluate(tuple(cases), bundle, COHORT, NO_LEAK, QUICK)


def of_no_known_kind() -> Evaluation:
    """The same with every ill case of a kind not known."""
    cases = [
        one if one.truth == "healthy" else replace(one, truth=PNEUMONIA) for one in made_cases()
    ]
    return evaluate(tuple(cases), made_bundle(FACTS), COHORT, NO_LEAK, QUICK)


@pytest.fixture(scope="module", params=[full, bare, by_share, of_no_known_kind])
def evaluation(request: pytest.FixtureRequest) -> Evaluation:
    return request.param()


@pytest.fixture(scope="module")
def written(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation") / "out"
    write_evaluation(evaluation, "f32", {"predictions.csv": b"row\n"}, folder)
    return folder


@pytest.fixture(scope="module")
def document(written: Path) -> dict:
    return json.loads((written / MANIFEST).read_text("utf-8"))


class Page(HTMLParser):
    """What a page's elements ask for, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asked += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += f" {' '.join(data.split())}"


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / PAGE).read_text("utf-8"))


class TestDocument:
    def test_it_keeps_its_schema(self, document: dict) -> None:
        schema = evaluation_schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(document, schema)

    def test_every_figure_has_a_value_or_says_why_not(
        self, evaluation: Evaluation, document: dict
    ) -> None:
        values = evaluation.figures.metrics.values()
        assert document["figures"].keys() == values.keys()
        for name, cell in document["figures"].items():
            assert cell["value"] == values[name]
            if cell["value"] is None:
                assert cell["why"], name
            else:
                assert cell["low"] is not None or cell["why"], name

    def test_it_names_its_files_with_their_hashes(self, written: Path, document: dict) -> None:
        names = {p.name for p in written.iterdir()}
        assert names == {MANIFEST, *document["files"]}
        for name, said in document["files"].items():
            data = (written / name).read_bytes()
            assert said == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    def test_the_same_evaluation_gives_the_same_bytes(
        self, evaluation: Evaluation, written: Path, tmp_path: Path
    ) -> None:
        write_evaluation(evaluation, "f32", {"predictions.csv": b"row\n"}, tmp_path / "again")
        for path in written.iterdir():
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name

    def test_cases_without_verdict_are_named_by_row(
        self, evaluation: Evaluation, document: dict
    ) -> None:
        rows = [one["row"] for one in document["without_verdict"]]
        assert rows == [one.row for one in evaluation.without_verdict]
        assert all(one["reason"] for one in document["without_verdict"])


class TestPage:
    def test_it_asks_for_nothing_outside(self, page: Page) -> None:
        assert page.asked
        assert all(asked.startswith("data:image/png;base64,") for asked in page.asked)
        assert "script" not in page.tags
        assert "link" not in page.tags

    def test_its_policy_allows_its_own_style_only(self, written: Path) -> None:
        text = (written / PAGE).read_text("utf-8")
        assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
        assert text.count("<style>") == 1

    def test_it_says_research_use_only_and_what_the_bundle_says(self, page: Page) -> None:
        assert RESEARCH_USE_ONLY in page.words
        assert "Made for a test: its verdict means nothing." in page.words

    def test_it_shows_what_the_document_says(self, page: Page, document: dict) -> None:
        for row, truth in zip(
            document["answers"]["counts"], document["answers"]["truths"], strict=True
        ):
            assert " ".join([truth, *map(str, row)]) in " ".join(page.words.split())
        released = document["two_answers"]["released"]
        assert f"Ill among those released {released['ill']} of {released['cases']}" in " ".join(
            page.words.split()
        )
        for row in document["table2"]:
            assert figure(row["sensitivity"]) in page.words
            assert figure(row["f1"]) in page.words
        for cell in document["figures"].values():
            if cell["why"] and cell["value"] is None:
                assert cell["why"] in page.words
        for groups in document["groups"].values():
            for group in groups:
                assert group["name"] in page.words
        for case in document["without_verdict"]:
            assert case["reason"] in page.words
        if document["probes"]:
            assert document["probes"]["words"] in page.words

    def test_every_figure_is_on_it(self, page: Page, document: dict) -> None:
        pictures = [name for name in document["files"] if name.endswith(".png")]
        assert len([asked for asked in page.asked if asked.startswith("data:")]) == len(pictures)

    def test_leaks_that_cannot_be_known_are_said(self) -> None:
        unknown = LeakCheck(looked_for=False, words="It cannot be known.")
        one = evaluate(made_cases(), made_bundle(), COHORT, unknown, QUICK)
        assert evaluation_document(one, "f32")["leaks"]["looked_for"] is False


def test_what_a_table_holds_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    cases = made_cases()
    nasty = "<script>alert(1)</script>"
    cases = tuple(replace(x, strata=replace(x.strata, source=nasty)) for x in cases)
    one = evaluate(cases, made_bundle(), replace(COHORT, table=nasty), NO_LEAK, QUICK)
    write_evaluation(one, "f32", {}, tmp_path / "out")
    text = (tmp_path / "out" / PAGE).read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_figures_say_data_split_and_number() -> None:
    words = about(evaluate(made_cases(missing=2), made_bundle(), COHORT, NO_LEAK, QUICK))
    for part in ("here, there", "split: test", "n = 34 studies", "of 36", "36 patients", "made 1"):
        assert part in words


def test_other_things_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ReportError, match=r"mine\.txt"):
        write_evaluation(bare(), "f32", {}, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_earlier_evaluation_is_replaced(tmp_path: Path) -> None:
    write_evaluation(full(), "f32", {"predictions-compared.csv": b"x"}, tmp_path)
    write_evaluation(bare(), "f32", {}, tmp_path)
    assert not (tmp_path / "predictions-compared.csv").exists()
    assert not (tmp_path / "operating-point.png").exists()


@pytest.mark.parametrize(("p", "words"), [(0.5, "0.500"), (0.001, "0.001"), (1e-9, "< 0.001")])
def test_no_p_value_is_zero(p: float, words: str) -> None:
    assert p_value(p) == words


def test_a_figure_without_value_is_a_dash() -> None:
    assert figure(None) == figure({"value": None, "low": None, "high": None}) == "–"
    assert figure({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert re.fullmatch(
        r"0\.500 \(0\.250–0\.750\)", figure({"value": 0.5, "low": 0.25, "high": 0.75})
    )


def test_labels_are_those_of_the_confusion_matrix() -> None:
    document = evaluation_document(bare(), "f32")
    assert np.array(document["confusion"]).shape == (len(LABELS), len(LABELS))
    assert np.array(document["confusion"]).sum(axis=1).tolist() == [9, 0, 8]
