"""How long an analysis will take, from the size of the study.

Reading and classifying cost something per slice, the lung U-Net something per slice that it sees,
decoding and drawing something per pixel, and every study something however small it is: a sum of
five products with coefficients that depend on the machine. They are fitted to analyses that have
ended, none of them below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import SettingsError
from groundglass.prepare import slices_to_segment

#: Part of an observation's weight that what was believed before keeps, per coefficient. Enough to
#: decide what observations of one kind of study leave open, too little to matter otherwise.
_BELIEF = 0.05
#: An analysis this many times off what its like took was disturbed, and teaches nothing.
_DISTURBED = 3.0
#: Length of a scan of the chest in mm, which tells how far apart its slices are: how many of thin
#: ones the U-Net sees. In adults 280 to 350 from the tips of the lungs to their bases.
_CHEST_MM = 300.0


@dataclass(frozen=True, slots=True)
class StudySize:
    """What the duration of an analysis depends on."""

    slices: int
    """Images in the study."""
    rows: int
    columns: int
    """`rows`, `columns`: of each image."""
    compressed: bool
    """Whether the pixels must be decoded."""

    def __post_init__(self) -> None:
        if min(self.slices, self.rows, self.columns) < 1:
            raise SettingsError(
                f"{self.slices} slices of {self.rows}×{self.columns}",
                expected="at least one slice of at least one pixel",
                action="Give the size of a study.",
            )

    @property
    def terms(self) -> tuple[float, float, float, float, float]:
        """What each coefficient of a `CostModel` is multiplied with, in its order."""
        megapixels = self.slices * self.rows * self.columns / 1e6
        segmented = len(slices_to_segment(self.slices, _CHEST_MM / self.slices))
        slices = float(self.slices), float(segmented)
        return 1.0, *slices, megapixels, megapixels * self.compressed


@dataclass(frozen=True, slots=True)
class Observation:
    """An analysis that has ended."""

    size: StudySize
    """What was analysed."""
    seconds: float
    """How long it took, above 0."""


@dataclass(frozen=True, slots=True)
class CostModel:
    """Predicts the duration of an analysis, from files on disk to the written report."""

    study_s: float
    """Seconds that any study takes."""
    slice_s: float
    """Seconds per slice, whatever its size."""
    segmented_s: float
    """Further seconds per slice that the lung U-Net sees: of thin ones not all
    (`groundglass.prepare.slices_to_segment`)."""
    megapixel_s: float
    """Seconds per million pixels."""
    decoding_s: float
    """Further seconds per million pixels that are compressed."""

    def predict(self, size: StudySize) -> float:
        """Seconds an analysis of a study of this size takes."""
        return float(np.dot(astuple(self), size.terms))

    def fitted(self, observations: Sequence[Observation]) -> CostModel:
        """The model of the machine on which these analyses ran.

        This model is scaled to them, then its coefficients are fitted by least squares of the
        relative error, none below zero. What the observations leave open, as when all are of one
        size, stays in proportion to this model. With no observations it stays as it is.
        """
        if not observations:
            return self
        scale = median(one.seconds / self.predict(one.size) for one in observations)
        scaled = CostModel(*(scale * value for value in astuple(self)))
        # What took too long by far misses by less than its whole, so it cannot bend this fit much.
        first = scaled._through(observations)
        sound = [one for one in observations if _near(one.seconds, first.predict(one.size))]
        return scaled._through(sound)

    def _through(self, observations: Sequence[Observation]) -> CostModel:
        from scipy.optimize import nnls  # noqa: PLC0415  (slow to import; only who fits pays)

        belief = np.array(astuple(self))
        terms: NDArray[np.float64] = np.array([one.size.terms for one in observations])
        terms = terms.reshape(-1, len(belief))
        seconds = np.array([one.seconds for one in observations])
        # In units of the belief, so that 1 means "as before" for each coefficient.
        rows = terms * belief / seconds[:, None]
        weight = np.sqrt(_BELIEF) * np.eye(len(belief))
        known = np.concatenate([np.ones(len(rows)), np.diag(weight)])
        factors, _ = nnls(np.concatenate([rows, weight]), known)
        return CostModel(*(float(value) for value in factors * belief))


def _near(one: float, other: float) -> bool:
    """Whether neither is `_DISTURBED` times the other, nor one of them none."""
    return one <= _DISTURBED * other and other <= _DISTURBED * one


#: Fitted by `python -m benchmarks --only scaling` on two cores with AVX2. A node replaces it by
#: what its own analyses took.
TWO_CORES = CostModel(
    study_s=0.36, slice_s=0.0047, segmented_s=0.0063, megapixel_s=0.0053, decoding_s=0.0026
)
