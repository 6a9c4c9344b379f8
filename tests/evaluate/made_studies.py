"""Volumes and slices made for the probes: a sign in the lungs, or one of the source beside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.result import GroupPrediction, SliceGroup, Verdict
from groundglass.core.volume import Volume
from groundglass.evaluate.run.probes import ProbedStudy
from groundglass.infer import vote
from groundglass.prepare import PreparedStudy, Recipe, group_slices

LABELS = ("ill", "healthy")
#: Small and quick; the rim is seen, next to no equalisation, so that greys can be told.
RECIPE = Recipe(
    image_size=48, group_size=8, min_slices=8, clahe_tiles=1, clahe_clip_limit=0.001,
    headward_ratio=0.0, feetward_ratio=0.0, mask_margin_px=4,
)  # fmt: skip
_SLICES, _SIDE = 16, 48


def lungs_square() -> NDArray[np.bool_]:
    """Two boxes in every slice."""
    lungs = np.zeros((_SLICES, _SIDE, _SIDE), dtype=bool)
    lungs[:, 12:36, 8:20] = lungs[:, 12:36, 28:40] = True
    return lungs


def made_study(rng: np.random.Generator, *, lung_hu: float, around_hu: float) -> ProbedStudy:
    """A body of one HU around lungs of another, with noise."""
    lungs = lungs_square()
    hu = np.where(lungs, lung_hu, around_hu) + rng.normal(0, 15, lungs.shape)
    axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    geometry = Geometry(lungs.shape, (5.0, 6.0, 6.0), (0.0, 0.0, 0.0), axes)  # type: ignore[arg-type]
    return ProbedStudy(Volume(hu.astype(np.float32), geometry), lungs, RECIPE, group_slices)


def honest_studies(rng: np.random.Generator, count: int) -> list[tuple[str, ProbedStudy]]:
    """Ill lungs are denser; the rest is alike."""
    return [
        (label, made_study(rng, lung_hu={"ill": -600, "healthy": -850}[label], around_hu=40))
        for label in LABELS * (count // 2)
    ]


def sourced_studies(rng: np.random.Generator, count: int) -> list[tuple[str, ProbedStudy]]:
    """As honest ones, but the ill came from a scanner that shows tissue a little darker."""
    return [
        (
            label,
            made_study(
                rng,
                lung_hu={"ill": -600, "healthy": -850}[label],
                around_hu={"ill": -60, "healthy": 40}[label],
            ),
        )
        for label in LABELS * (count // 2)
    ]


class MeanReader:
    """A made classifier: how bright some pixels of a study are, as a probability of being ill.

    `inside` reads where the lungs are, else it reads everywhere else; black pixels are not read,
    and where nothing is left it shrugs.
    """

    def __init__(self, *, inside: bool, threshold: float, sign: float = 1.0) -> None:
        self._inside, self._threshold, self._sign = inside, threshold, sign
        self._lungs = lungs_square()[0]

    def slices(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities, shape (slices, 2)."""
        return np.stack([self._one(image) for image in images])

    def _one(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        pixels = image[self._lungs if self._inside else ~self._lungs]
        seen = pixels[pixels > 0]
        score = (seen.mean() - self._threshold) * self._sign if len(seen) else 0.0
        ill = 1 / (1 + np.exp(-np.clip(score, -30, 30)))
        return np.array([ill, 1 - ill])

    def __call__(self, prepared: PreparedStudy) -> Verdict:
        groups = [self._group(group, prepared) for group in prepared.groups]
        return vote(groups, "healthy", 2.0)

    def _group(self, group: SliceGroup, prepared: PreparedStudy) -> GroupPrediction:
        mean = self.slices(prepared.group_images(group)).mean(axis=0)
        return GroupPrediction.of(group, LABELS, mean.tolist())
