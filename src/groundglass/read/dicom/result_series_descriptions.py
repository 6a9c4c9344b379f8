"""What our own DICOM results say of themselves; known here so that de-identifying can keep it."""

from __future__ import annotations

import re

#: Manufacturer and model of everything the program writes.
MANUFACTURER = "groundglass developers"
MODEL = "groundglass"

#: Beginnings of the Series Descriptions; revision and time of the analysis follow. PACS lists show
#: them, often cut off at the end, so the limit comes first. Short, since all of it together may
#: have 64 characters (VR LO).
CAPTURES = "Research use only: groundglass triage"
MEASUREMENTS = "Research use only: groundglass report"
LUNGS = "Research use only: groundglass lungs"
HEAT_MAP = "Research use only: groundglass heat map"
KEY_SLICES = "Research use only: groundglass slices"
_BEGINNINGS = (CAPTURES, MEASUREMENTS, LUNGS, HEAT_MAP, KEY_SLICES)
_OWN = re.compile(rf"({'|'.join(_BEGINNINGS)})( rev \d+)?( \d{{4}}-\d\d-\d\d \d\d:\d\d)?")


def without_time(description: str) -> str:
    """A Series Description of ours without the time of the analysis; empty for any other."""
    own = _OWN.fullmatch(description)
    return "" if own is None else f"{own[1]}{own[2] or ''}"
