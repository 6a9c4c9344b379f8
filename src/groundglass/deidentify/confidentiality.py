"""Which attribute is treated how: the basic profile of PS3.15 annex E, and our own caution.

The profile's table comes from dicom-anonymizer, which keeps up with the standard. Its own
functions are not used: they leave nested data sets alone, write one date into all, and give every
process other UIDs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag
from pydicom.uid import UID

from groundglass.errors import SettingsError, install_extra

#: The edition of the standard whose table is used.
EDITION = "dicomfields_2026c"


class Treatment(Enum):
    """What becomes of an element."""

    KEEP = auto()  # sequences: their items are treated in turn
    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()  # a value that says nothing
    UID = auto()  # a new UID
    DATE = auto()  # moved
    CONTENT = auto()  # the tree of a structured report


#: dicom-anonymizer's functions by name → ours. Where the profile leaves a choice that depends on
#: the object (X/Z/D …), the value is replaced: no object becomes invalid by it.
_FUNCTIONS = {
    "delete": Treatment.REMOVE,
    "empty": Treatment.EMPTY,
    "replace": Treatment.DUMMY,
    "replace_UID": Treatment.UID,
    "empty_or_replace": Treatment.DUMMY,
    "delete_or_empty": Treatment.EMPTY,
    "delete_or_replace": Treatment.DUMMY,
    "delete_or_empty_or_replace": Treatment.DUMMY,
    "delete_or_empty_or_replace_UID": Treatment.KEEP,  # references: their UIDs are replaced
}
_DATES = frozenset(("DA", "DT"))
_PATIENT_GROUP = 0x0010
#: Value representations in which anything may be written and nothing we need is.
_FREE_TEXT = frozenset(("LT", "ST", "UT", "UC", "UR", "PN", "AE", "UN"))
_BYTES = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))


def _tags(*keywords: str) -> frozenset[int]:
    return frozenset(int(tag_for_keyword(keyword) or 0) for keyword in keywords)


#: Bytes that are the image, or needed to show it.
_IMAGE_BYTES = _tags(
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData", "LUTData",
)  # fmt: skip
#: Free text by its VR, but a code or of a fixed form.
_CODES = _tags("LongCodeValue", "URNCodeValue")
#: Free text that may not be missing where its UID is there (PS3.3 C.8.20.4).
_NEEDED = _tags("TrackingID")
_CONTENT_SEQUENCE = int(tag_for_keyword("ContentSequence") or 0)
_FIRST_GROUP = 0x0008  # of a data set; before it lie commands, file meta and directories
_OVERLAYS = range(0x6000, 0x6100)
_CURVES = range(0x5000, 0x5100)


@lru_cache(maxsize=1)
def basic_profile() -> Mapping[int, Treatment]:
    """The profile's table: treatment by tag.

    Raises
    ------
    SettingsError
        dicom-anonymizer is not installed, or too old to know the edition.
    """
    try:
        # Not at the top: only de-identifying needs it, and a plain install does not have it.
        from dicomanonymizer.simpledicomanonymizer import initialize_actions  # noqa: PLC0415

        actions = initialize_actions(EDITION)
    except (ImportError, ValueError, KeyError) as error:
        raise SettingsError(
            "no dicom-anonymizer with the rules of PS3.15 in its 2026c edition",
            expected="dicom-anonymizer 2.1 or later",
            action=install_extra("deidentify"),
        ) from error
    # Of repeating groups (four numbers) there are curves and overlays, handled below.
    return {
        tag[0] << 16 | tag[1]: _FUNCTIONS[function.__name__]
        for tag, function in actions.items()
        if len(tag) == 2
    }


def treatment(element: DataElement) -> Treatment:
    """What becomes of an element, in a data set or in an item of a sequence."""
    tag, vr = element.tag, element.VR
    if _never_kept(tag):
        return Treatment.REMOVE
    if int(tag) == _CONTENT_SEQUENCE:
        return Treatment.CONTENT
    rule = basic_profile().get(int(tag))
    if vr in _DATES and tag.group != _PATIENT_GROUP:
        return Treatment.DATE
    if vr == "UI" and rule is not Treatment.REMOVE:
        return Treatment.UID
    if rule is Treatment.DUMMY and vr == "SQ":
        return Treatment.REMOVE  # there are no dummies of people
    return rule or _without_rule(element)


def _without_rule(element: DataElement) -> Treatment:
    """For what the profile's table does not name: kept, where it cannot hold just anything."""
    if element.VR == "TM" or int(element.tag) in _NEEDED:
        return Treatment.DUMMY
    if int(element.tag) in _CODES:
        return Treatment.KEEP
    bytes_ = element.VR in _BYTES and int(element.tag) not in _IMAGE_BYTES
    return Treatment.REMOVE if bytes_ or element.VR in _FREE_TEXT else Treatment.KEEP


def _never_kept(tag: BaseTag) -> bool:
    """Private, unknown to the standard, of a message or file header, curves, overlays."""
    return (
        tag.is_private
        or tag.group < _FIRST_GROUP
        or tag.group in _OVERLAYS
        or tag.group in _CURVES
        or not dictionary_has_tag(tag)
    )


def is_registered(uid: str) -> bool:
    """Whether a UID is one of the standard's own, which tells nobody."""
    return uid.startswith("1.2.840.10008.") and UID(uid).name != uid


#: Dummies by value representation, each valid for it (PS3.5 section 6.2).
DUMMIES: Mapping[str, object] = {
    **dict.fromkeys(("CS", "LO", "SH"), "ANONYMIZED"),
    "AE": "ANONYMIZED",
    "PN": "ANONYMIZED",
    **dict.fromkeys(("LT", "ST", "UC", "UT"), "ANONYMIZED"),
    "UR": "http://anonymized.invalid",
    "AS": "000Y",
    "DS": "0",
    "IS": "0",
    "TM": "000000",
    **dict.fromkeys(("FD", "FL"), 0.0),
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), b"\0\0"),
}
