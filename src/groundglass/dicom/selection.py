"""Study → the chest CT series best fit for the lungs, and why not each other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from groundglass.core.study import Rejection, Series, SourceKind, Study
from groundglass.dicom.assembly import problem_with_units
from groundglass.dicom.frames import Frame, frames_of
from groundglass.dicom.grid import AssemblySettings, lay_out
from groundglass.dicom.nifti import read_nifti_geometry
from groundglass.dicom.stacks import split_stacks
from groundglass.dicom.wording import (
    Kernel,
    Region,
    computed_by_text,
    computed_by_type,
    kernel_of,
    region_of,
)
from groundglass.errors import AssemblyError, InputError, NoChestCT

_CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """What makes a series a chest CT.

    Parameters
    ----------
    least_slices : int
        Fewest slices. The paper's data begin at 13; a lung at 10 mm spacing still fills more
        than ten.
    least_coverage_mm : float
        Shortest stack. Lungs are 200 to 300 mm high; less than 100 mm is a part of them (a
        biopsy, a heart, a follow-up of one nodule).
    most_spacing_mm : float
        Widest slice spacing. The paper has up to 5 mm; 10 mm is what high-resolution CT with
        gaps between slices uses.
    axial_tolerance_deg : float
        Largest angle between the slice normal and the body's axis. Coronal and sagittal reformats
        are at 90°; patients lie within some degrees of straight.
    fair_coverage_mm : float
        Coverage beyond which longer is no better: it holds any pair of lungs.
    """

    least_slices: int = 10
    least_coverage_mm: float = 100.0
    most_spacing_mm: float = 10.0
    axial_tolerance_deg: float = 15.0
    fair_coverage_mm: float = 250.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A stack that may be the chest CT, with what the ranking looks at."""

    series: Series
    name: str
    frames: tuple[Frame, ...]
    regular: bool
    region: Region
    original: bool
    coverage_mm: float
    spacing_mm: float
    kernel: Kernel
    contrast: bool


def select_chest_ct(study: Study, *, settings: SelectionSettings = SelectionSettings()) -> Series:
    """Choose the axial chest series best fit for the lungs.

    Series of several stacks are separated first. What is no axial chest CT is rejected; the rest
    is ranked by `_CRITERIA`, the first that differs decides. A chosen series may still be refused
    by `read_volume`, if its slices make no regular grid and no other series is better.

    Parameters
    ----------
    study : Study
        From `read_study`.
    settings : SelectionSettings
        What makes a series a chest CT.

    Returns
    -------
    Series
        With `selection_reason` and `rejected` filled.

    Raises
    ------
    NoChestCT
        No series is one; holds a reason for each.
    InputError
        Chest CTs of more than one study, or several files without a header to choose by.
    """
    rejected: list[Rejection] = []
    candidates: list[_Candidate] = []
    for series in study.series:
        stacks = split_stacks(series) if series.instances[0].sop_class_uid else (series,)
        for number, stack in enumerate(stacks, 1):
            name = _name(stack) + (f", stack {number} of {len(stacks)}" if len(stacks) > 1 else "")
            judged = _judge(stack, name, settings)
            if isinstance(judged, str):
                rejected.append(Rejection(name, judged))
            else:
                candidates.append(judged)
    if not candidates:
        raise _no_chest_ct(rejected, study)
    _refuse_ambiguity(candidates)
    best, *others = sorted(candidates, key=_rank(settings), reverse=True)
    lost = [Rejection(other.name, _why(best, other, settings)) for other in others]
    reason = _describe(best)
    if lost:
        reason += " Preferred over " + "; over ".join(f"{r.what}: {r.reason}" for r in lost) + "."
    return replace(
        best.series,
        selection_reason=reason,
        rejected=(*lost, *rejected, *study.rejected),
    )


def _name(series: Series) -> str:
    number = series.instances[0].attributes.get("SeriesNumber")
    label = "series" if number is None else f"series {number}"
    text = f" '{series.description}'" if series.description else ""
    count = sum(len(frames_of(i)) for i in series.instances)
    return f"{label}{text} ({count} image{'s' if count != 1 else ''})"


def _judge(series: Series, name: str, settings: SelectionSettings) -> _Candidate | str:
    """The candidate, or why the stack is none."""
    if series.kind is SourceKind.NIFTI:
        return _judge_nifti(series, name, settings)
    if series.kind is SourceKind.IMAGE_STACK:
        return _without_header(series, name, len(series.instances))
    frames = tuple(frame for instance in series.instances for frame in frames_of(instance))
    for check in (_not_ct, _not_a_reconstruction, _not_readable):
        reason = check(frames, series)
        if reason is not None:
            return reason
    return _judge_stack(series, name, frames, settings)


def _not_ct(frames: Sequence[Frame], series: Series) -> str | None:
    if series.modality != "CT":
        return f"modality {series.modality or 'unstated'}, not CT"
    uid = UID(frames[0].text("SOPClassUID"))
    if uid not in _CT_CLASSES:
        return f"{uid.name}, not a CT image"
    return None


def _not_a_reconstruction(frames: Sequence[Frame], series: Series) -> str | None:
    kind = frames[0].image_type
    if any("LOCALIZER" in value or "SCOUT" in value for value in kind):
        return "a localizer"
    computed = computed_by_type(kind) or computed_by_text(series.description)
    if computed is not None:
        return f"computed images ({computed}), not a reconstruction of the scan"
    return None


def _not_readable(frames: Sequence[Frame], _series: Series) -> str | None:
    for frame in frames:
        problem = problem_with_units(frame)
        if problem is not None:
            return problem
        if None in (frame.pixel_spacing_mm,) or frame.position_mm is None or frame.normal is None:
            return f"no usable position, orientation or pixel spacing in {frame.name}"
    return None


def _judge_stack(
    series: Series, name: str, frames: tuple[Frame, ...], settings: SelectionSettings
) -> _Candidate | str:
    normal = cast("np.ndarray[tuple[int], np.dtype[np.float64]]", frames[0].normal)
    angle = float(np.degrees(np.arccos(min(1.0, abs(float(normal[2]))))))
    if angle > settings.axial_tolerance_deg:
        plane = "sagittal" if abs(normal[0]) > abs(normal[1]) else "coronal"
        return f"not axial: the slices' normal is {angle:.0f}° off the body's axis ({plane})"
    along = np.unique(np.round([float(normal @ frame.position_mm) for frame in frames], 2))  # type: ignore[operator]
    if len(along) < settings.least_slices:
        return f"{len(along)} slices at different places; a chest needs {settings.least_slices}"
    spacing = float(np.median(np.diff(along)))
    coverage = float(along[-1] - along[0]) + spacing
    if coverage < settings.least_coverage_mm:
        return f"covers {coverage:.0f} mm; a chest needs {settings.least_coverage_mm:.0f} mm"
    if spacing > settings.most_spacing_mm:
        return f"slices {spacing:.1f} mm apart; at most {settings.most_spacing_mm:g} mm are useful"
    region = _region(frames[0])
    if region is Region.ELSEWHERE:
        words = ", ".join(filter(None, (frames[0].text(k) for k in _REGION_WORDS)))
        return f"its description names another part of the body ({words})"
    try:
        lay_out(frames, AssemblySettings())
        regular = True
    except AssemblyError:
        regular = False
    return _Candidate(
        series=series,
        name=name,
        frames=frames,
        regular=regular,
        region=region,
        original=frames[0].image_type[:1] != ("DERIVED",),
        coverage_mm=coverage,
        spacing_mm=spacing,
        kernel=_kernel(frames[0]),
        contrast=bool(frames[0].text("ContrastBolusAgent")),
    )


#: Where the part of the body is named: the series' own words before those of the study, which
#: may have had several parts scanned.
_REGION_WORDS = ("SeriesDescription", "BodyPartExamined", "ProtocolName", "StudyDescription")


def _region(frame: Frame) -> Region:
    regions = [region_of(frame.text(keyword)) for keyword in _REGION_WORDS]
    said = [region for region in regions if region is not Region.UNSAID]
    if not said:
        return Region.UNSAID
    if regions[0] is not Region.UNSAID:
        return regions[0]
    # Body Part Examined is often left at the protocol's default: any chest word outweighs it.
    return Region.CHEST if Region.CHEST in said else Region.ELSEWHERE


def _kernel(frame: Frame) -> Kernel:
    kernel = kernel_of(frame.text("ConvolutionKernel"))
    return kernel if kernel is not Kernel.UNKNOWN else kernel_of(frame.text("SeriesDescription"))


def _judge_nifti(series: Series, name: str, settings: SelectionSettings) -> _Candidate | str:
    try:
        geometry, _ = read_nifti_geometry(series)
    except AssemblyError as error:
        return str(error)
    angle = float(np.degrees(np.arccos(min(1.0, abs(geometry.directions[0][2])))))
    if angle > settings.axial_tolerance_deg:
        return f"oblique: its nearest axis is {angle:.0f}° off the body's"
    coverage = geometry.shape[0] * geometry.spacing_mm[0]
    if geometry.shape[0] < settings.least_slices or coverage < settings.least_coverage_mm:
        return f"{geometry.shape[0]} slices over {coverage:.0f} mm; too few for a chest"
    return _without_header(series, name, geometry.shape[0])


def _without_header(series: Series, name: str, slices: int) -> _Candidate:
    """A candidate of a format that says nothing about kernel, region or phase."""
    return _Candidate(
        series, name, (), regular=True, region=Region.UNSAID, original=True,
        coverage_mm=0.0, spacing_mm=0.0, kernel=Kernel.UNKNOWN, contrast=False,
    )  # fmt: skip


def _thinness(candidate: _Candidate) -> int:
    """Classes of slice spacing, not mm: 1 mm is no better than 1.25 mm for pneumonia."""
    return sum(candidate.spacing_mm <= limit for limit in (1.5, 3.0, 5.0))


@dataclass(frozen=True, slots=True)
class _Criterion:
    """One line of the ranking: larger scores win, `words` name the two sides."""

    score: Callable[[_Candidate, SelectionSettings], float]
    words: Callable[[_Candidate], str]


#: The ranking; the first line in which two candidates differ decides between them.
_CRITERIA: tuple[_Criterion, ...] = (
    # A series with a gap or a tilt cannot be analysed.
    _Criterion(lambda c, _: c.regular, lambda c: "a regular grid" if c.regular else "an irregular grid"),
    # Derived axial images (averaged, denoised, re-compressed) only where there is nothing else.
    _Criterion(lambda c, _: c.original, lambda c: "original images" if c.original else "derived images"),
    # The whole lung before any quality of its slices.
    _Criterion(
        lambda c, s: round(min(c.coverage_mm, s.fair_coverage_mm) / 25.0),
        lambda c: f"{c.coverage_mm:.0f} mm covered",
    ),
    _Criterion(
        lambda c, _: c.region is Region.CHEST,
        lambda c: "described as chest" if c.region is Region.CHEST else "no part of the body named",
    ),
    # Ground glass and its borders need thin slices; beyond 1.5 mm a class of 3 and of 5 mm.
    _Criterion(lambda c, _: _thinness(c), lambda c: f"slices {c.spacing_mm:.2g} mm apart"),
    # The kernel made for lungs, as a radiologist reads them; the paper's slices were lung-windowed.
    _Criterion(
        lambda c, _: {Kernel.LUNG: 2, Kernel.SOFT: 1, Kernel.UNKNOWN: 0}[c.kernel],
        lambda c: f"{c.kernel} kernel",
    ),
    # Contrast whitens vessels and dependent lung.
    _Criterion(lambda c, _: not c.contrast, lambda c: "contrast" if c.contrast else "no contrast"),
    _Criterion(lambda c, _: round(c.coverage_mm), lambda c: f"{c.coverage_mm:.0f} mm covered"),
    _Criterion(lambda c, _: -round(c.spacing_mm, 2), lambda c: f"slices {c.spacing_mm:.2f} mm apart"),
)  # fmt: skip


def _rank(settings: SelectionSettings) -> Callable[[_Candidate], tuple[object, ...]]:
    def key(candidate: _Candidate) -> tuple[object, ...]:
        number = candidate.series.instances[0].attributes.get("SeriesNumber")
        first = -number if isinstance(number, int) else float("-inf")
        uids = sorted(i.sop_instance_uid for i in candidate.series.instances)
        scores = tuple(criterion.score(candidate, settings) for criterion in _CRITERIA)
        return (*scores, first, uids)

    return key


def _why(best: _Candidate, other: _Candidate, settings: SelectionSettings) -> str:
    for criterion in _CRITERIA:
        if criterion.score(best, settings) != criterion.score(other, settings):
            return f"{criterion.words(best)} against {criterion.words(other)}"
    return "equal in every respect; the lower series number was taken"


def _describe(best: _Candidate) -> str:
    if not best.frames:
        return f"{best.name}: the only volume in the input."
    kernel = best.frames[0].text("ConvolutionKernel")
    return (
        f"{best.name}: axial CT"
        f"{', described as chest' if best.region is Region.CHEST else ''}, "
        f"{best.coverage_mm:.0f} mm covered by slices {best.spacing_mm:.2f} mm apart, "
        f"{best.kernel} kernel{f' ({kernel})' if kernel else ''}."
    )


def _refuse_ambiguity(candidates: Sequence[_Candidate]) -> None:
    studies = {candidate.series.study_instance_uid for candidate in candidates}
    bare = [candidate for candidate in candidates if not candidate.frames]
    if len(studies) > 1 or (bare and len(candidates) > 1):
        raise InputError(
            f"chest CT candidates of more than one examination: "
            f"{'; '.join(candidate.name for candidate in candidates)}",
            expected="one examination of one patient",
            action="Give each examination by itself.",
        )


def _no_chest_ct(rejected: Sequence[Rejection], study: Study) -> NoChestCT:
    lines = tuple(f"{rejection.what}: {rejection.reason}" for rejection in rejected)
    return NoChestCT(
        f"{len(study.series)} series and no axial chest CT among them ({'; '.join(lines)})",
        expected="an axial CT series of the chest",
        action="Send the chest CT's axial reconstruction.",
        rejections=lines,
    )
