"""Whether images are of one patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from groundglass.core.study import Instance
from groundglass.errors import InputError
from groundglass.read.dicom.headers.ct_header import DicomInstance
from groundglass.read.dicom.headers.patient_traits import PatientTraits

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
class PatientImages:
    """The images of one patient, at least one, and all that their headers say of the patient."""

    traits: PatientTraits
    instances: tuple[Instance, ...]


def by_patient(instances: Iterable[Instance]) -> list[PatientImages]:
    """Images of each patient, the most first; of one patient where nothing tells two apart.

    What is not DICOM names nobody.
    """
    alike: defaultdict[PatientTraits, list[Instance]] = defaultdict(list)
    for instance in instances:
        said = instance.header.patient if isinstance(instance, DicomInstance) else PatientTraits()
        alike[said].append(instance)
    patients: list[PatientImages] = []
    # Whoever says the most comes first, so that a header with less finds whom it fits.
    order = {one: min(image.sop_instance_uid for image in images) for one, images in alike.items()}
    for traits in sorted(alike, key=lambda one: (-one.known, order[one])):
        for index, patient in enumerate(patients):
            if not patient.traits.differences(traits):
                both = (*patient.instances, *alike[traits])
                patients[index] = PatientImages(patient.traits.joined(traits), both)
                break
        else:
            patients.append(PatientImages(traits, tuple(alike[traits])))
    return sorted(patients, key=lambda patient: -len(patient.instances))


def refuse_mixed_patients(instances: Iterable[Instance]) -> None:
    """See to it that images that are to be judged together are of one patient.

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
