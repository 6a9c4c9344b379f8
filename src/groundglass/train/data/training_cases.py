"""Whom a stage has learnt from, kept beside its weights and handed on to what begins with them.

A bundle has to name all data its weights come from, and to know every patient again: those of the
weights that a training began with as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from groundglass.core.atomic_files import write_whole
from groundglass.errors import ReadError
from groundglass.train.data.cache import PreparedCase
from groundglass.train.data.prepare_slice import INSERTED_COLUMNS

TRAINING_CASES = "seen.json"
#: Stages as data tables name them.
SEGMENTER_STAGE, ENCODER_STAGE, SEQUENCE_STAGE = "lung segmenter", "slice encoder", "sequence head"
#: Behind the stage of a training whose weights another one began with.
_EARLIER = ", before"


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """One case that weights were fitted or chosen on."""

    stage: str
    """Which training saw it."""
    source: str
    split: str
    label: str
    patient: str
    """`source`, `split`, `label`, `patient`: as the cohort names them. The patient's name stays in
    the run's folder; a bundle holds its hash."""
    fingerprint: str
    """`study_fingerprint`; empty where it is not known."""
    form: str
    """What it is: "study", "slice", or "slice with lesions laid in"."""


def training_case(case: PreparedCase, stage: str) -> TrainingCase:
    """A prepared case as it is kept."""
    row = case.case
    form = "study" if case.is_volume else "slice"
    if not case.is_volume and row.extra.get(INSERTED_COLUMNS[0]):
        form = "slice with lesions laid in"
    return TrainingCase(
        stage, row.source, row.split, row.label, row.patient, case.fingerprint, form
    )


def training_cases(
    cases: Sequence[PreparedCase], stage: str, began_with: str
) -> list[TrainingCase]:
    """`with_earlier` of prepared cases."""
    return with_earlier([training_case(case, stage) for case in cases], began_with)


def with_earlier(rows: Sequence[TrainingCase], began_with: str) -> list[TrainingCase]:
    """Whom a training learns from, and whom the checkpoint it begins with, if any, had learnt from.

    Raises
    ------
    ReadError
        Nothing beside the checkpoint says whom it has seen: a bundle made of it could not either.
    """
    if not began_with:
        return list(rows)
    before = read_training_cases(Path(began_with).parent)
    return [
        *rows,
        *(replace(row, stage=row.stage.removesuffix(_EARLIER) + _EARLIER) for row in before),
    ]


def write_training_cases(rows: Sequence[TrainingCase], folder: Path) -> None:
    """Keep them beside the weights."""
    lines = ",\n ".join(json.dumps(asdict(row)) for row in rows)
    write_whole(folder / TRAINING_CASES, f"[\n {lines}\n]\n")


def read_training_cases(folder: Path) -> tuple[TrainingCase, ...]:
    """What `write_training_cases` left.

    Raises
    ------
    ReadError
        It is missing or not what was written.
    """
    path = folder / TRAINING_CASES
    try:
        return tuple(TrainingCase(**row) for row in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ReadError(
            f"no readable {path}",
            expected=f"the {TRAINING_CASES} that training leaves beside its weights: it says whom "
            "they saw",
            action="Begin with weights in the folder they were trained in, or leave out "
            "`init_from`.",
        ) from error
