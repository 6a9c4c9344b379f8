"""One stack of a study: a candidate for the chest CT, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.study import Series, SourceKind
from groundglass.errors import AssemblyError, ReadError
from groundglass.read.assembly import problem_with_units
from groundglass.read.dicom.description_terms import (
    Kernel,
    Region,
    computed_by_text,
    kernel_in_text,
    kernel_of,
    region_of,
    unusual_state,
)
from groundglass.read.dicom.frames import Frame, frames_in, slice_normal
from groundglass.read.dicom.lung_presence import lung_height_mm
from groundglass.read.dicom.reconstructions import (
    computed_images,
    why_no_reconstruction,
    why_not_ct,
)
from groundglass.read.dicom.stacks.grid import AssemblySettings, lay_out
from groundglass.read.metaimage import read_metaimage_geometry
from groundglass.read.nifti.volume import read_nifti_geometry

#: Where the part of the body is named, the series' own description first: it is typed for this
#: series, the others may be a protocol's default or cover all that was scanned.
_REGION_WORDS = ("SeriesDescription", "BodyPartExamined", "ProtocolName", "StudyDescription")
#: A scanner that proposes a window centred below this (HU) has reconstructed for the lung.
_LUNG_WINDOW_HU = -300.0
#: Ways of writing into Contrast/Bolus Agent that there was none.
_NO_CONTRAST = frozenset(("", "NO", "NONE", "N", "0", "WITHOUT", "NATIVE"))


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """What makes a series a chest CT.

    Parameters
    ----------
    least_slices : int
        Fewest slices. The paper's data begin at 13; lungs scanned at 10 mm still fill 20.
    least_coverage_mm : float
        Shortest stack. Lungs are 200 to 300 mm high; less than 100 mm is a part of them (a
        biopsy, a heart, the follow-up of one nodule).
    most_spacing_mm : float
        Widest slice spacing. The paper has up to 5 mm; 10 mm is what high-resolution CT with
        gaps between its slices uses.
    axial_tolerance_deg : float
        Largest angle between the slice normal and the body's axis. Coronal and sagittal reformats
        are at 90°; patients lie within some degrees of straight.
    fair_coverage_mm : float
        Coverage beyond which longer is no better: it holds nearly any pair of lungs.
    whole_field_mm : float
        Field of view that holds both lungs of an adult (250 mm wide); reconstructions aimed at one
        lung have 150 to 220 mm.
    """

    least_slices: int = 10
    least_coverage_mm: float = 100.0
    most_spacing_mm: float = 10.0
    axial_tolerance_deg: float = 15.0
    fair_coverage_mm: float = 250.0
    whole_field_mm: float = 240.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stack that may be the chest CT, with what the ranking looks at.

    Parameters
    ----------
    series : Series
        The stack.
    name : str
        How messages call it.
    kernel_name : str
        Convolution Kernel as the scanner names it; empty when it does not.
    regular : bool
        Whether the slices make a regular grid.
    original : bool
        Whether the images are reconstructed from the scan itself (Image Type value 1).
    virtual : str
        What images computed from several X-ray energies show, in words; empty of ordinary ones.
    usual_state : bool
        Breathed in and supine, as far as the description says.
    region : Region
        Part of the body its words name.
    kernel : Kernel
        Sharpness.
    contrast : bool
        Whether a contrast agent is named.
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


def assess_series(series: Series, name: str, settings: SelectionSettings) -> Candidate | str:
    """The stack as a candidate, or why it is none.

    Parameters
    ----------
    series : Series
        One stack.
    name : str
        How messages call it.
    settings : SelectionSettings
        What makes a series a chest CT.
    """
    if series.kind in (SourceKind.NIFTI, SourceKind.METAIMAGE):
        return _judge_volume_file(series, name, settings)
    if series.kind is SourceKind.IMAGE_STACK:
        return Candidate(series, name)
    frames = tuple(frames_in(series.instances))
    for check in (_not_ct, _not_a_reconstruction, _not_usable):
        reason = check(frames, series)
        if reason is not None:
            return reason
    return _judge_frames(series, name, frames, settings)


def _not_ct(frames: Sequence[Frame], series: Series) -> str | None:
    if series.modality != "CT":
        return f"modality {series.modality or 'unstated'}, not CT"
    return why_not_ct(frames[0])


def _not_a_reconstruction(frames: Sequence[Frame], series: Series) -> str | None:
    computed = computed_by_text(series.description)
    return why_no_reconstruction(frames[0]) or (computed_images(computed) if computed else None)


def _not_usable(frames: Sequence[Frame], _series: Series) -> str | None:
    for frame in frames:
        problem = problem_with_units(frame)
        if problem is not None:
            return problem
        if None in (frame.pixel_spacing_mm, frame.position_mm, frame.orientation):
            return f"no usable position, orientation or pixel spacing in {frame.name}"
    return None


def _judge_frames(
    series: Series, name: str, frames: tuple[Frame, ...], settings: SelectionSettings
) -> Candidate | str:
    first = frames[0]
    normal = slice_normal(first.orientation or ())
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    along = np.unique(np.round(positions @ normal, 2))
    spacing = float(np.median(np.diff(along))) if len(along) > 1 else 0.0
    coverage = float(along[-1] - along[0]) + spacing
    reason = (
        _not_axial(normal, settings)
        or _too_little(len(along), coverage, spacing, settings)
        or _not_chest(frames, settings)
    )
    if reason is not None:
        return reason
    try:
        lay_out(frames, AssemblySettings())
        regular = True
    except AssemblyError:
        regular = False
    thickness = first.values.get("SliceThickness")
    rows_mm, columns_mm = cast("tuple[float, float]", first.pixel_spacing_mm)
    return Candidate(
        series=series,
        name=name,
        kernel_name=first.text("ConvolutionKernel"),
        regular=regular,
        original=first.image_type[:1] != ("DERIVED",),
        virtual=first.virtual or "",
        usual_state=_usual_state(first),
        region=_region(first),
        kernel=_kernel(first),
        contrast=first.text("ContrastBolusAgent").upper() not in _NO_CONTRAST,
        coverage_mm=coverage,
        thickness_mm=max(spacing, thickness if isinstance(thickness, float) else 0.0),
        field_mm=min(first.size[0] * rows_mm, first.size[1] * columns_mm),
    )


def _not_axial(normal: NDArray[np.float64], settings: SelectionSettings) -> str | None:
    angle = float(np.degrees(np.arccos(min(1.0, abs(float(normal[2]))))))
    if angle <= settings.axial_tolerance_deg:
        return None
    plane = "sagittal" if abs(normal[0]) > abs(normal[1]) else "coronal"
    return f"not axial: the slices' normal is {angle:.0f}° off the body's axis (nearer {plane})"


def _too_little(
    slices: int, coverage_mm: float, spacing_mm: float, settings: SelectionSettings
) -> str | None:
    if slices < settings.least_slices:
        return f"{slices} slices at different places; a chest needs {settings.least_slices}"
    if coverage_mm < settings.least_coverage_mm:
        return f"covers {coverage_mm:.0f} mm; a chest needs {settings.least_coverage_mm:.0f} mm"
    if spacing_mm > settings.most_spacing_mm:
        return f"slices {spacing_mm:.1f} mm apart; more than {settings.most_spacing_mm:g} mm"
    return None


def _usual_state(frame: Frame) -> bool:
    """Breathed in and supine, unless said otherwise (Patient Position ??P: PS3.3 C.7.3.1.1.2)."""
    prone = frame.text("PatientPosition").upper().endswith("P")
    return not prone and unusual_state(frame.text("SeriesDescription")) is None


def _not_chest(frames: Sequence[Frame], settings: SelectionSettings) -> str | None:
    """By the series' own words; where those say nothing, by whether there is lung in it."""
    words = ", ".join(filter(None, (frames[0].text(keyword) for keyword in _REGION_WORDS)))
    region = _region(frames[0])
    if region is Region.CHEST:
        return None
    if region_of(frames[0].text("SeriesDescription")) is Region.ELSEWHERE:
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


def _region(frame: Frame) -> Region:
    """What the words name; a word for the chest outweighs all but the series' own description."""
    regions = [region_of(frame.text(keyword)) for keyword in _REGION_WORDS]
    if regions[0] is not Region.UNSAID:
        return regions[0]
    if Region.CHEST in regions:
        return Region.CHEST
    return Region.ELSEWHERE if Region.ELSEWHERE in regions else Region.UNSAID


def _kernel(frame: Frame) -> Kernel:
    """By its name, else the description, else the window the scanner proposes."""
    for kernel in (
        kernel_of(frame.text("ConvolutionKernel")),
        kernel_in_text(frame.text("SeriesDescription")),
    ):
        if kernel is not Kernel.UNKNOWN:
            return kernel
    center = frame.values.get("WindowCenter")
    if not isinstance(center, tuple):
        return Kernel.UNKNOWN
    return Kernel.LUNG if center[0] < _LUNG_WINDOW_HU else Kernel.SOFT


def _judge_volume_file(series: Series, name: str, settings: SelectionSettings) -> Candidate | str:
    """By its grid. It names no part of the body; whether there is lung, the analysis will say."""
    try:
        geometry = _geometry(series)
    except AssemblyError as error:
        return str(error)
    spacing = round(geometry.spacing_mm[0], 4)  # headers hold single precision
    coverage = geometry.shape[0] * spacing
    reason = _not_axial(np.asarray(geometry.directions[0]), settings) or _too_little(
        geometry.shape[0], coverage, spacing, settings
    )
    return reason if reason is not None else Candidate(series, name, coverage_mm=coverage)


def _geometry(series: Series) -> Geometry:
    """The grid of a volume file, its slices along the stored axis nearest to the body's."""
    if series.kind is SourceKind.NIFTI:
        return read_nifti_geometry(series)[0]
    return read_metaimage_geometry(series)[0]
