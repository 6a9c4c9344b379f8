"""The report's words: how classes are coloured, what outcomes and fates are called for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from groundglass.core.result import KIND_NOT_TOLD, Outcome, SliceStatus, Verdict

#: CSS classes that colour the paper's classes; other labels get the next free colour.
_CLASS_COLOURS: Mapping[str, str] = MappingProxyType(
    {"CP": "cp", "NCP": "ncp", "healthy": "ok", KIND_NOT_TOLD: "ill"}
)


def class_colour(label: str, labels: tuple[str, ...]) -> str:
    """CSS class of a class label."""
    others = [name for name in labels if name not in _CLASS_COLOURS]
    if label in others:
        return f"x{others.index(label) % 3}"
    return _CLASS_COLOURS.get(label, "x0")


@dataclass(frozen=True, slots=True)
class OutcomeTerms:
    """How an outcome is announced."""

    title: str
    """The outcome as a heading."""
    action: str
    """What the reader can do about it."""


#: For every outcome but a verdict, whose title is the winning class.
OUTCOME_TERMS: Mapping[Outcome, OutcomeTerms] = MappingProxyType(
    {
        Outcome.NO_LUNG: OutcomeTerms(
            "No verdict: no lung found",
            "Check below that the images show the chest and that they are in Hounsfield units. "
            "If lungs are plainly there, lung segmentation failed: read the study without this "
            "tool and report the case.",
        ),
        Outcome.NOT_CHEST_CT: OutcomeTerms(
            "No verdict: not a chest CT",
            "Send an axial CT series of the chest. If this is one, check the series description "
            "and the image orientation in its header.",
        ),
        Outcome.TOO_FEW_SLICES: OutcomeTerms(
            "No verdict: too few slices",
            "Send a series that covers the lungs from base to apex, or one with thinner slices.",
        ),
        Outcome.PART_OF_LUNGS: OutcomeTerms(
            "No verdict: the scan shows part of the lungs",
            "Send a series that covers the lungs from base to apex. If there is none, read the "
            "study without this tool: neither what was scanned nor what was not is cleared.",
        ),
        Outcome.FOR_A_READER: OutcomeTerms(
            "No verdict: for a reader",
            "Read the study without this tool. Check what the reason names: it lies outside of "
            "what the tool was made and tested for.",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class StatusTerms:
    """How the fate of slices is explained."""

    short: str
    """For a table cell."""
    sentence: str
    """Why, after "12 slices (z −40 to 10 mm) ", with a place for the recipe's `limit`."""
    limit: str = ""
    """The recipe's setting that decided, a share of the largest lung area; empty when none did."""


STATUS_TERMS: Mapping[SliceStatus, StatusTerms] = MappingProxyType(
    {
        SliceStatus.KEPT: StatusTerms("used", "went to the classifier."),
        SliceStatus.NO_LUNG: StatusTerms(
            "no lung", "hold no lung in the segmentation and were left out."
        ),
        SliceStatus.ELIMINATED_HEADWARD: StatusTerms(
            "left out, head side",
            "above the largest lung area were left out: they show less lung than the recipe asks "
            "for on the head side{limit}.",
            "headward_ratio",
        ),
        SliceStatus.ELIMINATED_FEETWARD: StatusTerms(
            "left out, feet side",
            "below the largest lung area were left out: they show less lung than the recipe asks "
            "for on the feet side{limit}. Disease confined to the lung bases can be missed here.",
            "feetward_ratio",
        ),
    }
)

_ALWAYS: tuple[tuple[str, str], ...] = (
    ("HU", "Hounsfield units: water 0, air −1000."),
    ("Lung window", "the HU range spread over the grey scale, given as width (W) and level (L)."),
    (
        "Heat map",
        "where the image argued for the class, less where it argued against it. It shows what "
        "the network used, not the outline of a lesion.",
    ),
    (
        "Argues",
        "this slice's part, roughly, in how far the score of the class lies above that of black "
        "slices. The score sets the class apart from healthy. Negative: it argues against it.",
    ),
    (
        "Ground glass, consolidation",
        "here: volumes by HU alone. Vessels are set aside by their thinness; the rest is counted, "
        "whatever it is.",
    ),
    ("z", "position along the body in mm in the scanner's coordinates, growing towards the head."),
)
_BY_VOTE: tuple[tuple[str, str], ...] = (
    ("Group", "the run of slices the sequence network judges at once."),
    ("Vote", "each group names its most probable class; the majority names the patient's."),
    (
        "0.9 rule",
        "a healthy majority gives way to a group that names a pneumonia with more than 0.9.",
    ),
)
_BY_SHARE: tuple[tuple[str, str], ...] = (
    (
        "Score",
        "how surely the network sees findings as in pneumonia on a slice by itself, 0 to 1.",
    ),
    ("Ill slice", "one whose score reaches the weights' threshold for slices."),
    (
        "Kind not told",
        "there are findings, and they do not look enough like one kind of pneumonia to name it.",
    ),
    ("Group", "slices that went through the network together; it decides nothing."),
)


def glossary(verdict: Verdict | None) -> tuple[tuple[str, str], ...]:
    """Words of a report that need explaining: those that its verdict uses."""
    if verdict is None:
        return _ALWAYS
    return (*_ALWAYS, *(_BY_VOTE if verdict.by_share is None else _BY_SHARE))
