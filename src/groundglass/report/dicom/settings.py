"""What is written into the study."""

from __future__ import annotations

from dataclasses import dataclass

from groundglass.errors import SettingsError


@dataclass(frozen=True, slots=True)
class DicomSettings:
    """What the DICOM results are."""

    revision: int = 1
    """Which analysis of the study this is, from 1. A study that grew is analysed again under the
    next number, and its results get UIDs of their own."""
    key_objects: bool = False
    """Also list the key slices in a Key Object Selection. Off: viewers show such lists beside those
    that people made."""

    def __post_init__(self) -> None:
        if self.revision < 1:
            raise SettingsError(
                f"revision {self.revision}",
                expected="a whole number from 1",
                action="Count the analyses of a study from 1.",
            )


DICOM = DicomSettings()
