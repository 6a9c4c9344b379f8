"""The same pixels where they must not be: in two splits, or under two patients."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundglass.cohort.case import Case
from groundglass.cohort.report import Finding, FindingKind, Severity


@dataclass(frozen=True, slots=True)
class Examined:
    """A study that was opened.

    Parameters
    ----------
    case : Case
        Whose.
    fingerprint : str
        As `study_fingerprint`; empty when it could not be opened.
    slices : frozenset of bytes
        SHA-256 of its slices, blank ones left out.
    problem : str
        Why it cannot be used; empty when it can.
    """

    case: Case
    fingerprint: str = ""
    slices: frozenset[bytes] = frozenset()
    problem: str = ""


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
