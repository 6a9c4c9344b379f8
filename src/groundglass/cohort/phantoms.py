"""Made patients: a small file each, which is rendered when it is read, and cohorts of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from groundglass.cohort.case import SPLITS, Case, Cohort
from groundglass.cohort.table import write_cohort
from groundglass.errors import ReadError, ReportError, SettingsError
from groundglass.phantom import LABELS, PhantomSettings

#: How the files of made patients end.
PHANTOM_SUFFIX = ".phantom.json"
#: What the table is called.
TABLE = "cohort.csv"
#: The paper's patients per class (Table 1). A tenth of its 95, 96 and 79 training patients
#: validates: the paper says a tenth of its segmenter, for the classifier it is our choice.
PAPER_COUNTS: Mapping[str, Mapping[str, int]] = {
    "train": {"CP": 85, "NCP": 86, "healthy": 71},
    "validation": {"CP": 10, "NCP": 10, "healthy": 8},
    "test": {"CP": 25, "NCP": 33, "healthy": 20},
}
#: Our choice: mild cases are hard to tell from healthy, the mildest of all would be noise.
_SEVERITY = (0.15, 1.0)
_SPACING_MM = (2.0, 3.0, 4.0, 5.0)


def read_phantom_settings(path: Path) -> PhantomSettings:
    """The settings in a `*.phantom.json` file: an object with the fields of `PhantomSettings`.

    Raises
    ------
    ReadError
        It cannot be read, or holds other things than a phantom's settings.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _unfit(f"a phantom file that cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _unfit("a phantom file that is no JSON") from error
    known = {field.name for field in fields(PhantomSettings)}
    if not isinstance(values, dict) or not {"label", "seed"} <= set(values) <= known:
        raise _unfit("a phantom file whose fields are not those of PhantomSettings")
    try:
        return PhantomSettings(**values)
    except (SettingsError, TypeError) as error:
        found = error.found if isinstance(error, SettingsError) else "a value of a wrong type"
        raise _unfit(f"a phantom file with {found}") from error


def phantom_json(settings: PhantomSettings) -> str:
    """What a `*.phantom.json` file holds; the same settings always give the same text."""
    return json.dumps(asdict(settings), indent=2, sort_keys=True) + "\n"


def canonical_phantom(settings: PhantomSettings) -> dict[str, Any]:
    """The settings that decide the voxels: what has no meaning is left out."""
    values = asdict(settings)
    if settings.label == "healthy":
        del values["severity"]
    return values


def _unfit(found: str) -> ReadError:
    return ReadError(
        found,
        expected="PhantomSettings as JSON, label and seed at least",
        action="Make it again with `groundglass cohort phantom`.",
    )


@dataclass(frozen=True, slots=True)
class PhantomCohortSettings:
    """How many patients to make, and from which seeds."""

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: PAPER_COUNTS)
    """Patients per split and class. The paper's size."""
    first_seed: int = 100_000
    """Seed of the first patient; each further one has the next. 100 000 leaves the seeds below to
    other uses (the segmenter's phantoms begin at 10 000, the demonstration's at 50 000)."""
    matrix: int = 256
    """Rows and columns of a slice. 256 is what the networks see; a scanner writes 512."""

    def __post_init__(self) -> None:
        for split, classes in self.counts.items():
            if split not in SPLITS:
                _refuse(f"the split {split!r}", ", ".join(SPLITS))
            for label, count in classes.items():
                if label not in LABELS or count < 0:
                    _refuse(f"{count} patients of class {label!r}", f"0 or more of {LABELS}")
        if not sum(sum(classes.values()) for classes in self.counts.values()):
            _refuse("no patients", "at least one")


def _refuse(found: str, expected: str) -> None:
    raise SettingsError(found, expected=expected, action="Change PhantomCohortSettings.counts.")


def made_patient(label: str, seed: int, matrix: int) -> PhantomSettings:
    """One made patient: severity and slice spacing come from the seed alone, never from the class.

    Parameters
    ----------
    label : str
        Class.
    seed : int
        Decides person, scanner and disease.
    matrix : int
        Rows and columns of a slice.
    """
    return PhantomSettings(
        label=label,
        severity=float(np.random.default_rng([seed, 1]).uniform(*_SEVERITY)),
        seed=seed,
        matrix=matrix,
        slice_spacing_mm=float(np.random.default_rng([seed, 2]).choice(_SPACING_MM)),
    )


def write_phantom_cohort(settings: PhantomCohortSettings, folder: Path) -> Cohort:
    """Write made patients, as files of some hundred bytes that are rendered when read, and a table.

    The same settings always give the same files.

    Parameters
    ----------
    settings : PhantomCohortSettings
        Whom to make.
    folder : Path
        Made if missing; must be empty. The table is called `cohort.csv`.

    Returns
    -------
    Cohort
        With the columns `severity`, `seed` and `slice_spacing_mm`.

    Raises
    ------
    ReportError
        The folder holds something, or cannot be written.
    """
    folder = folder.absolute()
    cases: list[Case] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ReportError(
                "a folder that holds something",
                expected="an empty folder, or a name not yet taken",
                action="Give another folder; nothing of yours is ever overwritten.",
            )
        for number, (split, label) in enumerate(_places(settings.counts)):
            patient = made_patient(label, settings.first_seed + number, settings.matrix)
            path = folder / f"{patient.seed}{PHANTOM_SUFFIX}"
            path.write_text(phantom_json(patient), "utf-8")
            cases.append(_case(patient, split, path, row=number + 2))
    except OSError as error:
        raise ReportError(
            f"a folder that cannot be written ({error.strerror})",
            expected="a folder this user may write to",
            action="Give another folder, or mend the permissions.",
        ) from error
    cohort = Cohort(folder / TABLE, tuple(cases))
    write_cohort(cohort, cohort.path)
    return cohort


def _places(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    return [
        (split, label)
        for split in SPLITS
        for label in LABELS
        for _ in range(counts.get(split, {}).get(label, 0))
    ]


def _case(patient: PhantomSettings, split: str, path: Path, row: int) -> Case:
    severity = 0.0 if patient.label == "healthy" else patient.severity
    return Case(
        patient=f"phantom-{patient.seed}",
        study=path,
        label=patient.label,
        split=split,
        source="phantom",
        row=row,
        extra={
            "severity": f"{severity:.3f}",
            "seed": str(patient.seed),
            "slice_spacing_mm": f"{patient.slice_spacing_mm:g}",
        },
    )
