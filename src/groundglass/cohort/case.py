"""The nouns: a case, which is one row of the table, and the cohort, which is all of them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from groundglass.errors import InputError, SettingsError

#: Words of the column `split`, in the order in which they are shown.
SPLITS = ("train", "validation", "test")
#: Label of a case known to have pneumonia, but not of which kind. It counts as ill, and is left out
#: wherever kinds are told apart. A bundle with a class of this name means that class.
PNEUMONIA = "pneumonia"


@dataclass(frozen=True, slots=True)
class Case:
    """One study of one patient, with what is known about it."""

    patient: str
    """Who, as the data names the person. Every row of one patient has the same word; it never
    appears in a message."""
    study: Path
    """Absolute. What `study_kind` knows: DICOM, NIfTI, an image, images, a phantom."""
    label: str
    """Class, or `PNEUMONIA`."""
    split: str
    """"train", "validation", "test", or "" for a case that is in none."""
    source: str
    """Where the study comes from: the data set or the hospital."""
    row: int
    """Number in the table as a spreadsheet counts: the header is row 1, the first case row 2."""
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    """All other columns; an empty cell is ""."""

    def __post_init__(self) -> None:
        empty = [name for name in ("patient", "label", "source") if not getattr(self, name).strip()]
        if empty:
            raise InputError(
                f"an empty {' and '.join(empty)} in row {self.row}",
                expected="a patient, a label and a source for every study",
                action="Fill the cell, or leave the row out.",
            )
        if self.split not in ("", *SPLITS):
            raise InputError(
                f"the split {self.split!r} in row {self.row}",
                expected=f"{', '.join(SPLITS)}, or an empty cell",
                action="Correct the word; `groundglass cohort split` makes splits by patient.",
            )
        if not self.study.is_absolute():
            raise InputError(
                f"a relative study path in row {self.row}",
                expected="an absolute path",
                action="Read the table with `read_cohort`, which resolves paths.",
            )
        object.__setattr__(self, "extra", dict(self.extra))


@dataclass(frozen=True, slots=True)
class Cohort:
    """Cases, in the table's order."""

    path: Path
    """The table they were read from, or will be written to."""
    cases: tuple[Case, ...]
    """At least one row makes a table; a split of it may be empty."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return tuple(sorted({case.label for case in self.cases}))

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients, each once, sorted."""
        return tuple(sorted({case.patient for case in self.cases}))

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources, sorted."""
        return tuple(sorted({case.source for case in self.cases}))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have cases, in their usual order; "" last."""
        present = {case.split for case in self.cases}
        return tuple(split for split in (*SPLITS, "") if split in present)

    def of_split(self, split: str) -> Self:
        """The cases of one split; empty when there are none.

        Raises
        ------
        SettingsError
            A split of another name.
        """
        if split not in SPLITS:
            raise SettingsError(
                f"the split {split!r}",
                expected=", ".join(SPLITS),
                action="Give one of these.",
            )
        return replace(self, cases=tuple(case for case in self.cases if case.split == split))

    def of_label(self, label: str) -> Self:
        """The cases of one class; empty when there are none."""
        return replace(self, cases=tuple(case for case in self.cases if case.label == label))

    def counts(self) -> dict[str, dict[str, int]]:
        """Patients per split and class, a zero where there are none; splits as `splits`."""
        seen: dict[str, dict[str, set[str]]] = {
            split: {label: set() for label in self.labels} for split in self.splits
        }
        for case in self.cases:
            seen[case.split][case.label].add(case.patient)
        return {
            split: {label: len(patients) for label, patients in by_label.items()}
            for split, by_label in seen.items()
        }


def patient_hash(patient: str, salt: str) -> str:
    """A keyed hash of a patient's name in a table: HMAC-SHA-256 (RFC 2104), in hexadecimal.

    Equal patients give equal hashes under one salt, so that a cohort can be compared with the
    hashes a bundle holds. It is no anonymisation: who knows the salt can try names.

    Parameters
    ----------
    patient : str
        As in the column `patient`; blanks around it do not count.
    salt : str
        Kept beside the hashes, of one bundle or one project.

    Raises
    ------
    SettingsError
        An empty salt.
    """
    if not salt:
        raise SettingsError(
            "an empty salt",
            expected="some random text, kept beside the hashes",
            action="Draw one with `secrets.token_hex(16)`.",
        )
    return hmac.new(salt.encode(), patient.strip().encode(), hashlib.sha256).hexdigest()
