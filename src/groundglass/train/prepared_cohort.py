"""Phantom patients as the classifier sees them, kept in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import SliceGroup
from groundglass.core.volume import Volume
from groundglass.prepare import Recipe, SquareFrame, gather, group_slices, prepare
from groundglass.train.phantom_cohort import PhantomCase


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCase:
    """One patient after preparing.

    Parameters
    ----------
    case : PhantomCase
        Who.
    images : ndarray of uint8, shape (slices, size, size)
        The slices that stayed, feet to head.
    groups : tuple of SliceGroup
        Their groups; indices count within `images`.
    """

    case: PhantomCase
    images: NDArray[np.uint8]
    groups: tuple[SliceGroup, ...]

    def group_images(self, group: SliceGroup) -> NDArray[np.uint8]:
        """(group.size, size, size) images fed to the network for one group."""
        return gather(group, self.images[list(group.slice_indices)])


def prepare_case(
    case: PhantomCase, volume: Volume, lung: NDArray[np.bool_], recipe: Recipe
) -> PreparedCase:
    """Prepare a made patient through the same code as service, with the true lungs.

    Parameters
    ----------
    case : PhantomCase
        Who.
    volume : Volume
        Axial.
    lung : ndarray of bool, shape of the volume
        True lungs.
    recipe : Recipe
        Every setting.
    """
    frame = SquareFrame.of(volume.geometry, recipe.image_size)
    square = np.stack([frame.into(m.astype(np.float32), 0.0) > 0.5 for m in lung])
    found = prepare(volume, square, recipe)
    return of_images(case, np.stack([found.images[i] for i in sorted(found.images)]), recipe)


def of_images(case: PhantomCase, images: NDArray[np.uint8], recipe: Recipe) -> PreparedCase:
    """A patient from the images that stayed, feet to head."""
    return PreparedCase(case, images, group_slices(range(len(images)), recipe.group_size))


def of_split(cases: Iterable[PreparedCase], split: str) -> list[PreparedCase]:
    """The cases of one split."""
    return [case for case in cases if case.case.split == split]
