"""From the groups' labels to the patient's (paper section 2.4, Figure 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from groundglass.core.result import GroupPrediction, RuleFiring, Verdict


def vote(groups: Sequence[GroupPrediction], healthy: str, threshold: float) -> Verdict:
    """Majority of the groups' labels, with the rule for a healthy majority.

    A tie goes to the label with the highest mean probability. When healthy wins although a group
    gave another class a probability above `threshold`, the verdict becomes that class; of several
    such groups the most certain one decides.

    Parameters
    ----------
    groups : sequence of GroupPrediction
        At least one.
    healthy : str
        The class that means no pneumonia.
    threshold : float
        The rule's threshold (paper: 0.9).

    Returns
    -------
    Verdict
        With every firing of the rule.
    """
    labels = tuple(groups[0].probabilities)
    mean = {
        label: sum(group.probabilities[label] for group in groups) / len(groups) for label in labels
    }
    votes = Counter(group.label for group in groups)
    most = max(votes.values())
    leaders = [label for label in labels if votes[label] == most]
    majority = max(leaders, key=lambda label: mean[label])
    firings = _firings(groups, healthy, threshold) if majority == healthy else ()
    return Verdict(
        label=firings[0].label if firings else majority,
        probabilities=mean,
        votes={label: votes[label] for label in labels},
        majority=majority,
        tie=len(leaders) > 1,
        rule_firings=firings,
    )


def _firings(
    groups: Sequence[GroupPrediction], healthy: str, threshold: float
) -> tuple[RuleFiring, ...]:
    """Groups that speak against healthy, the most certain first."""
    found = [
        RuleFiring(group.group.index, group.label, group.probabilities[group.label], threshold)
        for group in groups
        if group.label != healthy and group.probabilities[group.label] > threshold
    ]
    return tuple(sorted(found, key=lambda firing: -firing.probability))
