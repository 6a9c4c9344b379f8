"""Whether images are of one patient, told without keeping who that is."""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from groundglass.core.study import Instance
from groundglass.errors import InputError

#: What the header says of the patient (PS3.3 C.7.1.1).
PATIENT_KEYWORDS = (
    "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientName",
)  # fmt: skip
#: Differs from run to run, so that a digest that got out could be compared with nothing.
_KEY = secrets.token_bytes(16)
_DIGEST_BYTES = 8
#: How messages call what differs.
_WORDS = {
    "number": "Patient ID",
    "issuer": "Issuer of Patient ID",
    "birth_date": "birth date",
    "sex": "sex",
    "name": "name",
}
_COUNTED = 5  # patients whose images are counted in a message


@dataclass(frozen=True, slots=True)
class PatientTraits:
    """What tells one patient from another: digests, equal where the header's values are.

    Empty where the header has no value. They are good for one run of the program.

    Parameters
    ----------
    number, issuer, birth_date, sex, name : str
        Of Patient ID, Issuer of Patient ID, Patient's Birth Date, Sex and Name.
    """

    number: str = ""
    issuer: str = ""
    birth_date: str = ""
    sex: str = ""
    name: str = ""

    @property
    def known(self) -> int:
        """How many of them the header has."""
        return sum(map(bool, astuple(self)))

    def differences(self, other: PatientTraits) -> list[str]:
        """The traits by which these are two patients; none where they may be one.

        A value that one of them lacks tells nothing. Names are spelt in many ways: they are asked
        only where a Patient ID is missing.
        """
        asked = [one.name for one in fields(self)]
        if self.number and other.number:
            asked.remove("name")
        pairs = ((trait, getattr(self, trait), getattr(other, trait)) for trait in asked)
        return [trait for trait, mine, theirs in pairs if mine and theirs and mine != theirs]

    def joined(self, other: PatientTraits) -> PatientTraits:
        """What both together say of one patient."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return PatientTraits(*(mine or theirs for mine, theirs in pairs))


def patient_traits(values: Mapping[str, bytes]) -> PatientTraits:
    """Traits of the patient a header names.

    Parameters
    ----------
    values : mapping of str to bytes
        The elements of `PATIENT_KEYWORDS` as they are stored.
    """
    text = {keyword: values[keyword].decode("latin-1").strip(" \0").upper() for keyword in values}
    digits = "".join(filter(str.isdigit, text["PatientBirthDate"]))
    # Components and their groups are set apart by ^ and =, with or without the empty ones.
    name = " ".join(text["PatientName"].replace("^", " ").partition("=")[0].split())
    return PatientTraits(
        number=_digest(text["PatientID"]),
        issuer=_digest(text["IssuerOfPatientID"]),
        birth_date=_digest(digits),
        sex=_digest(text["PatientSex"][:1]),
        name=_digest(name),
    )


def _digest(value: str) -> str:
    if not value:
        return ""
    return hashlib.blake2b(value.encode(), key=_KEY, digest_size=_DIGEST_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class PatientImages:
    """The images of one patient.

    Parameters
    ----------
    traits : PatientTraits
        All that their headers say of the patient.
    instances : tuple of Instance
        At least one.
    """

    traits: PatientTraits
    instances: tuple[Instance, ...]

    def joined(self, instances: Sequence[Instance], traits: PatientTraits) -> PatientImages:
        """With more images."""
        return PatientImages(self.traits.joined(traits), (*self.instances, *instances))


def by_patient(instances: Iterable[Instance]) -> list[PatientImages]:
    """Images of each patient, the most first; of one patient where nothing tells two apart.

    Parameters
    ----------
    instances : iterable of Instance
        Images; what is not DICOM names nobody.
    """
    alike: defaultdict[PatientTraits, list[Instance]] = defaultdict(list)
    for instance in instances:
        traits = instance.attributes.get("PatientTraits")
        alike[traits if isinstance(traits, PatientTraits) else PatientTraits()].append(instance)
    patients: list[PatientImages] = []
    # Whoever says the most comes first, so that a header with less finds whom it fits.
    order = {one: min(image.sop_instance_uid for image in images) for one, images in alike.items()}
    for traits in sorted(alike, key=lambda one: (-one.known, order[one])):
        for index, patient in enumerate(patients):
            if not patient.traits.differences(traits):
                patients[index] = patient.joined(alike[traits], traits)
                break
        else:
            patients.append(PatientImages(traits, tuple(alike[traits])))
    return sorted(patients, key=lambda patient: -len(patient.instances))


def refuse_mixed_patients(instances: Iterable[Instance]) -> None:
    """See to it that images are of one patient.

    Parameters
    ----------
    instances : iterable of Instance
        What is to be judged together.

    Raises
    ------
    InputError
        Patient ID, issuer, birth date or sex differ; without a Patient ID, the name. Says how
        many patients and images there are, and names nobody.
    """
    first, *others = by_patient(instances) or [PatientImages(PatientTraits(), ())]
    if not others:
        return
    found = {trait for other in others for trait in first.traits.differences(other.traits)}
    what = ", ".join(words for trait, words in _WORDS.items() if trait in found)
    counts = " and ".join(str(len(one.instances)) for one in (first, *others)[:_COUNTED])
    raise InputError(
        f"images of {1 + len(others)} patients in one study ({counts}"
        f"{' and more' if len(others) >= _COUNTED else ''} images, which differ in {what})",
        expected="one patient",
        action="Set right in the archive whose images these are; until then nothing is analysed.",
    )
