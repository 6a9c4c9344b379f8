"""The cohort of slices: every source gives both answers, and no patient crosses splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

pytest.importorskip("torch")

from groundglass.cohort import Cohort, read_cohort, write_cohort
from groundglass.train.data.patches import read_patches
from groundglass.train.slice_cohort import (
    HEALTHY,
    ILL,
    PATCHES,
    SliceCohortSettings,
    slice_cohort,
)
from made_slices import write_slice_sets


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_slice_sets(folder, matrix=64)
    return folder


def _made(data: Path, out: Path, *leave_out: str, **changes: float) -> Cohort:
    out.mkdir(parents=True, exist_ok=True)
    return slice_cohort(data, out, SliceCohortSettings(leave_out, **changes))  # type: ignore[arg-type]


def test_sources_that_train_are_ill_and_not_in_every_look(data: Path, tmp_path: Path) -> None:
    answers = defaultdict(set)
    for case in _made(data, tmp_path).of_split("train").cases:
        answers[case.source].add((case.label == HEALTHY, bool(case.extra.get("look_seed"))))
    assert {"mosmed", "luna16", "luna-volumes", "finding-lungs", "medseg"} <= answers.keys()
    for source, found in answers.items():
        expected = {True, False} if source != "covid-19-ct-seg" else {False}
        assert {well for well, _ in found} == expected, source
        for well in expected:
            assert (well, True) in found, source


def test_marks_decide_who_is_ill_not_the_patient(data: Path, tmp_path: Path) -> None:
    plain = [
        case
        for case in _made(data, tmp_path).cases
        if case.source == "medseg" and not case.extra.get("look_seed")
        and not case.extra.get("laid_seed")
    ]  # fmt: skip
    assert len({case.patient for case in plain}) == 1
    # Of each volume the first slice shows no lesion.
    assert {case.label for case in plain if case.study.stem.endswith("-000")} == {HEALTHY}
    assert {case.label for case in plain if not case.study.stem.endswith("-000")} == {ILL}


def test_no_patient_is_in_two_splits_and_nothing_laid_is_tested(data: Path, tmp_path: Path) -> None:
    splits = defaultdict(set)
    cohort = _made(data, tmp_path)
    for case in cohort.cases:
        splits[case.patient].add(case.split)
    assert all(len(found) == 1 for found in splits.values())
    tested = cohort.of_split("test").cases
    assert tested
    assert not any(case.extra.get("laid_seed") or case.extra.get("look_seed") for case in tested)


def test_a_source_left_out_is_tested_whole_and_gives_no_lesions(data: Path, tmp_path: Path) -> None:
    with_all = _made(data, tmp_path / "all")
    without = _made(data, tmp_path / "without", "medseg", "luna-volumes")
    splits = {(c.source, c.split) for c in without.cases if c.source in ("medseg", "luna-volumes")}
    assert splits == {("medseg", "test"), ("luna-volumes", "test")}
    lesions = [len(read_patches(tmp_path / name / PATCHES)) for name in ("all", "without")]
    assert 0 < lesions[1] < lesions[0]
    others = [
        Counter(c.patient for c in one.cases if c.source == "luna16") for one in (with_all, without)
    ]
    assert others[0] == others[1]


def test_mild_disease_trains_in_part_and_is_tested_whole(data: Path, tmp_path: Path) -> None:
    def mild(split: str, share: float) -> int:
        cases = _made(data, tmp_path / f"{share}", mild=share).of_split(split).cases
        return len({c.patient for c in cases if c.extra.get("severity") == "CT-1"})

    assert mild("train", 0.0) == 0 < mild("train", 1.0)
    assert mild("test", 0.0) == mild("test", 1.0) > 0


def test_the_table_on_disk_is_the_table(data: Path, tmp_path: Path) -> None:
    cohort = _made(data, tmp_path)
    write_cohort(cohort, cohort.path)
    again = read_cohort(cohort.path)
    assert [case.study for case in again.cases] == [case.study for case in cohort.cases]
    assert [case.label for case in again.cases] == [case.label for case in cohort.cases]
