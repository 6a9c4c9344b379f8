"""What a reader of a result must know beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NoteKind(StrEnum):
    """What a note is about: the analysis itself, or what was seen of the lungs."""

    INCOMPLETE = "incomplete"
    NOT_VERIFIED = "completeness-not-verified"
    REPLACES = "replaces"
    CUT_AT_FEET = "cut-at-feet"
    CUT_AT_HEAD = "cut-at-head"
    CUT_BY_FIELD = "cut-by-field-of-view"
    ONE_LUNG = "one-lung"
    COARSE_PIXELS = "coarse-pixels"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing a reader of the result must know, whatever the verdict."""

    kind: NoteKind
    """For machines."""
    text: str
    """For people: a sentence, without identifiers."""
