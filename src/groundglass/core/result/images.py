"""What was measured of the images themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckName(StrEnum):
    """What is measured of the images themselves, before a network's answer is believed."""

    CONTRAST_PHASE = "contrast-phase"
    MOTION = "motion"
    METAL = "metal"
    NOISE = "noise"
    SLICE_SPACING = "slice-spacing"
    FIELD_OF_VIEW = "field-of-view"
    CUT_LUNGS = "cut-lungs"
    SCANNED_LUNGS = "scanned-lungs"
    SMALLER_LUNG = "smaller-lung"


@dataclass(frozen=True, slots=True)
class InputCheck:
    """One quantity of the images, and what the networks know of it."""

    name: CheckName
    """For machines."""
    meaning: str
    """For people: what is measured, with its unit."""
    value: float | None
    """What was found; None where it cannot be measured on these images, which refuses nothing."""
    least: float | None
    most: float | None
    """`least`, `most`: the range that is answered, ends included; None where it is open."""
    refuses_findings: bool
    """Whether out of range no verdict is given; else only lungs without findings are not called
    so."""

    @property
    def ok(self) -> bool:
        """Whether it lies in its range, or could not be measured."""
        if self.value is None:
            return True
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    @property
    def text(self) -> str:
        """What was found and what was expected, in words."""
        found = "not measured" if self.value is None else f"{self.value:.3g} found"
        return f"{self.name}: {self.meaning}, {found}, {self._expected} expected"

    @property
    def _expected(self) -> str:
        if self.least is None:
            return f"at most {self.most:g}"
        return (
            f"at least {self.least:g}" if self.most is None else f"{self.least:g} to {self.most:g}"
        )
