"""Images of two patients are never judged together, and nobody is named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from groundglass.core.study import Instance
from groundglass.errors import InputError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.dicom.headers.ct_header import CtHeader, DicomInstance
from groundglass.read.dicom.headers.patient_traits import (
    PATIENT_KEYWORDS,
    PatientTraits,
    patient_traits,
)
from groundglass.read.dicom.patients import by_patient, refuse_mixed_patients
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


def traits(**who: str) -> PatientTraits:
    return patient_traits({keyword: who.get(keyword, "").encode() for keyword in PATIENT_KEYWORDS})


def images(uid: str, count: int, **who: str) -> list[Instance]:
    return [
        DicomInstance(Path("x"), None, "1", f"{uid}.{k}", CtHeader(patient=traits(**who)))
        for k in range(count)
    ]


def uids(instances: Iterable[Instance]) -> set[str]:
    return {instance.sop_instance_uid for instance in instances}


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"PatientID": "a1"}, {"PatientID": " A1\0"}),
        ({"PatientBirthDate": "19510203"}, {"PatientBirthDate": "1951-02-03"}),
        ({"PatientSex": "F"}, {"PatientSex": "female"}),
        ({"PatientName": "Doe^Jane"}, {"PatientName": "doe jane^^^=ideographic=phonetic"}),
        ({"IssuerOfPatientID": "Ward"}, {"IssuerOfPatientID": "WARD"}),
    ],
)
def test_spellings_of_a_trait_are_one(one: dict[str, str], same: dict[str, str]) -> None:
    assert traits(**one) == traits(**same) != traits()
    assert traits(**one).known == 1
    assert traits(**one).differences(traits(**same)) == []


@pytest.mark.parametrize("keyword", PATIENT_KEYWORDS)
def test_traits_differ_where_both_have_one_and_it_is_another(keyword: str) -> None:
    """A name only where one of them has no number."""
    changed = "19530405" if keyword == "PatientBirthDate" else "M"
    mine, theirs = traits(**WHO), traits(**{**WHO, keyword: changed})
    place = PATIENT_KEYWORDS.index(keyword)
    trait = ("number", "issuer", "birth_date", "sex", "name")[place]
    expected = [] if trait == "name" else [trait]
    assert mine.differences(theirs) == theirs.differences(mine) == expected
    assert mine.differences(traits(**{**WHO, keyword: ""})) == []
    for who in (WHO, {**WHO, keyword: changed}):
        one = traits(**{**WHO, "PatientID": ""})
        other = traits(**{**who, "PatientID": who["PatientID"] if trait != "number" else ""})
        told = [trait] if who != WHO and trait != "number" else []
        assert one.differences(other) == told


def test_joined_traits_are_those_of_either() -> None:
    less = traits(PatientID="1", PatientSex="F")
    more = traits(PatientID="1", PatientName="Doe", IssuerOfPatientID="W")
    assert less.joined(more) == more.joined(less)
    assert less.joined(more) == traits(
        PatientID="1", PatientSex="F", PatientName="Doe", IssuerOfPatientID="W"
    )


def test_a_header_with_less_goes_to_whom_it_fits() -> None:
    jane = images("1", 2, PatientID="1", PatientSex="F", PatientBirthDate="19510203")
    john = images("2", 3, PatientID="2", PatientSex="M")
    no_sex, no_number = images("3", 2, PatientID="1"), images("4", 1, PatientSex="M")
    found = by_patient([*no_number, *no_sex, *john, *jane])
    assert [uids(one.instances) for one in found] == [
        uids([*jane, *no_sex]),
        uids([*john, *no_number]),
    ]
    # What they say is gathered: who has no birth date here is known by that of the other.
    assert found[0].traits == traits(PatientID="1", PatientSex="F", PatientBirthDate="19510203")


def test_the_patient_with_the_most_images_comes_first_whatever_the_order() -> None:
    few, many = images("1", 2, PatientID="1", PatientSex="F"), images("2", 5, PatientID="2")
    for order in ([*few, *many], [*many[::-1], *few]):
        assert [len(one.instances) for one in by_patient(order)] == [5, 2]


def test_what_names_nobody_is_of_one_patient() -> None:
    nameless = [Instance(Path("x"), None, "", f"{k}") for k in range(3)]
    (one,) = by_patient([*nameless, *images("1", 2, PatientID="1")])
    assert len(one.instances) == 5
    refuse_mixed_patients(nameless)
    refuse_mixed_patients([])


@pytest.mark.parametrize(
    ("patients", "words"),
    [
        (2, "images of 2 patients in one study (9 and 8 images, which"),
        (4, "images of 4 patients in one study (9 and 8 and 7 and 6 images, which"),
        (5, "images of 5 patients in one study (9 and 8 and 7 and 6 and 5 images, which"),
        (6, "images of 6 patients in one study (9 and 8 and 7 and 6 and 5 and more images, which"),
    ],
)
def test_images_of_several_patients_are_counted(patients: int, words: str) -> None:
    every = [
        image
        for k in range(patients)
        for image in images(f"{k}", 9 - k, PatientID=f"{k}", PatientSex="FM"[k % 2])
    ]
    with pytest.raises(InputError) as caught:
        refuse_mixed_patients(every)
    assert words in str(caught.value)
    assert "which differ in Patient ID, sex)" in str(caught.value)


@pytest.mark.parametrize("keyword", PATIENT_KEYWORDS)
def test_digests_rest_on_this_run_s_key(keyword: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a list of names would tell whose they are."""
    here = traits(**{keyword: WHO[keyword]})
    monkeypatch.setattr("groundglass.read.dicom.headers.patient_traits._KEY", b"of another run")
    assert traits(**{keyword: WHO[keyword]}).differences(here) != []


def test_no_trait_can_be_read_or_compared_beyond_this_run(tmp_path: Path) -> None:
    (series,) = read_study(write(named(), tmp_path)).series
    (patient,) = by_patient(series.instances)
    text = repr(patient.traits)
    assert patient.traits.known == len(WHO)
    assert not any(value.upper() in text.upper() for value in WHO.values() if len(value) > 1)
