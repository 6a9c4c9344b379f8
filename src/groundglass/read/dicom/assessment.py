"""One stack of DICOM images: a candidate for the chest CT, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundglass.core.study import Series
from groundglass.errors import AssemblyError, ReadError
from groundglass.read.candidates import (
    Candidate,
    SelectionSettings,
    why_not_axial,
    why_too_little,
)
from groundglass.read.dicom import description_terms as terms
from groundglass.read.dicom.decoding import problem_with_units
from groundglass.read.dicom.description_terms import Kernel, Region
from groundglass.read.dicom.frames import Frame, frames_in, slice_normal
from groundglass.read.dicom.lung_presence import lung_height_mm
from groundglass.read.dicom.reconstructions import (
    computed_images,
    why_no_reconstruction,
    why_not_ct,
)
from groundglass.read.dicom.stacks.grid import AssemblySettings, lay_out

#: A scanner that proposes a window centred below this (HU) has reconstructed for the lung.
_LUNG_WINDOW_HU = -300.0
#: Ways of writing into Contrast/Bolus Agent that there was none.
_NO_CONTRAST = frozenset(("", "NO", "NONE", "N", "0", "WITHOUT", "NATIVE"))


def assess_series(series: Series, name: str, settings: SelectionSettings) -> Candidate | str:
    """One stack of DICOM images, by the name messages use, as a candidate, or why it is none."""
    frames = frames_in(series.instances)
    first = frames[0]
    refused = _why_not_ct(first, series) or _why_unusable(frames)
    if refused is not None:
        return refused
    normal = slice_normal(first.orientation or ())
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    along = np.unique(np.round(positions @ normal, 2))
    spacing = float(np.median(np.diff(along))) if len(along) > 1 else 0.0
    coverage = float(along[-1] - along[0]) + spacing
    reason = (
        why_not_axial((normal[0], normal[1], normal[2]), settings)
        or why_too_little(len(along), coverage, spacing, settings)
        or _why_not_chest(frames, settings)
    )
    if reason is not None:
        return reason
    try:
        lay_out(frames, AssemblySettings())
        regular = True
    except AssemblyError:
        regular = False
    rows_mm, columns_mm = first.header.pixel_spacing_mm
    return Candidate(
        series=series,
        name=name,
        kernel_name=first.kernel,
        regular=regular,
        original=first.image_type[:1] != ("DERIVED",),
        virtual=first.virtual or "",
        usual_state=_usual_state(first),
        region=_region(first),
        kernel=_sharpness(first),
        contrast=first.header.contrast_bolus_agent.upper() not in _NO_CONTRAST,
        coverage_mm=coverage,
        thickness_mm=max(spacing, first.header.slice_thickness_mm or 0.0),
        field_mm=min(first.size[0] * rows_mm, first.size[1] * columns_mm),
    )


def _why_not_ct(frame: Frame, series: Series) -> str | None:
    if series.modality != "CT":
        return f"modality {series.modality or 'unstated'}, not CT"
    computed = terms.computed_by_text(series.description)
    return (
        why_not_ct(frame)
        or why_no_reconstruction(frame)
        or (computed_images(computed) if computed else None)
    )


def _why_unusable(frames: Sequence[Frame]) -> str | None:
    for frame in frames:
        problem = problem_with_units(frame)
        if problem is not None:
            return problem
        if frame.missing_placement:
            return f"no usable position, orientation or pixel spacing in {frame.name}"
    return None


def _usual_state(frame: Frame) -> bool:
    """Breathed in and supine, unless said otherwise (Patient Position ??P: PS3.3 C.7.3.1.1.2)."""
    prone = frame.header.patient_position.upper().endswith("P")
    return not prone and terms.unusual_state(frame.header.series_description) is None


def _why_not_chest(frames: Sequence[Frame], settings: SelectionSettings) -> str | None:
    """By the series' own words; where those say nothing, by whether there is lung in it."""
    words = ", ".join(filter(None, _region_words(frames[0])))
    region = _region(frames[0])
    if region is Region.CHEST:
        return None
    if terms.region_of(frames[0].header.series_description) is Region.ELSEWHERE:
        return f"its description names another part of the body ({words})"
    said = "no part of the body is named"
    if region is Region.ELSEWHERE:  # often a default, or one of several parts scanned: look
        said = f"its description names another part of the body ({words})"
    try:
        height = lung_height_mm(frames)
    except ReadError as error:
        return f"{said}, and its slices cannot be looked at: {error}"
    if height < settings.least_coverage_mm:
        return (
            f"{said}, and its slices show lung over {height:.0f} mm; "
            f"a chest has {settings.least_coverage_mm:.0f} mm"
        )
    return None


def _region_words(frame: Frame) -> tuple[str, ...]:
    """Where the part of the body is named, the series' own description first.

    It is typed for this series; the others may be a protocol's default or cover all that was
    scanned.
    """
    said = frame.header
    return (
        said.series_description,
        said.body_part_examined,
        said.protocol_name,
        said.study_description,
    )


def _region(frame: Frame) -> Region:
    """What the words name; a word for the chest outweighs all but the series' own description."""
    regions = [terms.region_of(words) for words in _region_words(frame)]
    if regions[0] is not Region.UNSAID:
        return regions[0]
    if Region.CHEST in regions:
        return Region.CHEST
    return Region.ELSEWHERE if Region.ELSEWHERE in regions else Region.UNSAID


def _sharpness(frame: Frame) -> Kernel:
    """By its name, else the description, else the window the scanner proposes."""
    for kernel in (
        terms.kernel_of(frame.kernel),
        terms.kernel_in_text(frame.header.series_description),
    ):
        if kernel is not Kernel.UNKNOWN:
            return kernel
    center = frame.header.window_center_hu
    if not center:
        return Kernel.UNKNOWN
    return Kernel.LUNG if center[0] < _LUNG_WINDOW_HU else Kernel.SOFT
