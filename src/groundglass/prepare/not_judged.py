"""Whether enough of the lungs was judged to say that nothing was seen in them."""

from __future__ import annotations

from dataclasses import dataclass

from groundglass.core.result import NotJudged


@dataclass(frozen=True, slots=True)
class NotJudgedSettings:
    """From where on lungs in whose judged slices nothing was found are left to a reader.

    Measured at a feetward ratio of 0.5 on 15 real volumes of 12 patients and 17 whole phantoms
    (docs/explanation/what-a-verdict-means.md).
    """

    most_lung_share: float = 0.2
    """Share of the lung in slices that were not judged beyond which. Our choice: 0.2. Whole real
    lungs leave out 0.13 at most, phantoms 0.12; that is apex and recesses."""
    most_opacity_share: float = 0.4
    """The same of the opacity measured by HU. Our choice: 0.4; real lungs leave out 0.21 at most,
    phantoms with disease at the base 0.30."""
    least_opacity_ml: float = 30.0
    """Less opacity than this left out is no reason, whatever its share, in ml. Our choice: 30; the
    lungs without pneumonia leave out 4 ml or less, those with tumours up to 55."""


NOT_JUDGED = NotJudgedSettings()


def why_for_a_reader(found: NotJudged, settings: NotJudgedSettings = NOT_JUDGED) -> str | None:
    """Say why nothing seen in the judged slices does not stand for the lungs, or None."""
    whole = found.total
    if whole.lung_share > settings.most_lung_share:
        return (
            f"Nothing was found in the judged slices, and {whole.lung_share:.0%} of the lung lies "
            f"in others ({whole.lung_ml:.0f} of {whole.of_lung_ml:.0f} ml; up to "
            f"{settings.most_lung_share:.0%} is accepted). What was not judged is not called clear."
        )
    much = whole.opacity_ml >= settings.least_opacity_ml
    if much and whole.opacity_share > settings.most_opacity_share:
        return (
            f"Nothing was found in the judged slices, and {whole.opacity_share:.0%} of the opacity "
            f"measured by HU lies in others ({whole.opacity_ml:.0f} of {whole.of_opacity_ml:.0f} "
            f"ml; up to {settings.most_opacity_share:.0%}, or {settings.least_opacity_ml:.0f} ml, "
            "is accepted). What was not judged is not called clear."
        )
    return None
