"""Whom weights have seen: nobody is forgotten when another training goes on with them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Case
from groundglass.errors import ReadError
from groundglass.train.data.cache import PreparedCase
from groundglass.train.data.training_cases import (
    ENCODER_STAGE,
    SEQUENCE_STAGE,
    TrainingCase,
    read_training_cases,
    training_cases,
    with_earlier,
    write_training_cases,
)
from groundglass.train.export.data_sources import tabulate


def prepared(patient: str, *, is_volume: bool = False, laid: str = "") -> PreparedCase:
    extra = {"laid_label": laid} if laid else {}
    case = Case(patient, Path("/study"), "CP", "train", "mosmed", 2, extra)
    return PreparedCase(case, Path("x.npy"), None, 1, is_volume, f"print of {patient}")


def row(stage: str, source: str, split: str, label: str, patient: str) -> TrainingCase:
    return TrainingCase(stage, source, split, label, patient, "", "slice")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    seen = training_cases([prepared("a"), prepared("b", is_volume=True)], ENCODER_STAGE, "")
    write_training_cases(seen, tmp_path)
    assert list(read_training_cases(tmp_path)) == seen
    assert [one.form for one in seen] == ["slice", "study"]
    assert seen[0].fingerprint == "print of a"


def test_a_slice_with_lesions_laid_in_is_called_one() -> None:
    assert training_cases([prepared("a", laid="NCP")], ENCODER_STAGE, "")[0].form == (
        "slice with lesions laid in"
    )


def test_who_was_seen_before_is_handed_on_from_training_to_training(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    write_training_cases(training_cases([prepared("a")], ENCODER_STAGE, ""), folders[0])
    write_training_cases(
        training_cases([prepared("b")], ENCODER_STAGE, str(folders[0] / "best.ckpt")), folders[1]
    )
    third = with_earlier([], str(folders[1] / "best.ckpt"))
    assert {one.patient for one in third} == {"a", "b"}
    assert {one.stage for one in third} == {"slice encoder, before"}


def test_weights_of_unknown_descent_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"seen\.json"):
        with_earlier([], str(tmp_path / "best.ckpt"))


def test_patients_are_counted_once_per_stage_split_and_class() -> None:
    rows = [
        row(ENCODER_STAGE, "mosmed", "train", "CP", "a"),
        row(ENCODER_STAGE, "mosmed", "train", "CP", "a"),
        row(ENCODER_STAGE, "mosmed", "validation", "healthy", "b"),
        row(SEQUENCE_STAGE, "phantom", "train", "CP", "c"),
    ]
    encoder, sequence = tabulate(rows)
    assert encoder["patients"] == {"train": {"CP": 1}, "validation": {"healthy": 1}}
    assert encoder["licence"] == "CC BY-NC-ND 3.0"
    assert (sequence["stage"], sequence["source"]) == (SEQUENCE_STAGE, "phantom")


def test_a_source_that_is_the_users_own_is_called_that() -> None:
    found = tabulate([row(ENCODER_STAGE, "our hospital", "train", "CP", "a")])[0]
    assert found["citation"] == "a cohort of the user's own"
