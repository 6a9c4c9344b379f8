"""Cohorts without a source shortcut: every source that trains gives every class.

    python -m groundglass.train.mixed_cohort --data DATA --course synthetic --out synthetic
    python -m groundglass.train.mixed_cohort --data DATA --course real \
        --phantoms phantoms/cohort.csv --out mixed

The synthetic course has no real disease: slices of "Finding and Measuring Lungs" (largely without
pneumonia), as they are and with the phantom's lesions of both kinds laid in; every patient of
MosMedData is its test. The real course goes on with MosMedData itself: healthy slices as they are
and with lesions laid in, and slices with COVID-19 as CP; a fold of its patients is the test. Either
may have phantom studies beside. Patients keep one split, copies go with their patient.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from groundglass.cohort import (
    Case,
    Cohort,
    SplitSettings,
    hold_out_fold,
    read_cohort,
    split_cohort,
    write_cohort,
)
from groundglass.cohort.importers import import_dataset
from groundglass.phantom import LABELS
from groundglass.prepare import Recipe
from groundglass.prepare.intensity import segmenter_window
from groundglass.train.data.annotated_slices import read_annotated_slices
from groundglass.train.data.prepare_slice import INSERTED_COLUMNS

HEALTHY = "healthy"
#: Too little lung to lay lesions into: slices at the very top and bottom.
_LEAST_LUNG = 0.06


@dataclass(frozen=True, slots=True)
class MixedSettings:
    """What goes into the cohort."""

    course: Literal["synthetic", "real"]
    """Which of the two."""
    fold: int = 1
    """Fold of MosMedData's patients that is tested on, from 1; the real course only."""
    folds: int = 5
    """Into how many they are dealt, stratified by severity."""
    copies: int = 1
    """Rows per healthy slice and class with findings laid in; the healthy class gets as many with
    everyday confusers."""
    repeats: int = 3
    """Rows per real healthy slice as it is, in the training split of the real course: there are
    fewer healthy patients than ill ones."""
    mild: float = 0.4
    """Share of the patients with CT-1 that train in the real course. Their one slice often shows no
    lesion, and with all of them healthy and ill would look alike to the training."""
    seed: int = 20210607
    """Of splits and lesions."""


def mixed_cohort(data: Path, phantoms: Cohort | None, out: Path, settings: MixedSettings) -> Cohort:
    """Build the table, and write the slices that are not images yet.

    `data` holds mosmed-slices and lung-masks; phantoms are split already, and keep their test
    split.
    """
    real = mosmed_cases(data / "mosmed-slices", settings)
    if settings.course == "synthetic":
        tested = [replace(case, split="test") for case in real]
        lungs = lung_slices(data / "lung-masks", out / "slices")
        cases = [*tested, *lungs, *with_inserted_lesions(lungs, settings)]
    else:
        kept = [case for case in real if _trains(case, settings)]
        healthy = [case for case in kept if case.label == HEALTHY and case.split != "test"]
        again = [case for case in healthy if case.split == "train"] * (settings.repeats - 1)
        cases = [*kept, *again, *with_inserted_lesions(healthy, settings)]
    cases += phantoms.cases if phantoms else []
    numbered = tuple(replace(case, row=row) for row, case in enumerate(cases, start=2))
    return Cohort(out / "cohort.csv", numbered)


def mosmed_cases(folder: Path, settings: MixedSettings) -> list[Case]:
    """MosMedData's slices: a fold to test on, a tenth of the rest to validate on.

    Patients are dealt by severity, so that each split has its share of the few severe ones.
    """
    imported = import_dataset("mosmed", folder, folder / "cohort.csv").cohort
    by_severity = replace(
        imported,
        cases=tuple(
            # CT-4 has two patients, too few for folds of their own.
            replace(case, label="CT-3" if severity == "CT-4" else severity)
            for case in imported.cases
            for severity in [case.extra["severity"]]
        ),
    )
    share = SplitSettings(validation=0, test=0, seed=settings.seed, folds=settings.folds)
    dealt = hold_out_fold(split_cohort(by_severity, share), settings.fold)
    kept = SplitSettings(validation=0.1, test=0, seed=settings.seed, keep_test=True)
    split = split_cohort(dealt, kept)
    return [replace(case, label=HEALTHY if case.label == "CT-0" else "CP") for case in split.cases]


def _trains(case: Case, settings: MixedSettings) -> bool:
    """Whether a case stays: all but some of the mild ones, chosen by the patient's name."""
    if case.split != "train" or case.extra["severity"] != "CT-1":
        return True
    return np.random.default_rng(_number(case, settings)).random() < settings.mild


def _number(case: Case, settings: MixedSettings) -> list[int]:
    """Seed of all that is decided for a patient, whatever the fold."""
    return [settings.seed, zlib.crc32(case.patient.encode())]


def with_inserted_lesions(cases: Sequence[Case], settings: MixedSettings) -> list[Case]:
    """Copies of healthy slice cases into which findings of every class are laid.

    What is laid depends on the patient alone, so that folds share prepared slices.
    """
    rows = []
    for case in cases:
        rng = np.random.default_rng(_number(case, settings))
        for label in LABELS:
            for _ in range(settings.copies):
                values = (label, f"{rng.uniform(0.05, 1.0):.3f}", str(rng.integers(1 << 30)))
                extra = {**case.extra, **dict(zip(INSERTED_COLUMNS, values, strict=True))}
                rows.append(replace(case, label=label, extra=extra))
    return rows


def lung_slices(folder: Path, out: Path) -> list[Case]:
    """The annotated lung slices as 8-bit images; its own test slices stay out of training."""
    out.mkdir(parents=True, exist_ok=True)
    cases = []
    for name, split in (("train", "train"), ("val", "validation")):
        for one in read_annotated_slices(folder / name):
            if one.lung.mean() < _LEAST_LUNG:
                continue
            path = (out / f"{one.name}.png").resolve()
            cv2.imwrite(str(path), segmenter_window(one.hu, Recipe()))
            cases.append(Case(f"lungs-{one.name}", path, HEALTHY, split, "finding-lungs", 2))
    return cases


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="mosmed-slices and lung-masks")
    parser.add_argument("--phantoms", type=Path, help="table of phantom studies")
    parser.add_argument("--out", type=Path, required=True, help="folder for table and slices")
    parser.add_argument("--fold", type=int, default=1, help="fold of real patients to test on")
    parser.add_argument("--copies", type=int, default=1, help="laid copies per slice and class")
    parser.add_argument("--course", choices=("synthetic", "real"), required=True)
    given = parser.parse_args(arguments)
    settings = MixedSettings(given.course, given.fold, copies=given.copies)
    phantoms = read_cohort(given.phantoms) if given.phantoms else None
    found = mixed_cohort(given.data.resolve(), phantoms, given.out.resolve(), settings)
    write_cohort(found, found.path)


if __name__ == "__main__":
    main()
