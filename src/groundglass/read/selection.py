"""Study → the chest CT series best fit for the lungs, and why not each other one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from groundglass.core.study import Instance, Rejection, Series, Study
from groundglass.errors import AssemblyError, InputError, NoChestCT
from groundglass.read.candidates import Candidate, SelectionSettings
from groundglass.read.dicom.description_terms import Kernel, Region
from groundglass.read.dicom.frames import frames_in, series_number
from groundglass.read.dicom.patients import refuse_mixed_patients
from groundglass.read.dicom.stacks.splitting import split_stacks
from groundglass.read.dicom.stacks.wholes import NamedStack, series_name, whole_stacks
from groundglass.read.formats import format_for

_DEFAULT = SelectionSettings()
#: Limits in mm between classes of slice thickness: for pneumonia 1 mm is no better than 1.25 mm.
_THICKNESS_CLASSES_MM = (1.5, 3.0, 5.0)
#: Step in mm within which two coverages count as the same.
_COVERAGE_STEP_MM = 25.0


@dataclass(frozen=True, slots=True)
class _Criterion:
    """One line of the ranking: the larger score wins, `words` name what a side has."""

    score: Callable[[Candidate, SelectionSettings], float]
    words: Callable[[Candidate], str]


#: The ranking. The first line in which two candidates differ decides between them.
_CRITERIA: tuple[_Criterion, ...] = (
    # A series with a gap or a tilt cannot be analysed.
    _Criterion(
        lambda c, _: c.regular,
        lambda c: "a regular grid of slices" if c.regular else "an irregular one",
    ),
    # Axial images derived from others (averaged, denoised) only where there is nothing else.
    _Criterion(
        lambda c, _: c.original,
        lambda c: "original images" if c.original else "derived images",
    ),
    # As scanned before images computed for one X-ray energy or without contrast.
    _Criterion(
        lambda c, _: not c.virtual,
        lambda c: c.virtual or "images as scanned",
    ),
    # Breathed out or prone, normal lung greys.
    _Criterion(
        lambda c, _: c.usual_state,
        lambda c: "breathed in, supine" if c.usual_state else "breathed out or prone",
    ),
    # The whole lung before any quality of its slices.
    _Criterion(
        lambda c, s: round(min(c.coverage_mm, s.fair_coverage_mm) / _COVERAGE_STEP_MM),
        lambda c: f"{c.coverage_mm:.0f} mm covered",
    ),
    _Criterion(
        lambda c, s: c.field_mm >= s.whole_field_mm,
        lambda c: f"a field of view of {c.field_mm:.0f} mm",
    ),
    _Criterion(
        lambda c, _: c.region is Region.CHEST,
        lambda c: "described as chest" if c.region is Region.CHEST else "not described",
    ),
    # Ground glass and its borders need thin slices.
    _Criterion(
        lambda c, _: sum(c.thickness_mm <= limit for limit in _THICKNESS_CLASSES_MM),
        lambda c: f"slices of {c.thickness_mm:.3g} mm",
    ),
    # The kernel a radiologist reads lungs in; lung windows were cut from such series for the paper.
    _Criterion(
        lambda c, _: {Kernel.LUNG: 2, Kernel.SOFT: 1, Kernel.UNKNOWN: 0}[c.kernel],
        lambda c: f"{c.kernel} kernel{f' {c.kernel_name}' if c.kernel_name else ''}",
    ),
    # Contrast whitens vessels and the lung at rest.
    _Criterion(lambda c, _: not c.contrast, lambda c: "contrast" if c.contrast else "no contrast"),
    _Criterion(lambda c, _: round(c.coverage_mm), lambda c: f"{c.coverage_mm:.0f} mm covered"),
    _Criterion(
        lambda c, _: -round(c.thickness_mm, 2), lambda c: f"slices of {c.thickness_mm:.2f} mm"
    ),
)


def select_chest_ct(study: Study, *, settings: SelectionSettings = _DEFAULT) -> Series:
    """Choose the axial chest series best fit for the lungs.

    A series of several stacks is separated first. What is no axial chest CT is rejected; the rest
    is ranked. A chosen series may still be refused by `read_volume`, if its slices make no regular
    grid and there is no better one.

    Parameters
    ----------
    study : Study
        From `read_study`.
    settings : SelectionSettings
        What makes a series a chest CT.

    Returns
    -------
    Series
        With `selection_reason` and `rejected` filled: a reason for each other series and file.

    Raises
    ------
    NoChestCT
        No series is one; holds a reason for each.
    AssemblyError
        The only chest CT is a part of a stack: of its series, or of several that make one.
    InputError
        Images of more than one patient in a study, or chest CTs of more than one examination,
        which nobody may choose between unasked.
    """
    _refuse_several_patients(study)
    whole, rejected = whole_stacks(_stacks(study), study.rejected)
    torn = len(rejected)
    candidates: list[Candidate] = []
    for stack in whole:
        judged = format_for(stack.series).assess(stack.series, stack.name, settings)
        if isinstance(judged, str):
            rejected.append(Rejection(stack.name, judged))
        else:
            candidates.append(judged)
    if not candidates:
        raise _torn(rejected[:torn]) if torn else _no_chest_ct(rejected, study)
    _refuse_several_examinations(candidates)
    best, *others = sorted(candidates, key=lambda c: _rank(c, settings), reverse=True)
    lost = [Rejection(other.name, _why(best, other, settings)) for other in others]
    return replace(
        best.series,
        selection_reason=_reason(best, lost),
        rejected=(*lost, *rejected, *best.series.rejected, *study.rejected),
    )


def _stacks(study: Study) -> list[NamedStack]:
    """Every series, separated into stacks."""
    found: list[NamedStack] = []
    for series in study.series:
        stacks = split_stacks(series)
        for number, stack in enumerate(stacks, 1):
            name = _name(stack) + (f", stack {number} of {len(stacks)}" if len(stacks) > 1 else "")
            found.append(NamedStack(name, stack))
    return found


def _refuse_several_patients(study: Study) -> None:
    """A study is one patient's (PS3.3 A.1.2.2); of two studies each may have its own."""
    by_study: defaultdict[str, list[Instance]] = defaultdict(list)
    for series in study.series:
        by_study[series.study_instance_uid] += series.instances
    for instances in by_study.values():
        refuse_mixed_patients(instances)


def _torn(rejections: Sequence[Rejection]) -> AssemblyError:
    return AssemblyError(
        "; ".join(f"{rejection.what}: {rejection.reason}" for rejection in rejections),
        expected="one whole stack in one series",
        action="Send the series as the scanner made it.",
    )


def _name(series: Series) -> str:
    count = len(frames_in(series.instances)) or len(series.instances)
    return f"{series_name(series)} ({count} image{'s' if count != 1 else ''})"


def _rank(candidate: Candidate, settings: SelectionSettings) -> tuple[object, ...]:
    """Scores in order; of equals the lower series number, then the higher UIDs, wins."""
    number = series_number(candidate.series)
    scores = tuple(criterion.score(candidate, settings) for criterion in _CRITERIA)
    uids = sorted(instance.sop_instance_uid for instance in candidate.series.instances)
    return (*scores, float("-inf") if number is None else -number, uids)


def _why(best: Candidate, other: Candidate, settings: SelectionSettings) -> str:
    """The line of the ranking that decided, in words."""
    same_number = series_number(best.series) == series_number(other.series)
    decider = "the order of their UIDs" if same_number else "series number"
    decisive = f"equal in every respect, and first by {decider}"
    for criterion in _CRITERIA:
        if criterion.score(best, settings) != criterion.score(other, settings):
            decisive = f"{criterion.words(best)} against {criterion.words(other)}"
            break
    return f"{best.name} was preferred: {decisive}"


def _reason(best: Candidate, lost: Sequence[Rejection]) -> str:
    facts = [
        f"described as {best.region}" if best.region is Region.CHEST else "",
        f"{best.coverage_mm:.0f} mm covered" if best.coverage_mm else "",
        f"slices of {best.thickness_mm:.3g} mm" if best.thickness_mm else "",
        f"{best.kernel} kernel" if best.kernel is not Kernel.UNKNOWN else "",
        f"({best.kernel_name})" if best.kernel_name else "",
    ]
    text = ", ".join(filter(None, facts)).replace(", (", " (")
    reason = f"{best.name[:1].upper()}{best.name[1:]}"
    reason += f": axial CT, {text}." if text else ": the only volume in the input."
    for rejection in lost:
        decisive = rejection.reason.removeprefix(f"{best.name} was preferred: ")
        reason += f" Preferred to {rejection.what}: {decisive}."
    return reason


def _refuse_several_examinations(candidates: Sequence[Candidate]) -> None:
    examinations = {_examination(candidate.series) for candidate in candidates}
    if len(examinations) > 1:
        raise InputError(
            f"chest CTs of {len(examinations)} examinations: "
            f"{'; '.join(candidate.name for candidate in candidates)}",
            expected="one examination of one patient",
            action="Give each examination by itself.",
        )


def _examination(series: Series) -> str:
    """What tells examinations apart: the study's UID; files without one stand for themselves."""
    first = series.instances[0]
    return series.study_instance_uid if first.sop_class_uid else str(first.path)


def _no_chest_ct(rejected: Sequence[Rejection], study: Study) -> NoChestCT:
    lines = tuple(f"{rejection.what}: {rejection.reason}" for rejection in rejected)
    return NoChestCT(
        f"no axial chest CT among {len(study.series)} series ({'; '.join(lines)})",
        expected="an axial CT series of the chest",
        action="Send the chest CT's axial reconstruction.",
        rejections=lines,
    )
