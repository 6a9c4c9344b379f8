"""What is written into the study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DicomSettings:
    """What the DICOM results are."""

    key_objects: bool = False
    """Also list the key slices in a Key Object Selection. Off: viewers show such lists beside those
    that people made."""


DICOM = DicomSettings()
