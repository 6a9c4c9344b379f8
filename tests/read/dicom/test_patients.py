"""Images of two patients are never judged together, and nobody is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from groundglass.errors import InputError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.dicom.patients import PATIENT_KEYWORDS, by_patient, patient_traits
from made_ct import STUDY_UID, ct_series, write

WHO = {
    "PatientID": "4711-NOBODY",
    "IssuerOfPatientID": "WARD 9",
    "PatientBirthDate": "19510203",
    "PatientSex": "F",
    "PatientName": "Doe^Jane",
}


def named(**who: str) -> list[Dataset]:
    return ct_series(**{**WHO, **who})


def mixed(other: dict[str, str], but: tuple[str, ...] = ()) -> list[Dataset]:
    """The upper half of the slices of another patient."""
    datasets = named()[:12] + named(**other)[12:]
    for data in datasets:
        for keyword in but:
            delattr(data, keyword)
    return datasets


OTHERS = [
    ({"PatientID": "0815"}, (), "Patient ID"),
    ({"IssuerOfPatientID": "WARD 8"}, (), "Issuer of Patient ID"),
    ({"PatientBirthDate": "19510204"}, (), "birth date"),
    ({"PatientSex": "M"}, (), "sex"),
    ({"PatientName": "Roe^John"}, ("PatientID",), "name"),
]


@pytest.mark.parametrize(("other", "but", "words"), OTHERS, ids=str)
def test_two_patients_are_counted_and_not_named(
    tmp_path: Path, other: dict[str, str], but: tuple[str, ...], words: str
) -> None:
    study = read_study(write(mixed(other, but), tmp_path))
    for judge in (select_chest_ct, lambda study: read_volume(study.series[0])):
        with pytest.raises(InputError, match=r"2 patients .*12 and 12 images") as caught:
            judge(study)
        assert f"differ in {words}" in str(caught.value)
        told = {*WHO.values(), *other.values()} - {"F", "M"}  # single letters are in any text
        assert not any(value in str(caught.value) for value in told)


def test_two_patients_in_two_series_of_one_study(tmp_path: Path) -> None:
    write(named(), tmp_path / "a")
    write(ct_series(number=2, **{**WHO, "PatientID": "0815"}), tmp_path / "b")
    with pytest.raises(InputError, match="2 patients"):
        select_chest_ct(read_study(tmp_path))


def test_another_patients_head_in_a_study_of_its_own_does_no_harm(tmp_path: Path) -> None:
    write(named(), tmp_path / "a")
    other = {"PatientID": "0815", "StudyInstanceUID": f"{STUDY_UID}.55"}
    head = {"SeriesDescription": "Head", "StudyDescription": "CT HEAD"}
    write(ct_series(number=2, **{**WHO, **other, **head}), tmp_path / "b")
    assert len(select_chest_ct(read_study(tmp_path)).instances) == 24


@pytest.mark.parametrize(
    "spelt",
    [
        {"PatientName": "DOE^JANE^^^"},
        {"PatientName": "Doe-Miller^Jane"},
        {"PatientID": "4711-nobody "},
        {"PatientBirthDate": "1951.02.03"},
        {"PatientBirthDate": "", "PatientSex": ""},
        {"PatientID": "", "IssuerOfPatientID": ""},
    ],
    ids=str,
)
def test_spellings_and_gaps_are_one_patient(tmp_path: Path, spelt: dict[str, str]) -> None:
    study = read_study(write(mixed(spelt), tmp_path))
    assert read_volume(select_chest_ct(study)).geometry.shape[0] == 24


def test_a_header_with_less_goes_to_whom_it_fits() -> None:
    def traits(number: str, sex: str) -> object:
        return patient_traits(
            dict.fromkeys(PATIENT_KEYWORDS, b"")
            | {"PatientID": number.encode(), "PatientSex": sex.encode()}
        )

    assert traits("1", "F") == traits(" 1 ", "f")
    assert traits("1", "F") != traits("2", "F")


def test_no_trait_can_be_read_or_compared_beyond_this_run(tmp_path: Path) -> None:
    (series,) = read_study(write(named(), tmp_path)).series
    (patient,) = by_patient(series.instances)
    text = repr(patient.traits)
    assert patient.traits.known == len(WHO)
    assert not any(value.upper() in text.upper() for value in WHO.values() if len(value) > 1)
