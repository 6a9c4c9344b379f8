"""What tells one patient from another, without keeping who that is."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

#: What the header says of the patient (PS3.3 C.7.1.1).
PATIENT_KEYWORDS = (
    "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientName",
)  # fmt: skip
#: Differs from run to run, so that a digest that got out could be compared with nothing.
_KEY = secrets.token_bytes(16)
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class PatientTraits:
    """What tells one patient from another: digests, equal where the header's values are.

    Of Patient ID, Issuer of Patient ID, Patient's Birth Date, Sex and Name; empty where the header
    has no value. They are good for one run of the program.
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
    """Traits of the patient whom the elements of `PATIENT_KEYWORDS`, as they are stored, name."""
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
