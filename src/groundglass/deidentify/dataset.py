"""De-identification for exports, teaching sets and defect reports (PS3.15 annex E).

The Basic Application Level Confidentiality Profile, with dates moved instead of removed (Retain
Longitudinal Temporal Information With Modified Dates) and structured reports cleaned instead of
emptied (Clean Structured Content). Images whose pixels may show a name are refused: nothing here
looks at pixels.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from pydicom import uid
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.deidentify.confidentiality import DUMMIES, Treatment, is_registered, treatment
from groundglass.deidentify.pseudonyms import SiteKey
from groundglass.errors import InputError
from groundglass.read.dicom.result_series_descriptions import MANUFACTURER, MODEL, without_time

#: Objects whose pixels come from a tomograph, or have none. Of everything else (ultrasound,
#: radiographs, captures, documents, drawings) the pixels or the text may show a name.
_ACCEPTED = frozenset((
    uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage,
    uid.MRImageStorage, uid.EnhancedMRImageStorage, uid.LegacyConvertedEnhancedMRImageStorage,
    uid.PositronEmissionTomographyImageStorage, uid.EnhancedPETImageStorage,
    uid.LegacyConvertedEnhancedPETImageStorage, uid.SegmentationStorage, uid.ParametricMapStorage,
    uid.BasicTextSRStorage, uid.EnhancedSRStorage, uid.ComprehensiveSRStorage,
    uid.Comprehensive3DSRStorage, uid.KeyObjectSelectionDocumentStorage,
))  # fmt: skip
#: Words in Image Type by which scanners tell pictures of their screens from images.
_SCREEN_WORDS = ("SCREEN", "CAPTURE", "DOSE", "REPORT", "PROTOCOL", "TEXT", "SECONDARY CAPTURE")
#: Text of a structured report that names an algorithm, not a person (PS3.16 TID 4019).
_SAFE_TEXT = frozenset((("111001", "DCM"), ("111003", "DCM")))
_TRACKING_IDENTIFIER = ("112039", "DCM")
#: The profile and the options applied (PS3.16 CID 7050).
_METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113104", "Clean Structured Content Option"),
)
_METHOD = ["groundglass, PS3.15 basic profile", "dates moved, times removed, reports cleaned"]
#: Values that tell who it is; where else they occur, they are taken out too.
_TELLING = frozenset((
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    "PatientMotherBirthName", "AccessionNumber", "ReferringPhysicianName",
    "PerformingPhysicianName", "OperatorsName", "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy", "RequestingPhysician", "InstitutionName", "AdmissionID",
    "PatientTelephoneNumbers", "PatientAddress",
))  # fmt: skip
#: Shorter pieces of a name are found in every other word.
_LEAST_LETTERS = 4
_REMOVED = "removed"
_WRITTEN = frozenset(("LO", "SH", "LT", "ST", "UT", "UC", "PN"))
_DEEPEST = 16


class Identifying(InputError):  # noqa: N818  (reads as what it says)
    """An object that cannot be de-identified: its pixels, or more than its pixels, may tell."""


@dataclass(frozen=True, slots=True)
class _Person:
    """Whose data set it is: what decides pseudonym and shift, and what must not be left."""

    pseudonym: str
    known_as: str
    telling: re.Pattern[str] | None


def deidentify(dataset: Dataset, key: SiteKey) -> Dataset:
    """A copy of a data set without what tells who the patient is.

    Parameters
    ----------
    dataset : pydicom Dataset
        As read, pixels included; left as it is.
    key : SiteKey
        Decides new UIDs, pseudonym and shift of dates: the same for the same patient and study,
        whatever else is given with it and whenever.

    Returns
    -------
    pydicom Dataset
        Its file meta information names nothing but the object and its encoding.

    Raises
    ------
    Identifying
        The object is of a kind whose pixels or text may show a name.
    """
    _refuse_burned_in(dataset)
    person = _person(dataset, key)
    own_series = _own_series(dataset)
    clean = copy.deepcopy(dataset)
    _clean(clean, person, key)
    clean.PatientID = clean.PatientName = person.pseudonym
    if own_series:
        clean.SeriesDescription = own_series
    _declare(clean, dataset)
    return clean


def _refuse_burned_in(dataset: Dataset) -> None:
    """Refuse kinds of objects whose pixels are known to show names, or might."""
    own = (
        dataset.get("Manufacturer") == MANUFACTURER
        and dataset.get("ManufacturerModelName") == MODEL
        and dataset.get("SOPClassUID") == uid.SecondaryCaptureImageStorage
        and dataset.get("BurnedInAnnotation") == "NO"
    )
    if own:
        return
    kind = [str(part).upper() for part in dataset.get("ImageType") or ()]
    found = ""
    if dataset.get("SOPClassUID") not in _ACCEPTED:
        name = getattr(dataset.get("SOPClassUID"), "name", "an object of no stated kind")
        found = f"{name}, whose pixels or text may show a name"
    elif dataset.get("BurnedInAnnotation") == "YES":
        found = "an image with burned in annotation"
    elif any(word in part for word in _SCREEN_WORDS for part in kind):
        found = "a picture of a screen (Image Type)"
    elif "PixelData" in dataset and dataset.get("SamplesPerPixel", 1) != 1:
        found = "a colour image, which may be a picture of a screen"
    elif any(_overlay_in_pixels(element) for element in dataset):
        found = "an image with drawings in its unused bits"
    if found:
        raise Identifying(
            found,
            expected="an image of a tomograph, a segmentation, a map or a coded report",
            action="Look at it, and leave it out or clean its pixels with another tool.",
        )


def _overlay_in_pixels(element: DataElement) -> bool:
    """Whether it says that graphics lie in bits of the pixels (retired; PS3.5 section 8.1.2)."""
    group, number = element.tag.group, element.tag.element
    return 0x6000 <= group < 0x6100 and number == 0x0102 and bool(element.value)


def _person(dataset: Dataset, key: SiteKey) -> _Person:
    stated = str(dataset.get("PatientID") or "").strip().upper()
    issuer = str(dataset.get("IssuerOfPatientID") or "").strip().upper()
    known_as = f"{stated}\0{issuer}" if stated else str(dataset.get("StudyInstanceUID") or "")
    words = {word for element in _all(dataset, 0) for word in _telling_words(element)}
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    telling = re.compile(rf"(?<!\w)({pattern})(?!\w)", re.IGNORECASE) if words else None
    return _Person(key.patient(known_as), known_as, telling)


def _all(dataset: Dataset, depth: int) -> Iterator[DataElement]:
    """Every element, those of sequences' items too."""
    if depth > _DEEPEST:
        raise Identifying(
            f"sequences nested more than {_DEEPEST} deep",
            expected="an object as scanners write them",
            action="Leave it out.",
        )
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _all(item, depth + 1)


def _telling_words(element: DataElement) -> list[str]:
    if keyword_for_tag(element.tag) not in _TELLING and element.VR != "PN":
        return []
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    whole = [str(value).strip() for value in values if value]
    parts = [part for value in whole for part in re.split(r"[\^=,\s]+", value)]
    names = parts if element.VR == "PN" else []
    return [word for word in (*whole, *names) if len(word) >= _LEAST_LETTERS]


def _clean(dataset: Dataset, person: _Person, key: SiteKey) -> None:
    """Treat every element, in place."""
    for element in list(dataset):
        how = treatment(element)
        if how is Treatment.REMOVE:
            del dataset[element.tag]
        elif how is Treatment.CONTENT:
            element.value = Sequence(_clean_content(element.value, person, key))
        elif element.VR == "SQ":
            if how is Treatment.EMPTY:
                element.value = Sequence([])
            for item in element.value:
                _clean(item, person, key)
        else:
            _replace(element, how, person, key)


def _clean_content(items: Iterable[Dataset], person: _Person, key: SiteKey) -> list[Dataset]:
    """Items of a structured report: codes, numbers and references; of texts, what tells nobody."""
    kept = []
    for item in items:
        text = _safe_text(item, person)
        if item.get("ValueType") == "PNAME" or (item.get("ValueType") == "TEXT" and not text):
            continue
        _clean(item, person, key)
        if text:
            item.TextValue = text
        kept.append(item)
    return kept


def _safe_text(item: Dataset, person: _Person) -> str:
    """What may stay of a TEXT item; empty for nothing."""
    text = str(item.get("TextValue") or "")
    if text == RESEARCH_USE_ONLY:
        return text
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    concept = names[0].get("CodeValue"), names[0].get("CodingSchemeDesignator")
    if concept == _TRACKING_IDENTIFIER:
        return _REMOVED
    tells = person.telling is not None and person.telling.search(text)
    return text if concept in _SAFE_TEXT and not tells else ""


def _replace(element: DataElement, how: Treatment, person: _Person, key: SiteKey) -> None:
    """Treat one element that is no sequence."""
    if how is Treatment.EMPTY:
        element.value = None
    elif how is Treatment.DUMMY:
        element.value = DUMMIES.get(element.VR)
    elif how is Treatment.UID:
        element.value = _each(element, lambda old: old if is_registered(old) else key.uid(old))
    elif how is Treatment.DATE:
        element.value = _each(element, lambda old: _moved(old, element.VR, person, key))
    elif element.VR in _WRITTEN and person.telling and person.telling.search(str(element.value)):
        element.value = DUMMIES[element.VR]


def _each(element: DataElement, new: Callable[[str], str]) -> str | list[str] | None:
    """The new value, or values; an empty element stays empty."""
    if isinstance(element.value, MultiValue | list):
        return [new(str(old)) for old in element.value]
    return new(str(element.value)) if element.value else None


def _moved(old: str, vr: str, person: _Person, key: SiteKey) -> str:
    """A date or date and time on its new day, at midnight; empty where it was none."""
    digits = old.replace(".", "", 2) if vr == "DA" else old
    try:
        day = date(int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1))
    except ValueError:
        return ""
    moved = key.earlier(day, person.known_as)
    if moved is None:
        return ""
    return f"{moved:%Y%m%d}" if vr == "DA" else f"{moved:%Y%m%d}000000"


def _own_series(dataset: Dataset) -> str:
    """The description of a series of our own results, which says that they are research."""
    if dataset.get("Manufacturer") != MANUFACTURER:
        return ""
    return without_time(str(dataset.get("SeriesDescription") or ""))


def _declare(clean: Dataset, source: Dataset) -> None:
    """Say what was done (PS3.15 E.1.1), and nothing of where the file comes from."""
    clean.PatientIdentityRemoved = "YES"
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    clean.DeidentificationMethod = _METHOD
    clean.DeidentificationMethodCodeSequence = Sequence([_code(*method) for method in _METHODS])
    if clean.get("VerificationFlag") == "VERIFIED":
        clean.VerificationFlag = "UNVERIFIED"  # who verified it is gone
    if "ContentSequence" in clean:  # documents must have it, if empty (PS3.3 C.17.1)
        clean.ReferencedPerformedProcedureStepSequence = Sequence([])
    syntax = source.file_meta.TransferSyntaxUID
    clean.preamble = b"\0" * 128
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = (
        syntax if syntax.is_encapsulated else uid.ExplicitVRLittleEndian
    )
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
