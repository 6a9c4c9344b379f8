"""Split-conformal sets over {findings, none}: what a bundle calibrated on a site's cases allows.

Whether a study is released with a verdict, or left for a reader because its evidence fits both
answers, or neither, as far as the site's own cases tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from groundglass.core.result import Verdict
from groundglass.infer.bundle_metadata import Conformal


def findings_score(share: float | None, probabilities: Mapping[str, float], healthy: str) -> float:
    """How strongly a study speaks for findings, 0 to 1.

    The share of ill slices where the bundle judges slices; by vote, one less the mean probability
    of healthy.
    """
    return 1 - probabilities[healthy] if share is None else share


def why_not_given(verdict: Verdict, healthy: str, allowed: Conformal) -> str | None:
    """Why a verdict is not given to the reader as it is; None where it is.

    Given is a verdict that is the only answer in the study's conformal set.

    Parameters
    ----------
    verdict : Verdict
        By share of slices or by vote.
    healthy : str
        The class that means no pneumonia.
    allowed : Conformal
        Of the bundle.
    """
    share = verdict.by_share.share if verdict.by_share is not None else None
    score = findings_score(share, verdict.probabilities, healthy)
    found, none = allowed.findings_fit(score), allowed.none_fits(score)
    if found != none and none == (verdict.label == healthy):
        return None
    what = "share of slices with findings" if share is not None else "probability of findings"
    fits = {
        (True, True): "fits both findings and none seen",
        (False, False): "fits neither findings nor none seen",
        (True, False): "fits findings alone, where the bundle's rule calls none",
        (False, True): "fits none seen alone, where the bundle's rule calls findings",
    }[found, none]
    return (
        f"For a reader: a {what} of {score:.1%} {fits}. By the cases this bundle was calibrated "
        f"on, findings are possible from {allowed.findings_quantile:.1%} on and none up to "
        f"{allowed.none_quantile:.1%}, each missing the truth in at most {allowed.alpha:.0%}."
    )
