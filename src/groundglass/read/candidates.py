"""A stack that may be the chest CT, and what any of them must be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundglass.core.geometry import Vector
from groundglass.core.study import Series
from groundglass.read.dicom.description_terms import Kernel, Region


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """What makes a series a chest CT."""

    least_slices: int = 10
    """Fewest slices. The paper's data begin at 13; lungs scanned at 10 mm still fill 20."""
    least_coverage_mm: float = 100.0
    """Shortest stack. Lungs are 200 to 300 mm high; less than 100 mm is a part of them (a biopsy, a
    heart, the follow-up of one nodule)."""
    most_spacing_mm: float = 10.0
    """Widest slice spacing. The paper has up to 5 mm; 10 mm is what high-resolution CT with gaps
    between its slices uses."""
    axial_tolerance_deg: float = 15.0
    """Largest angle between the slice normal and the body's axis. Coronal and sagittal reformats
    are at 90°; patients lie within some degrees of straight."""
    fair_coverage_mm: float = 250.0
    """Coverage beyond which longer is no better: it holds nearly any pair of lungs."""
    whole_field_mm: float = 240.0
    """Field of view that holds both lungs of an adult (250 mm wide); reconstructions aimed at one
    lung have 150 to 220 mm."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stack that may be the chest CT, with what the ranking looks at.

    Parameters
    ----------
    kernel_name : str
        Convolution Kernel as the scanner names it; empty when it does not.
    original : bool
        Whether the images are reconstructed from the scan itself (Image Type value 1).
    virtual : str
        What images computed from several X-ray energies show, in words; empty of ordinary ones.
    usual_state : bool
        Breathed in and supine, as far as the description says.
    coverage_mm, thickness_mm, field_mm : float
        Height of the stack; distance or thickness of its slices, the larger; shorter side of the
        field of view.
    """

    series: Series
    name: str
    kernel_name: str = ""
    regular: bool = True
    original: bool = True
    virtual: str = ""
    usual_state: bool = True
    region: Region = Region.UNSAID
    kernel: Kernel = Kernel.UNKNOWN
    contrast: bool = False
    coverage_mm: float = 0.0
    thickness_mm: float = 0.0
    field_mm: float = 0.0


def why_not_axial(normal: Vector, settings: SelectionSettings) -> str | None:
    """The angle of the slices' normal (an LPS unit vector), where they are not axial."""
    angle = float(np.degrees(np.arccos(min(1.0, abs(float(normal[2]))))))
    if angle <= settings.axial_tolerance_deg:
        return None
    plane = "sagittal" if abs(normal[0]) > abs(normal[1]) else "coronal"
    return f"not axial: the slices' normal is {angle:.0f}° off the body's axis (nearer {plane})"


def why_too_little(
    slices: int, coverage_mm: float, spacing_mm: float, settings: SelectionSettings
) -> str | None:
    """What a chest has more of than a stack of so many slices at different places."""
    if slices < settings.least_slices:
        return f"{slices} slices at different places; a chest needs {settings.least_slices}"
    if coverage_mm < settings.least_coverage_mm:
        return f"covers {coverage_mm:.0f} mm; a chest needs {settings.least_coverage_mm:.0f} mm"
    if spacing_mm > settings.most_spacing_mm:
        return f"slices {spacing_mm:.1f} mm apart; more than {settings.most_spacing_mm:g} mm"
    return None
