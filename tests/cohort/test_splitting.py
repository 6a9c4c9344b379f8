"""Splits by patient: exact shares, no patient torn apart, the same whatever the row order."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.cohort import Case, Cohort
from groundglass.cohort.splitting import FOLD, SplitSettings, hold_out_fold, split_cohort
from groundglass.errors import InputError, SettingsError


def _cohort(*groups: tuple[str, str, int], rows: int = 1) -> Cohort:
    """Patients given as (label, source, how many), each with some rows."""
    cases: list[Case] = []
    for label, source, count in groups:
        for k in range(count):
            name = f"{label}-{source}-{k}"
            cases += [
                Case(name, Path("/data") / f"{name}-{r}", label, "", source, len(cases) + 2 + r)
                for r in range(rows)
            ]
    return Cohort(Path("/data/t.csv"), tuple(cases))


def _splits(cohort: Cohort) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for case in cohort.cases:
        found.setdefault(case.patient, set()).add(case.split)
    return found


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    seed=st.integers(0, 5),
    validation=st.sampled_from([0.0, 0.1, 0.25]),
    test=st.sampled_from([0.0, 0.2]),
)
def test_shares_are_exact_within_a_class_and_near_within_a_source(
    sizes: list[int], seed: int, validation: float, test: float
) -> None:
    cohort = _cohort(*[("CP", f"s{k}", 3 + size) for k, size in enumerate(sizes)], rows=2)
    done = split_cohort(cohort, SplitSettings(validation, test, seed))
    assert all(len(splits) == 1 for splits in _splits(done).values())
    patients = sum(sizes) + 3 * len(sizes)
    counts = {split: by["CP"] for split, by in done.counts().items()}
    assert sum(counts.values()) == patients
    for split, share in (("validation", validation), ("test", test)):
        if share:
            assert counts[split] == max(1, int(share * patients + 0.5))
        else:
            assert split not in counts
    for k, size in enumerate(sizes):
        of_source = [case for case in done.cases if case.source == f"s{k}"]
        for split, share in (("validation", validation), ("test", test)):
            number = sum(case.split == split for case in of_source) / 2
            assert abs(number - share * (size + 3)) <= 2.5


def test_row_order_changes_nothing_and_the_seed_does() -> None:
    cohort = _cohort(("CP", "a", 20), ("healthy", "a", 20), ("healthy", "b", 7), rows=2)
    shuffled = list(cohort.cases)
    random.Random(3).shuffle(shuffled)  # noqa: S311
    first = split_cohort(cohort, SplitSettings(folds=5))
    second = split_cohort(replace(cohort, cases=tuple(shuffled)), SplitSettings(folds=5))
    of_first = {case.row: (case.split, case.extra[FOLD]) for case in first.cases}
    assert of_first == {case.row: (case.split, case.extra[FOLD]) for case in second.cases}
    assert [case.row for case in first.cases] == [case.row for case in cohort.cases]
    other = split_cohort(cohort, SplitSettings(seed=1))
    assert _splits(other) != _splits(first)


def test_the_papers_validation_patients_are_a_tenth_of_its_training_patients() -> None:
    cohort = _cohort(("CP", "a", 95), ("NCP", "a", 96), ("healthy", "a", 79))
    done = split_cohort(cohort, SplitSettings(validation=0.1, test=0))
    assert done.counts()["validation"] == {"CP": 10, "NCP": 10, "healthy": 8}


def test_folds_part_each_class_evenly_outside_the_test_split() -> None:
    cohort = _cohort(("CP", "a", 23), ("healthy", "a", 31), rows=2)
    done = split_cohort(cohort, SplitSettings(folds=5))
    by_fold = Counter((case.label, case.extra[FOLD]) for case in done.cases)
    for label in ("CP", "healthy"):
        sizes = [by_fold[label, str(k)] for k in range(1, 6)]
        assert max(sizes) - min(sizes) <= 2  # two rows a patient
    for case in done.cases:
        assert (case.extra[FOLD] == "") == (case.split == "test")
    folds: dict[str, set[str]] = {}
    for case in done.cases:
        folds.setdefault(case.patient, set()).add(case.extra[FOLD])
    assert all(len(seen) == 1 for seen in folds.values())


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_every_patient_is_held_out_once(folds: int) -> None:
    cohort = _cohort(("CP", "a", 12), ("healthy", "a", 11))
    done = split_cohort(cohort, SplitSettings(validation=0, test=0, folds=folds))
    held: list[str] = []
    for k in range(1, folds + 1):
        turn = hold_out_fold(done, k)
        held += turn.of_split("test").patients
        assert turn.of_split("train").labels == ("CP", "healthy")
        assert bool(turn.of_split("validation").cases) == (folds > 2)
        assert not set(turn.of_split("train").patients) & set(turn.of_split("test").patients)
    assert sorted(held) == list(done.patients)


def test_the_test_split_stays_out_of_cross_validation() -> None:
    done = split_cohort(_cohort(("CP", "a", 20)), SplitSettings(folds=3))
    apart = set(done.of_split("test").patients)
    turn = hold_out_fold(done, 1)
    assert apart
    assert {case.patient for case in turn.cases if case.split == ""} == apart


@pytest.mark.parametrize("fold", [0, 4])
def test_a_fold_that_is_not_there_is_refused(fold: int) -> None:
    done = split_cohort(_cohort(("CP", "a", 20)), SplitSettings(folds=3))
    with pytest.raises(InputError, match=f"fold {fold} asked for"):
        hold_out_fold(done, fold)
    with pytest.raises(InputError, match=r"\(none\)"):
        hold_out_fold(_cohort(("CP", "a", 20)), 1)


def test_an_official_test_split_can_stay() -> None:
    cohort = _cohort(("CP", "a", 20))
    marked = replace(
        cohort,
        cases=tuple(replace(c, split="test" if c.row < 7 else "") for c in cohort.cases),
    )
    done = split_cohort(marked, SplitSettings(test=0, keep_test=True))
    assert [case.row for case in done.of_split("test").cases] == [2, 3, 4, 5, 6]
    assert done.counts()["validation"] == {"CP": 2}
    torn = replace(
        marked,
        cases=(*marked.cases, replace(marked.cases[0], split="train", row=99)),
    )
    with pytest.raises(InputError, match="row 99") as refused:
        split_cohort(torn, SplitSettings(test=0, keep_test=True))
    assert "CP-a-0" not in str(refused.value)


def test_a_patient_with_two_labels_is_refused_by_row() -> None:
    cohort = _cohort(("CP", "a", 9), rows=2)
    wrong = (replace(cohort.cases[0], label="healthy"), *cohort.cases[1:])
    with pytest.raises(InputError, match=r"two labels \(rows 2, 3\)") as refused:
        split_cohort(replace(cohort, cases=wrong), SplitSettings())
    assert "CP-a-0" not in str(refused.value)


@pytest.mark.parametrize(
    ("patients", "settings", "words"),
    [
        (2, SplitSettings(), "2 patients of the class 'CP'"),
        (4, SplitSettings(0, 0, folds=5), "4 patients of the class 'CP' for 5 folds"),
    ],
)
def test_too_few_patients_are_refused(patients: int, settings: SplitSettings, words: str) -> None:
    with pytest.raises(InputError, match=words):
        split_cohort(_cohort(("CP", "a", patients), ("healthy", "a", 40)), settings)


@pytest.mark.parametrize(
    "wrong",
    [
        {"validation": -0.1},
        {"validation": 0.5, "test": 0.5},
        {"validation": float("nan")},
        {"folds": 1},
        {"keep_test": True},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        SplitSettings(**wrong)  # type: ignore[arg-type]
