"""Sentences about a result: how its verdict came about, what was left out."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import groupby

from groundglass.core.result import HeatMethod, SliceRecord, SliceStatus, TriageResult, Verdict
from groundglass.core.verdict_words import caveat, class_name, share_sentences
from groundglass.report.terms import STATUS_TERMS

#: What the methods are called for a reader.
_METHODS = {
    HeatMethod.REFINED_BY_HU: (
        "The map is all layers' evidence for this class, less that against it, refined by HU: "
        "times how likely the HU there are those of an opacity thicker than a vessel."
    ),
    HeatMethod.ALL_LAYERS: "The map is all layers' evidence for this class, less that against it.",
    HeatMethod.GRAD_CAM: "The map is Grad-CAM at the last layer.",
}


#: What plain letters stand for typographic ones that have no decomposition of their own.
_PLAIN = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "x", "·": "-", "≥": ">=", "≤": "<=",
     "‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss", "æ": "ae", "ø": "o", "µ": "u"}
)  # fmt: skip


def plain(text: str) -> str:
    """Text in printable ASCII on one line; ? for what has no plain form."""
    parts = unicodedata.normalize("NFKD", " ".join(text.translate(_PLAIN).split()))
    kept = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in kept)


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 group", "3 groups"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def signed(value: float, spec: str) -> str:
    """A number in Python's format with a true minus sign."""
    return format(value, spec).replace("-", "−")


def millimetres(value: float) -> str:
    """A position in mm with one decimal and a true minus sign."""
    return signed(value, ".1f")


def range_words(values: Sequence[float]) -> str:
    """The lowest and highest of some positions: "−210.0 to −35.5"; a dash for none."""
    if not values:
        return "–"
    low, high = millimetres(min(values)), millimetres(max(values))
    return low if low == high else f"{low} to {high}"


def verdict_narrative(result: TriageResult) -> list[str]:
    """How the verdict came about, one sentence per step, and what it does not say.

    Parameters
    ----------
    result : TriageResult
        With or without a verdict; without one there is nothing to tell.
    """
    verdict = result.verdict
    if verdict is None:
        return []
    found = verdict.by_share
    how = _by_vote(result, verdict) if found is None else share_sentences(found)
    return [line for line in (*how, caveat(verdict)) if line]


def _by_vote(result: TriageResult, verdict: Verdict) -> list[str]:
    """How the groups' votes became the verdict."""
    votes = [
        f"{class_name(label)} {verdict.votes[label]}"
        for label in result.labels
        if verdict.votes.get(label)
    ]
    lines = [f"Votes of {counted(len(result.groups), 'group')}: {', '.join(votes)}."]
    if verdict.tie:
        lines.append(
            f"The vote was tied; {class_name(verdict.majority)} has the higher mean probability."
        )
    lines += [
        f"{firing.threshold:g} rule: group {firing.group_index + 1} named "
        f"{class_name(firing.label)} with {firing.probability:.3f}, more than {firing.threshold:g}."
        for firing in verdict.rule_firings
    ]
    if verdict.rule_firings:
        lines.append(
            f"So the {class_name(verdict.majority).lower()} majority gave way to "
            f"{class_name(verdict.label)}."
        )
    else:
        threshold = result.provenance.recipe.get("vote_threshold", 0.9)
        lines.append(f"The {threshold:g} rule did not change the vote.")
    return lines


def left_out(records: Sequence[SliceRecord], recipe: Mapping[str, object]) -> list[str]:
    """One sentence per run of slices with the same fate that was not used, head to feet.

    Parameters
    ----------
    records : sequence of SliceRecord
        Ordered from head to feet.
    recipe : mapping of str to object
        Every setting of preparing.
    """
    lines = []
    for fate, run in groupby(records, key=lambda record: record.fate):
        stretch = list(run)
        if fate is not SliceStatus.KEPT:
            where = range_words([record.position_mm for record in stretch])
            words = STATUS_TERMS[fate]
            limit = recipe.get(words.limit)
            share = "" if limit is None else f", {limit:g} of the largest lung area"
            why = words.sentence.format(limit=share)
            lines.append(f"{counted(len(stretch), 'slice')} (z {where} mm) {why}")
    return lines


def limits(result: TriageResult) -> list[str]:
    """What this result cannot say, whatever the weights."""
    answers = ", ".join(class_name(label) for label in result.labels)
    return [
        f"The network knows {counted(len(result.labels), 'answer')}: {answers}. Whatever else "
        "there is, it is given one of these.",
        "Slices that were left out were not judged; disease confined to them is missed.",
        "The heat map shows what moved the network, right or wrong. A lesion without heat is "
        "still a lesion.",
        "The lung outline comes from a network too: look whether consolidation at the pleura lies "
        "inside it.",
    ]


def heat_facts(result: TriageResult) -> list[str]:
    """What the heat is worth in this study, one sentence each; none without heat."""
    lines = []
    if result.heatmaps:
        lines.append(_METHODS[result.heatmaps[0].method])
    if result.heat_outside_lung is not None:
        lines.append(f"{result.heat_outside_lung:.0%} of the heat lies outside the lung mask.")
    if result.consistency is not None:
        lines.append(
            "Turned and shifted images give the same map with a similarity of "
            f"{result.consistency.mean:.3f} (1 is the same)."
        )
    return lines


def flat(settings: Mapping[str, object], above: str = "") -> list[tuple[str, str]]:
    """Nested settings as lines of (dotted name, value), sorted by name."""
    lines: list[tuple[str, str]] = []
    for name in sorted(settings):
        value = settings[name]
        if isinstance(value, Mapping):
            lines += flat(value, f"{above}{name}.")
        else:
            lines.append((f"{above}{name}", str(value)))
    return lines
