"""Made results whose verdict is the share of ill slices, by the rule's own code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from groundglass.core.result import GroupPrediction, TriageResult
from groundglass.core.verdict_words import caveat, share_sentences
from groundglass.infer.bundle_metadata import ShareRule
from groundglass.infer.share import verdict_by_share

#: A slice is ill from a half on, a study from a fifth of its slices on.
RULE = ShareRule(0.5, 0.2, 20.0, 0.8, "made studies", 1)
_ILL, _WELL = 0.9, 0.2


def by_share(
    result: TriageResult, ill: int, cp: float = 0.6, rule: ShareRule = RULE
) -> TriageResult:
    """The same study, had its slices been judged one by one.

    Parameters
    ----------
    ill : int
        How many slices have findings, from the feet on.
    cp : float
        The part of the findings that go to CP, 0 to 1.
    """
    kept = [index for group in result.groups for index in group.group.slice_indices]
    score = {index: _ILL if n < ill else _WELL for n, index in enumerate(kept)}
    groups = tuple(
        GroupPrediction.of_each_slice(
            one.group,
            result.labels,
            np.array(
                [
                    [score[k] * cp, score[k] * (1 - cp), 1 - score[k]]
                    for k in one.group.slice_indices
                ]
            ),
        )
        for one in result.groups
    )
    verdict = verdict_by_share(groups, "healthy", rule)
    assert verdict.by_share is not None
    coarse = result.coarse_heat
    return replace(
        result,
        verdict=verdict,
        reason=" ".join([*share_sentences(verdict.by_share), caveat(verdict)]),
        groups=groups,
        slices=tuple(replace(record, score=score.get(record.index)) for record in result.slices),
        heatmaps=tuple(replace(one, label=verdict.label) for one in result.heatmaps),
        coarse_heat=None if coarse is None else replace(coarse, label=verdict.label),
    )
