"""What is known of a study beside its pixels: from the table, else from the DICOM header."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from groundglass.cohort import Case
from groundglass.core.volume import Volume
from groundglass.evaluate.run.case_prediction import Strata
from groundglass.read.dicom.headers.ct_header import dicom_instances
from groundglass.read.dicom.identification import read_identification

#: Columns of a table that say it, in the order in which they are looked for; capitals and
#: underscores do not count, so DICOM's keywords are understood too.
_COLUMNS = {
    "scanner": ("scanner",),
    "manufacturer": ("manufacturer",),
    "model": ("manufacturermodelname", "model"),
    "thickness": ("slicethickness", "slicethicknessmm", "thicknessmm", "thickness"),
    "sex": ("patientsex", "sex", "gender"),
    "age": ("patientage", "age", "ageyears"),
}
#: Letters after the number of an age (PS3.5 section 6.2, VR AS), in years.
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M", "o": "O", "other": "O"}


def strata_of_row(case: Case) -> Strata:
    """What the table alone says: all there is of a study that cannot be opened."""
    return _strata(case, {}, None)


def strata_of(case: Case, volume: Volume) -> Strata:
    """What table and header say; the table has the last word."""
    header: dict[str, str] = {}
    series = volume.series
    for instance in dicom_instances(series.instances[:1] if series is not None else ()):
        person = read_identification(instance)
        thickness = instance.header.slice_thickness_mm
        header = {
            "manufacturer": instance.header.manufacturer,
            "model": instance.header.manufacturer_model_name,
            "thickness": "" if thickness is None else str(thickness),
            "sex": str(person.get("PatientSex", "")),
            "age": str(person.get("PatientAge", "")),
        }
    axial = volume.geometry.to_axial()[0]
    return _strata(case, header, axial.spacing_mm[0])


def _strata(case: Case, header: Mapping[str, str], spacing_mm: float | None) -> Strata:
    cells = {name.replace("_", "").lower(): cell.strip() for name, cell in case.extra.items()}

    def said(what: str) -> str:
        found = (cells.get(column, "") for column in _COLUMNS[what])
        return next(filter(None, found), header.get(what, "").strip())

    made_by = " ".join(part for part in (said("manufacturer"), said("model")) if part)
    thickness = _positive(said("thickness"))
    return Strata(
        source=case.source,
        scanner=said("scanner") or made_by,
        thickness_mm=thickness if thickness is not None else spacing_mm,
        sex=_SEXES.get(said("sex").lower(), ""),
        age_years=_age(said("age")),
    )


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _age(text: str) -> float | None:
    """Years from `063Y`, `63` or a range `60-69`, whose middle is taken."""
    unit = _AGE_UNITS.get(text[-1:].upper())
    if unit is not None:
        number = _positive(text[:-1])
        return None if number is None else number * unit
    ends = [_positive(part) for part in text.split("-")]
    known = [cast(float, end) for end in ends]
    return sum(known) / len(known) if None not in ends and len(ends) <= 2 else None
