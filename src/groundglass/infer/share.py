"""From single slices to the patient: findings or none by the share of ill slices, then the kind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from groundglass.core.result import (
    KIND_NOT_TOLD,
    GroupPrediction,
    ShareOfSlices,
    Verdict,
    is_ill,
)
from groundglass.infer.bundle_metadata import ShareRule


def verdict_by_share(groups: Sequence[GroupPrediction], healthy: str, rule: ShareRule) -> Verdict:
    """Findings as in pneumonia, or none seen; and of which kind, where the evidence carries it.

    Parameters
    ----------
    groups : sequence of GroupPrediction
        At least one, each with its slices' probabilities.
    healthy : str
        The class that means no pneumonia.
    rule : ShareRule
        Thresholds of the bundle.

    Returns
    -------
    Verdict
        The same whatever the order of the slices and however they are grouped.
    """
    slices = [probabilities for group in groups for probabilities in group.of_slices]
    scores = [score for group in groups for score in group.scores(healthy)]
    ill = [
        one
        for one, score in zip(slices, scores, strict=True)
        if is_ill(score, rule.slice_threshold)
    ]
    found = ShareOfSlices(
        len(ill),
        len(slices),
        rule.slice_threshold,
        rule.study_threshold,
        _kinds(ill or slices, healthy),
        rule.kind_threshold,
    )
    label = _kind(found) if found.share >= rule.study_threshold else healthy
    findings = rule.probability(found.share)
    votes = Counter(group.label for group in groups)
    probabilities = {healthy: 1 - findings}
    probabilities |= {kind: findings * part for kind, part in found.kinds.items()}
    labels = tuple(groups[0].probabilities)
    return Verdict(
        label=label,
        probabilities={one: probabilities[one] for one in labels},
        votes={one: votes[one] for one in labels},
        majority=found.likelier_kind if label == KIND_NOT_TOLD else label,
        tie=False,
        by_share=found,
    )


def _kinds(slices: Sequence[Mapping[str, float]], healthy: str) -> dict[str, float]:
    """How findings divide among the kinds, mean over slices; evenly where there are none at all."""
    kinds = [label for label in slices[0] if label != healthy]
    findings = [math.fsum(one[kind] for kind in kinds) for one in slices]

    def part(kind: str) -> Iterator[float]:
        for one, total in zip(slices, findings, strict=True):
            yield one[kind] / total if total else 1 / len(kinds)

    # An exact sum is the same in every order.
    return {kind: math.fsum(part(kind)) / len(slices) for kind in kinds}


def _kind(found: ShareOfSlices) -> str:
    """The kind, where it has enough of the findings to be told."""
    kind = found.likelier_kind
    told = found.kind_threshold is not None and found.kinds[kind] >= found.kind_threshold
    return kind if told else KIND_NOT_TOLD
