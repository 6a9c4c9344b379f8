"""Every study opened as training opens it; the same pixels in two splits or of two patients."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundglass.cohort.case import Case
from groundglass.cohort.checks.cohort_report import Finding, FindingKind, Severity
from groundglass.cohort.fingerprint import SliceDigest, combine, digests_of, slice_digests
from groundglass.cohort.image_files import read_stack, stack_settings
from groundglass.cohort.opening import StudyKind, read_slice, study_kind, without_names
from groundglass.errors import InputError
from groundglass.read import read_study, read_volume, select_chest_ct


@dataclass(frozen=True, slots=True)
class Examined:
    """A study that was opened."""

    case: Case
    """Whose."""
    fingerprint: str = ""
    """As `study_fingerprint`; empty when it could not be opened."""
    slices: frozenset[bytes] = frozenset()
    """SHA-256 of its slices, blank ones left out."""
    problem: str = ""
    """Why it cannot be used; empty when it can."""


def examine(case: Case) -> Examined:
    """Open a study: its fingerprint, or why it cannot be used.

    A phantom is not rendered: its settings decide its voxels.
    """
    try:
        slices = _slices(case)
    except InputError as error:
        return Examined(case, problem=without_names(case, str(error)))
    marked = frozenset(one.sha256 for one in slices if not one.blank)
    return Examined(case, fingerprint=combine(slices), slices=marked)


def _slices(case: Case) -> list[SliceDigest]:
    kind = study_kind(case.study)
    if kind in (StudyKind.DICOM, StudyKind.NIFTI, StudyKind.METAIMAGE):
        study = read_study(case.study)
        series = select_chest_ct(study)
        if kind is StudyKind.DICOM:  # of a volume file the digests read all there is
            read_volume(series)
        return digests_of(study)
    if kind is StudyKind.IMAGE and not case.extra.get("mask"):
        read_slice(case.study)  # with a mask it is for the segmenter, which takes 16 bits
    if kind is StudyKind.IMAGE_STACK:
        read_stack(case.study, stack_settings(case))
    return slice_digests(case.study)


def pixel_findings(examined: Sequence[Examined]) -> Iterator[Finding]:
    """Studies that are the same, and studies that have slices in common."""
    by_fingerprint: defaultdict[str, list[Case]] = defaultdict(list)
    for one in examined:
        by_fingerprint[one.fingerprint].append(one.case)
    for cases in by_fingerprint.values():
        if len(cases) > 1:
            yield _same(cases)
    yield from _shared(examined)


def _same(cases: Sequence[Case]) -> Finding:
    rows = tuple(case.row for case in cases)
    wrong = _apart(cases)
    if wrong:
        words = f"The same pixels {' and '.join(wrong)}."
        return Finding(FindingKind.SAME_PIXELS, Severity.ERROR, rows, words)
    words = "The same pixels more than once, of one patient in one split: it counts double."
    return Finding(FindingKind.REPEATED, Severity.WARNING, rows, words)


def _shared(examined: Sequence[Examined]) -> Iterator[Finding]:
    """Pairs with slices in common that are not the same study as a whole."""
    holders: defaultdict[bytes, list[Examined]] = defaultdict(list)
    for one in examined:
        for sha256 in one.slices:
            holders[sha256].append(one)
    common: Counter[tuple[int, int]] = Counter()
    by_row = {one.case.row: one for one in examined}
    for group in holders.values():
        first, *others = sorted(group, key=lambda one: one.case.row)
        for other in others:
            if other.fingerprint != first.fingerprint:
                common[first.case.row, other.case.row] += 1
    for rows, count in common.items():
        wrong = _apart([by_row[row].case for row in rows])
        if wrong:
            slices = "slice" if count == 1 else "slices"
            words = f"{count} {slices} in common {' and '.join(wrong)}."
            yield Finding(FindingKind.SHARED_SLICES, Severity.ERROR, rows, words)


def _apart(cases: Sequence[Case]) -> list[str]:
    """How these cases differ in what the same pixels must not differ in."""
    wrong = []
    splits = sorted({case.split for case in cases} - {""})  # cases of no split are not used
    labels = sorted({case.label for case in cases})
    if len(splits) > 1:
        wrong.append(f"in the splits {', '.join(splits)}")
    if len({case.patient for case in cases}) > 1:
        wrong.append("under different patients")
    if len(labels) > 1:
        wrong.append(f"with the labels {', '.join(labels)}")
    return wrong
