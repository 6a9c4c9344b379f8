"""The cohort of single slices that teaches to tell ill from not ill, whatever the source.

    python -m groundglass.train.slice_cohort --data ../shared/data --out runs/slices

A slice is ill where a lesion can be seen, not because its patient is: where lesions were marked,
the marks decide (`lung-volumes`, `lesion-slices`); of MosMedData CT-2 and worse are ill, of CT-1,
whose one slice often shows nothing, a part. Not ill are CT-0, LUNA16, "Finding and Measuring Lungs"
and the slices of COVID-19 patients without a mark. Into all of these lesions are laid as well: the
phantom's, whose kind is known, and real ones cut from training patients, whose kind is not. Every
source so gives both answers, and rows of another look give every answer every look.

Patients keep one split. `--leave-out SOURCE` tests on a whole source instead.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from groundglass.cohort import Case, Cohort, write_cohort
from groundglass.cohort.image_files import WINDOW
from groundglass.cohort.importers.dataset import read_rows
from groundglass.train.data.made_beside_real import made_beside_real
from groundglass.train.data.marked_slices import MarkedSlice, lesion_slices, volume_slices
from groundglass.train.data.patches import cut_patches, write_patches
from groundglass.train.data.prepare_slice import (
    INSERTED_COLUMNS,
    LESION_COLUMN,
    LOOK_COLUMN,
    PATCHES_COLUMN,
    REALISM_COLUMN,
)
from groundglass.train.data.realism import RealOrMade
from groundglass.train.mixed_cohort import HEALTHY, lung_slices

#: What slices are labelled that are ill, nobody knows with which pneumonia.
ILL = "ill"
PATCHES, REALISM = "patches.npz", "realism.json"
#: Shares of a slice's lung that marks must cover for it to be ill; between 0 and this nobody knows.
_LEAST_LESION = 0.005
#: Of the slices of a LUNA16 volume every so many-th is taken: neighbours show the same.
_LUNA_STEP = 4
#: The window that LUNA16's volumes were exported with: air and soft tissue lie where it has them.
LUNA_WINDOW = (-600.0, 1500.0)
#: Of ten patients, in which split each is.
_SPLITS = ("test", "test", "validation", *["train"] * 7)


@dataclass(frozen=True, slots=True)
class SliceCohortSettings:
    """What goes into the cohort."""

    leave_out: tuple[str, ...] = ()
    """Sources that are tested on whole; no lesion of theirs is laid in anywhere."""
    healthy_looks: int = 3
    ill_looks: int = 2
    """`healthy_looks`, `ill_looks`: rows of another look beside each training slice as it is."""
    patches: int = 2
    """Rows with real lesions laid in, per training slice that is not ill."""
    mild: float = 0.4
    """Share of the patients with CT-1 that train."""
    seed: int = 20210607
    """Of splits, lesions and looks."""


def slice_cohort(data: Path, out: Path, settings: SliceCohortSettings) -> Cohort:
    """Build the table, and write the slices that are not images yet and the lesions to lay in.

    `data` holds mosmed-slices, luna-slices, luna-volumes, lung-masks, lung-volumes and
    lesion-slices.
    """
    plain = [*_mosmed(data / "mosmed-slices", settings), *_luna(data)]
    plain += [replace(case, label=HEALTHY) for case in lung_slices(data / "lung-masks", out)]
    marked = [*volume_slices(data / "lung-volumes"), *lesion_slices(data / "lesion-slices")]
    plain += _written(marked, out / "marked")
    plain = [replace(case, split=_split(case, settings)) for case in plain]
    training = {case.patient for case in plain if case.split == "train"}
    learnt = [one for one in marked if one.patient in training]
    write_patches((patch for one in learnt for patch in cut_patches(one.hu, one.lung, one.lesion)),
                  out / PATCHES)  # fmt: skip
    laid = {PATCHES_COLUMN: str((out / PATCHES).absolute())}
    real_or_made = RealOrMade.fit([*made_beside_real(learnt, settings.seed)])
    if real_or_made:
        real_or_made.write(out / REALISM)
        laid[REALISM_COLUMN] = str((out / REALISM).absolute())
    rows = [row for case in plain for row in (case, *_copies(case, laid, settings))]
    numbered = tuple(replace(case, row=row) for row, case in enumerate(rows, start=2))
    return Cohort(out / "cohort.csv", numbered)


def _split(case: Case, settings: SliceCohortSettings) -> str:
    """By the patient's name, so that every table deals alike; volumes are too few to test on."""
    if case.source in settings.leave_out:
        return "test"
    if case.source in ("medseg", "luna-volumes"):
        return "train"
    return _SPLITS[zlib.crc32(case.patient.encode()) % len(_SPLITS)]


def _mosmed(folder: Path, settings: SliceCohortSettings) -> Iterator[Case]:
    for row in read_rows(folder / "labels.csv", "file", "patient_id", "severity"):
        case = Case(
            f"mosmed/{row['patient_id']}",
            folder / "images" / row["file"],
            HEALTHY if row["severity"] == "CT-0" else ILL,
            "",
            "mosmed",
            2,
            {"severity": row["severity"]},
        )
        tested = "mosmed" in settings.leave_out or _split(case, settings) == "test"
        mild = row["severity"] == "CT-1" and not tested
        if not mild or _rng(case, settings, "mild").random() < settings.mild:
            yield case


def _luna(data: Path) -> Iterator[Case]:
    """Single slices, whose windows are unknown, and every so many-th slice of the volumes."""
    for row in read_rows(data / "luna-slices" / "labels.csv", "image", "patient"):
        study = data / "luna-slices" / row["image"]
        yield Case(f"luna16/{row['patient']}", study, HEALTHY, "", "luna16", 2)
    stated = dict(zip(WINDOW, map(str, LUNA_WINDOW), strict=True))
    for folder in sorted((data / "luna-volumes").glob("luna-volume-*")):
        for study in sorted(folder.glob("*.jpg"))[::_LUNA_STEP]:
            yield Case(f"luna16/{folder.name}", study, HEALTHY, "", "luna-volumes", 2, stated)


def _written(marked: Iterable[MarkedSlice], folder: Path) -> Iterator[Case]:
    """Marked slices as images; those with next to nothing marked are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in marked:
        share = one.lesion.sum() / max(1, one.lung.sum())
        if 0 < share < _LEAST_LESION:
            continue
        image, mask = (folder / f"{one.name}{end}.png" for end in ("", "-lesion"))
        cv2.imwrite(str(image), one.grey)
        cv2.imwrite(str(mask), one.lesion.astype(np.uint8) * 255)
        extra = dict(zip(WINDOW, map(str, one.window), strict=True)) | {LESION_COLUMN: mask.name}
        label = ILL if share else HEALTHY
        yield Case(one.patient, image.absolute(), label, "", one.source, 2, extra)


def _copies(case: Case, laid_from: dict[str, str], settings: SliceCohortSettings) -> Iterator[Case]:
    """A training slice in other looks and, where it is not ill, with lesions of every kind."""
    if case.split not in ("train", "validation"):
        return
    trains = case.split == "train"
    rng = _rng(case, settings, "copies")
    looks = settings.healthy_looks if case.label == HEALTHY else settings.ill_looks
    for _ in range(looks * trains):
        yield _with(case, {LOOK_COLUMN: _seed(rng)}, case.label)
    if case.label != HEALTHY:
        return
    findings = {LESION_COLUMN: "", REALISM_COLUMN: laid_from.get(REALISM_COLUMN, "")}
    for label in ("CP", "NCP", HEALTHY):
        severity = f"{rng.uniform(0.05, 1.0):.3f}"
        laid = dict(zip(INSERTED_COLUMNS, (label, severity, _seed(rng)), strict=True))
        yield _with(case, findings | laid | {LOOK_COLUMN: _seed(rng) if trains else ""}, label)
    for _ in range(settings.patches * trains):
        laid = dict(zip(INSERTED_COLUMNS, (ILL, "", _seed(rng)), strict=True))
        laid |= {PATCHES_COLUMN: laid_from[PATCHES_COLUMN], LOOK_COLUMN: _seed(rng)}
        yield _with(case, findings | laid, ILL)


def _with(case: Case, extra: dict[str, str], label: str) -> Case:
    return replace(case, label=label, extra={**case.extra, **extra})


def _rng(case: Case, settings: SliceCohortSettings, of: str) -> np.random.Generator:
    """What is decided for a slice hangs on it alone, so that tables share prepared slices."""
    named = f"{case.patient}/{case.study.name}/{of}"
    return np.random.default_rng([settings.seed, zlib.crc32(named.encode())])


def _seed(rng: np.random.Generator) -> str:
    return str(rng.integers(1 << 30))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of public sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for table and slices")
    parser.add_argument("--leave-out", action="append", default=[], help="a source to test on")
    given = parser.parse_args(arguments)
    out: Path = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    settings = SliceCohortSettings(tuple(given.leave_out))
    found = slice_cohort(given.data.absolute(), out, settings)
    write_cohort(found, found.path)


if __name__ == "__main__":
    main()
