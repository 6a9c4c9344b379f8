"""How a study ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from groundglass.core.result.verdict import ShareOfSlices

#: Stated in every output.
RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis."


class Outcome(StrEnum):
    """How a study ended: with a verdict, or why without one.

    A `TriageResult` has one of the first six. The others are ends without a result; so is
    NOT_CHEST_CT where no series of the study was one.
    """

    VERDICT = "verdict"
    NO_LUNG = "no-lung"
    NOT_CHEST_CT = "not-a-chest-ct"
    TOO_FEW_SLICES = "too-few-slices"
    PART_OF_LUNGS = "part-of-lungs"
    #: Judged, and not fit to be answered by a machine: the reason says what a reader must look at.
    FOR_A_READER = "for-a-reader"
    #: Images of the chest CT are missing that an archive lists: a part is not judged as the whole.
    INCOMPLETE = "incomplete"
    #: No regular volume can be made of its images.
    UNREADABLE = "unreadable"
    #: Its report could not be written.
    NOT_WRITTEN = "not-written"
    #: Its analysis came to no end: memory, time, a defect.
    BROKE_DOWN = "broke-down"
    #: Its analysis broke down each time it was tried.
    GIVEN_UP = "given-up"


#: The ends that a `TriageResult` can have.
RESULT_OUTCOMES = tuple(Outcome)[:6]


@dataclass(frozen=True, slots=True)
class StudyEnd:
    """How a study ended."""

    outcome: Outcome
    """For machines."""
    reason: str
    """In words: how the verdict came about, or why there is none."""
    label: str = ""
    """The verdict; empty without."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Per class; empty without a verdict."""
    slices: int = 0
    """Of the volume that was judged; 0 where there is no result."""
    seconds: float = 0.0
    """From its files to its report."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """The same by stage, in s; empty where there is no result."""
    notes: tuple[str, ...] = ()
    """What a reader must know beside the reason."""
    by_share: ShareOfSlices | None = None
    """What decided a verdict by the share of ill slices; None by vote, and without a verdict."""
