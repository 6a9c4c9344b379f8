"""The checkpoint: what is written is read back, and a broken run goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_answers import LABELS, made_cases, no_verdict, verdict

from groundglass.cohort import PNEUMONIA
from groundglass.core.result import KIND_NOT_TOLD, Outcome
from groundglass.errors import InputError, ReportError
from groundglass.evaluate.run.case_prediction import AS_IN_SERVICE, CasePrediction, Strata
from groundglass.evaluate.run.checkpoint import Checkpoint, Table
from groundglass.evaluate.run.trivial import TrivialStatistics

TABLE = Table(LABELS)
PROBED = Table(LABELS, (AS_IN_SERVICE, "lungs-black"))
IDENTITY = {"cohort": "a", "bundle": "b"}

text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
mm = st.floats(-1024, 1024)
number = st.none() | st.floats(0.1, 120)


@st.composite
def any_case(draw: st.DrawFn) -> CasePrediction:
    odds = draw(st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(any))
    judged = draw(st.none() | st.integers(1, 400))
    by_share = {
        "label": KIND_NOT_TOLD,
        "ill": None if judged is None else draw(st.integers(0, judged)),
        "judged": judged,
    }
    answers = {
        images: replace(verdict([x / sum(odds) for x in odds]), **(by_share if judged else {}))
        if draw(st.booleans())
        else no_verdict(Outcome.NO_LUNG, draw(text))
        for images in PROBED.images
    }
    trivial = draw(st.none() | st.builds(TrivialStatistics, st.integers(1, 900), *[mm] * 4))
    strata = Strata(draw(text), draw(text), draw(number), draw(text), draw(number))
    row, patient = draw(st.integers(2, 9999)), draw(st.integers(1, 9999))
    truth = draw(st.sampled_from([*LABELS, PNEUMONIA]))
    return CasePrediction(row, patient, truth, strata, answers, 1.25, trivial)


@given(st.lists(any_case(), max_size=4))
@settings(max_examples=60)
def test_what_is_written_is_read_back_to_the_bit(cases: list[CasePrediction]) -> None:
    assert list(PROBED.read(PROBED.content(cases).decode())) == cases


@given(st.lists(any_case(), min_size=1, max_size=3), st.data())
@settings(max_examples=60)
def test_a_table_cut_anywhere_gives_its_whole_cases(
    cases: list[CasePrediction], data: st.DataObject
) -> None:
    whole = PROBED.content(cases).decode()
    start = len(PROBED.content(()).decode())
    cut = data.draw(st.integers(start, len(whole)))
    read = list(PROBED.read(whole[:cut]))
    assert read == cases[: len(read)]
    assert len(read) >= sum(
        len(PROBED.content(cases[:k]).decode()) <= cut for k in range(1, len(cases) + 1)
    )


def test_a_broken_run_goes_on(tmp_path: Path) -> None:
    cases = made_cases(missing=2)
    checkpoint = Checkpoint(tmp_path / "j", TABLE)
    assert checkpoint.begin(IDENTITY, resume=False) == ()
    for one in cases[:5]:
        checkpoint.add(one)
    with (tmp_path / "j" / "predictions.csv").open("a") as file:
        file.write("7,7,CP,her")  # killed here
    again = Checkpoint(tmp_path / "j", TABLE)
    assert again.begin(IDENTITY, resume=True) == cases[:5]
    for one in cases[5:]:
        again.add(one)
    assert Checkpoint(tmp_path / "j", TABLE).begin(IDENTITY, resume=True) == cases
    assert (tmp_path / "j" / "predictions.csv").read_bytes() == TABLE.content(cases)


def test_resume_without_a_broken_run_begins(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "j", TABLE).begin(IDENTITY, resume=True) == ()


def test_a_broken_run_is_neither_overwritten_nor_mixed_with_another(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "j", TABLE)
    checkpoint.begin(IDENTITY, resume=False)
    checkpoint.add(made_cases()[0])
    before = (tmp_path / "j" / "predictions.csv").read_bytes()
    with pytest.raises(ReportError, match="Add --resume"):
        checkpoint.begin(IDENTITY, resume=False)
    with pytest.raises(ReportError, match="something else"):
        checkpoint.begin({**IDENTITY, "bundle": "c"}, resume=True)
    assert (tmp_path / "j" / "predictions.csv").read_bytes() == before


def test_other_columns_are_refused() -> None:
    with pytest.raises(InputError, match="other columns"):
        list(TABLE.read(Table(("A", "B")).content(()).decode()))


def test_a_label_with_a_comma_is_one_column() -> None:
    table = Table(("a,b", "c"))
    one = made_cases()[0]
    answer = {AS_IN_SERVICE: verdict((0.25, 0.75), ("a,b", "c"))}
    odd = replace(one, truth="a,b", answers=answer)
    assert list(table.read(table.content([odd]).decode())) == [odd]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="not writable"):
        Checkpoint(tmp_path / "file" / "j", TABLE).begin(IDENTITY, resume=False)
