"""What our own DICOM results say of themselves; known here so that de-identifying can keep it."""

from __future__ import annotations

#: Manufacturer and model of everything the program writes.
MANUFACTURER = "groundglass developers"
MODEL = "groundglass"

#: Series Descriptions; at most 64 characters (VR LO). PACS lists show them, often cut off at the
#: end, so the limit comes first.
CAPTURES = "Research use only: groundglass chest CT triage"
MEASUREMENTS = "Research use only: groundglass measurements"
LUNGS = "Research use only: groundglass lungs"
HEAT_MAP = "Research use only: groundglass heat map"
KEY_SLICES = "Research use only: groundglass key slices"
SERIES_DESCRIPTIONS = frozenset((CAPTURES, MEASUREMENTS, LUNGS, HEAT_MAP, KEY_SLICES))
