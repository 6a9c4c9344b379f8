"""What is known of a study: the table's word, else the header's, and nothing guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from groundglass.cohort import Case, open_study
from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.evaluate.run.strata import strata_of, strata_of_row


def case(study: Path = Path("/study"), **extra: str) -> Case:
    return Case("Somebody", study, "CP", "test", "here", 2, extra)


def volume(spacing_mm: float) -> Volume:
    axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    geometry = Geometry((2, 3, 3), (spacing_mm, 1.0, 1.0), (0.0, 0.0, 0.0), axes)
    return Volume(np.zeros((2, 3, 3), dtype=np.int16), geometry)


@pytest.mark.parametrize(
    ("cell", "years"),
    [("63", 63), ("063Y", 63), ("18M", 1.5), ("60-69", 64.5), ("7.5", 7.5), ("", None),
     ("old", None), ("-5", None), ("60-", None), ("1-2-3", None), ("nan", None)],
)  # fmt: skip
def test_ages(cell: str, years: float | None) -> None:
    assert strata_of_row(case(age=cell)).age_years == (
        None if years is None else pytest.approx(years)
    )


@pytest.mark.parametrize(
    ("cell", "sex"),
    [("F", "F"), ("female", "F"), ("m", "M"), ("Other", "O"), ("", ""), ("?", ""), ("1", "")],
)
def test_sexes(cell: str, sex: str) -> None:
    assert strata_of_row(case(sex=cell)).sex == sex


def test_columns_are_understood_as_people_and_dicom_write_them() -> None:
    named = {"Manufacturer": "Maker", "ManufacturerModelName": "One", "Slice_Thickness_mm": "1.25"}
    found = strata_of_row(case(**named))
    assert (found.scanner, found.thickness_mm) == ("Maker One", 1.25)
    assert strata_of_row(case(scanner="The big one", **named)).scanner == "The big one"


def test_without_any_word_the_distance_of_slices_stands_for_their_thickness() -> None:
    assert strata_of(case(), volume(4.0)).thickness_mm == 4.0
    assert strata_of(case(thickness_mm="2"), volume(4.0)).thickness_mm == 2.0
    assert strata_of_row(case()).thickness_mm is None


def test_a_dicom_header_is_read_and_the_table_has_the_last_word(phantom_study: Path) -> None:
    header = pydicom.dcmread(next(p for p in phantom_study.rglob("*") if p.is_file()))
    opened = open_study(case(phantom_study))
    found = strata_of(case(phantom_study), opened)
    assert found.scanner == f"{header.Manufacturer} {header.ManufacturerModelName}"
    assert found.thickness_mm == float(header.SliceThickness)
    assert found.sex == header.PatientSex
    assert found.age_years == int(header.PatientAge[:3])
    said = strata_of(case(phantom_study, sex="O", age="99"), opened)
    assert (said.sex, said.age_years) == ("O", 99.0)
