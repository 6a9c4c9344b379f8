"""What the page tells of a finished analysis, out of its `result.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundglass.core.result import Outcome, SliceStatus, Verdict
from groundglass.core.verdict_words import Answers, calls_findings, caveat, share_sentences
from groundglass.report.result_json import stored_verdict
from groundglass.report.terms import OUTCOME_TERMS, STATUS_TERMS, class_colour
from groundglass.report.writing import MANIFEST


@dataclass(frozen=True, slots=True)
class SliceMark:
    """One slice on the scrollbar."""

    number: int
    """Counted from the head."""
    judged: bool
    """Whether the networks saw it."""
    score: float | None
    """As `SliceRecord.score`."""
    key: bool
    """Whether its heat is evidence that is shown."""
    words: str
    """What became of it."""


@dataclass(frozen=True, slots=True)
class StoredResult:
    """One `result.json`, typed as far as the page tells it."""

    outcome: Outcome
    reason: str
    """`outcome`, `reason`: how the analysis ended."""
    verdict: Verdict | None
    bundle: str
    """Weights and their version."""
    version: str
    """Of groundglass."""
    statement: str
    """What the bundle says of itself."""
    notes: tuple[str, ...]
    """What a reader must know."""
    checks: tuple[str, ...]
    """Properties of the images outside of what the networks know."""
    slices: tuple[SliceMark, ...]
    """From the head down; empty where none was judged."""
    shape: tuple[int, int, int]
    """Slices, rows, columns as read."""
    spacing_mm: tuple[float, float, float]
    """The same in mm."""
    burden: Mapping[str, Any] | None
    """As in `result.json`: `total`, `regions`."""
    not_judged: Mapping[str, Any] | None
    """As in `result.json`."""

    @classmethod
    def read(cls, report: Path) -> StoredResult | None:
        """Of a report's folder; None where there is no result, only a refusal or nothing."""
        try:
            document = json.loads((report / MANIFEST).read_text("utf-8"))
            return cls._of(document)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> StoredResult:
        made, geometry = document["provenance"], document["geometry"]
        return cls(
            outcome=Outcome(document["outcome"]),
            reason=document["reason"],
            verdict=stored_verdict(document["verdict"]),
            bundle=made["bundle"],
            version=made["groundglass_version"],
            statement=document["statement"],
            notes=tuple(note["text"] for note in document["notes"]),
            checks=tuple(
                f"{check['meaning']}: {check['value']:g}"
                for check in document["checks"]
                if not check["ok"]
            ),
            slices=_marks(document),
            shape=tuple(geometry["shape"]),
            spacing_mm=tuple(geometry["spacing_mm"]),
            burden=document["opacity_burden"],
            not_judged=document["not_judged"],
        )

    @property
    def findings(self) -> bool:
        """Whether the verdict says that there is disease."""
        return self.verdict is not None and calls_findings(self.verdict)

    @property
    def words(self) -> Answers:
        """The verdict in words, or what is in its place."""
        if self.verdict is not None:
            return Answers.of(self.verdict)
        terms = OUTCOME_TERMS.get(self.outcome)
        return Answers(terms.title if terms else "No verdict")

    @property
    def story(self) -> tuple[str, ...]:
        """How the verdict came about, or why there is none, in sentences."""
        if self.verdict is None:
            terms = OUTCOME_TERMS.get(self.outcome)
            return (self.reason, terms.action) if terms else (self.reason,)
        found = self.verdict.by_share
        steps = [self.reason] if found is None else share_sentences(found)
        return tuple(line for line in (*steps, caveat(self.verdict)) if line)

    @property
    def colour(self) -> str:
        """CSS class of the verdict."""
        if self.verdict is None:
            return "none"
        return class_colour(self.verdict.label, tuple(self.verdict.probabilities))

    @property
    def opacity_share(self) -> float | None:
        """Share of the lungs in the HU range of opacities, 0 to 1."""
        if self.burden is None:
            return None
        total = self.burden["total"]
        return float(total["ground_glass_share"] + total["consolidation_share"])

    @property
    def first_slice(self) -> int:
        """The slice to open with: the evidence's first, else the highest score, else the middle."""
        keys = [mark for mark in self.slices if mark.key]
        scored = [mark for mark in keys or self.slices if mark.score is not None]
        if scored:
            return max(scored, key=lambda mark: mark.score or 0.0).number
        return keys[0].number if keys else self.middle

    @property
    def middle(self) -> int:
        """A slice that says nothing of the verdict."""
        return (self.shape[0] + 1) // 2


def _marks(document: Mapping[str, Any]) -> tuple[SliceMark, ...]:
    keys = {one["slice_index"] for one in document["key_slices"]}
    marks = [
        SliceMark(
            number=one["number"],
            judged=one["fate"] == SliceStatus.KEPT,
            score=one["score"],
            key=one["index"] in keys,
            words=f"{STATUS_TERMS[SliceStatus(one['fate'])].short}: {one['reason']}",
        )
        for one in document["slices"]
        if one["number"] is not None
    ]
    return tuple(sorted(marks, key=lambda mark: mark.number))
