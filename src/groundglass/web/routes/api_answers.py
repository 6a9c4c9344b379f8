"""What the API answers, typed: its OpenAPI description is made from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.web.looks import priority_name
from groundglass.web.readings.agreement import Agreement
from groundglass.web.readings.readings import Reading
from groundglass.web.worklist.board import StudyRow


@dataclass(frozen=True, slots=True)
class VerdictAnswer:
    """A verdict, or what is in its place."""

    findings: str
    """In words: whether there are findings, or why there is no verdict."""
    kind: str
    """In words: of which kind; empty without findings."""
    label: str | None
    """For machines; null without a verdict."""
    probabilities: Mapping[str, float]
    """Per class; empty without a verdict."""
    bundle: str
    """Weights."""
    opacity_share: float | None
    """Share of the lungs in the HU range of opacities, 0 to 1."""
    statement: str = RESEARCH_USE_ONLY


@dataclass(frozen=True, slots=True)
class ReadingAnswer:
    """What a reader said."""

    who: str
    at: float
    """Seconds since 1970-01-01 UTC."""
    revision: int
    bundle: str
    verdict: str
    answer: str
    label: str
    remark: str
    blind: bool

    @classmethod
    def of(cls, one: Reading) -> ReadingAnswer:
        """Of a reading."""
        said = one.opinion
        return cls(
            one.who, one.at, one.revision, one.bundle, one.verdict,
            said.answer, said.label, said.remark, said.blind,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """One study of the list."""

    id: int
    """Its job."""
    study_instance_uid: str
    revision: int
    patient_name: str
    patient_id: str
    study_date: str
    study_description: str
    state: str
    need: str
    """Why it stands where it stands in the list."""
    priority: str
    waited_s: float
    """Since its last image came."""
    expected_at: float | None
    """When its result is expected; seconds since 1970-01-01 UTC."""
    hidden: bool
    """Whether the verdict shows only after one's own reading."""
    verdict: VerdictAnswer | None
    """Null where there is no result, or it is hidden."""
    reason: str
    """Why it was refused or failed."""
    changed_since_read: bool
    readings: list[ReadingAnswer]

    @classmethod
    def of(cls, row: StudyRow) -> StudyAnswer:
        """Of a row."""
        job, who = row.job, row.identity
        return cls(
            id=job.id,
            study_instance_uid=job.study_instance_uid,
            revision=job.revision,
            patient_name=who.patient_name,
            patient_id=who.patient_id,
            study_date=who.study_date,
            study_description=who.study_description or job.study_description,
            state=job.state,
            need=row.need.name.lower().replace("_", " "),
            priority=priority_name(job.priority),
            waited_s=row.waited_s,
            expected_at=row.expected_at,
            hidden=row.hidden,
            verdict=_verdict(row),
            reason="" if row.hidden else job.reason,
            changed_since_read=row.changed,
            readings=[ReadingAnswer.of(one) for one in row.readings] if not row.hidden else [],
        )


def _verdict(row: StudyRow) -> VerdictAnswer | None:
    result = row.result
    if result is None:
        return None
    found = result.verdict
    return VerdictAnswer(
        findings=result.words.findings,
        kind=result.words.kind,
        label=found.label if found else None,
        probabilities=found.probabilities if found else {},
        bundle=result.bundle,
        opacity_share=result.opacity_share,
    )


@dataclass(frozen=True, slots=True)
class SliceAnswer:
    """One slice on the scrollbar."""

    number: int
    """From the head, the topmost is 1."""
    judged: bool
    score: float | None
    key: bool
    words: str


@dataclass(frozen=True, slots=True)
class ViewAnswer:
    """What a viewer needs before the first slice."""

    shape: tuple[int, int, int]
    """Slices, rows, columns as read."""
    spacing_mm: tuple[float, float, float]
    """The same in mm."""
    first: int
    """The slice to begin with."""
    slices: list[SliceAnswer]
    """From the head down; empty where none was judged, or the verdict is hidden."""


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """One study."""

    study: StudyAnswer
    view: ViewAnswer | None
    """Null where there are no images to show."""
    story: list[str]
    """How the verdict came about, or why there is none."""
    notes: list[str]
    opacity_burden: Mapping[str, Any] | None
    not_judged: Mapping[str, Any] | None
    """`opacity_burden`, `not_judged`: as in result.json."""


@dataclass(frozen=True, slots=True)
class EvidenceAnswer:
    """What lies over a slice."""

    outline: list[list[float]]
    """Closed lines around the lungs: column, row, column, row, … in pixels from the corner."""
    heat: str
    """A PNG in base64, of the slice's size; empty where no heat is drawn."""


@dataclass(frozen=True, slots=True)
class AgreementAnswer:
    """How often readers agreed with one kind of verdict."""

    bundle: str
    verdict: str
    month: str
    agree: int
    disagree: int
    unsure: int
    share: float | None
    """Agreed of decided, 0 to 1."""
    interval: tuple[float, float] | None
    """Its 95 % interval (Wilson)."""

    @classmethod
    def of(cls, one: Agreement) -> AgreementAnswer:
        """Of an agreement."""
        return cls(
            one.bundle, one.verdict, one.month, one.agree, one.disagree, one.unsure,
            one.share, one.interval,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """One line of the record."""

    at: float
    who: str
    address: str
    what: str
    job_id: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class MeAnswer:
    """Who asks."""

    name: str
    role: str
