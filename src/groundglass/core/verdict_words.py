"""What classes and verdicts are called for a reader: the same words in every output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from groundglass.core.result import (
    KIND_NOT_TOLD,
    GroupPrediction,
    NotJudged,
    ShareOfSlices,
    Verdict,
    is_ill,
)

#: The two answers to whether there is something, and the one to what where nobody knows.
FINDINGS = "Findings as in pneumonia"
NONE_SEEN = "No findings of pneumonia seen"
NOT_TOLD = "kind not told"

#: Said once beside every verdict that calls findings.
NOT_EXCLUDED = "Tumour, heart failure and other disease that looks alike are not excluded."
#: Said once beside every verdict by share of slices that calls none.
NOT_LOOKED_FOR = "Other disease was not looked for."

#: Class labels of the paper (section 2.1) in full; a bundle's other labels are shown as they are.
_CLASS_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "CP": "COVID-19 pneumonia",
        "NCP": "Other pneumonia",
        "healthy": "Healthy",
        KIND_NOT_TOLD: FINDINGS,
    }
)


def class_name(label: str, by_share: ShareOfSlices | None = None) -> str:
    """Name of a class for a reader.

    Parameters
    ----------
    by_share : ShareOfSlices, optional
        Of a verdict that was reached so: then what is no kind of pneumonia means no findings,
        which is less than healthy.
    """
    if by_share is not None and label not in {*by_share.kinds, KIND_NOT_TOLD}:
        return NONE_SEEN
    return _CLASS_NAMES.get(label, label)


@dataclass(frozen=True, slots=True)
class Answers:
    """A verdict in words."""

    findings: str
    """Whether there are findings as in pneumonia; by the groups' vote the class."""
    kind: str = ""
    """Of which kind, or that it is not told; empty without findings, and by vote."""

    @classmethod
    def of(cls, verdict: Verdict) -> Answers:
        """The words of a verdict."""
        if verdict.by_share is None:
            return cls(class_name(verdict.label))
        if not calls_findings(verdict):
            return cls(NONE_SEEN)
        told = verdict.label != KIND_NOT_TOLD
        return cls(FINDINGS, f"kind: {class_name(verdict.label)}" if told else NOT_TOLD)

    def __str__(self) -> str:
        return f"{self.findings}, {self.kind}" if self.kind else self.findings


def calls_findings(verdict: Verdict) -> bool:
    """Whether a verdict says that there is disease: any class but the paper's healthy by vote."""
    if verdict.by_share is None:
        return verdict.label != "healthy"
    return class_name(verdict.label, verdict.by_share) != NONE_SEEN


def caveat(verdict: Verdict) -> str:
    """What a verdict does not say, in a sentence; empty where the paper's class says it."""
    if calls_findings(verdict):
        return NOT_EXCLUDED
    return "" if verdict.by_share is None else NOT_LOOKED_FOR


def share_sentences(found: ShareOfSlices) -> list[str]:
    """How a verdict by share of slices came about, one sentence per step."""
    lines = [
        f"{found.ill} of {found.judged} judged slices ({percent(found.share)}) show findings as in "
        f"pneumonia: each by itself scores {found.slice_threshold:g} or more.",
        f"Findings are called from {percent(found.study_threshold)} of the slices on.",
    ]
    if found.share < found.study_threshold:
        return lines
    if found.kind_threshold is None:
        return [*lines, "Of which kind is not told: these weights cannot tell kinds apart."]
    parts = ", ".join(f"{class_name(kind)} {percent(part)}" for kind, part in found.kinds.items())
    told = found.kinds[found.likelier_kind] >= found.kind_threshold
    return [
        *lines,
        f"By kind: {parts}. A kind is told from {percent(found.kind_threshold)} on; here it is"
        f"{'' if told else ' not'}.",
    ]


def not_judged_sentence(found: NotJudged) -> str:
    """How much of the lungs, and of the opacity measured in them, the classifier was not shown."""
    total = found.total
    thirds = ", ".join(
        f"{third} third {part.lung_share:.0%} and {part.opacity_share:.0%}"
        for third, part in found.thirds.items()
    )
    return (
        f"Not judged: {total.lung_share:.0%} of the lung and {total.opacity_share:.0%} of the "
        f"opacity measured by HU lie in slices that were left out ({thirds})."
    )


def ill_slices(group: GroupPrediction, found: ShareOfSlices) -> int:
    """How many slices of a group are ill, by the threshold of the verdict."""
    (healthy,) = set(group.probabilities) - set(found.kinds)
    return sum(is_ill(score, found.slice_threshold) for score in group.scores(healthy))


def in_a_sentence(name: str) -> str:
    """A name as it stands within a sentence: "other pneumonia", "COVID-19 pneumonia"."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def percent(share: float) -> str:
    """A share as a percentage with up to three digits: "33.3%", "5%"."""
    return f"{100 * share:.3g}%"
