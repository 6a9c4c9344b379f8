"""The whole way from a volume and its lung mask to what the classifier sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.result import SliceGroup, SliceRecord, SliceStatus
from groundglass.core.volume import Volume
from groundglass.prepare.elimination import eliminate
from groundglass.prepare.grouping import Grouping, group_slices
from groundglass.prepare.intensity import equalise, lung_window, segmenter_window
from groundglass.prepare.letterbox import Letterbox
from groundglass.prepare.recipe import Recipe
from groundglass.prepare.threads import for_each

#: HU of what a slice does not cover in the square, and of air.
_AIR_HU = -1024


@dataclass(frozen=True, slots=True, eq=False)
class PreparedStudy:
    """What the classifier sees, and what became of every slice, feet to head.

    `images` has the prepared image of each slice that stayed: uint8, shape (size, size).
    """

    slices: tuple[SliceRecord, ...]
    groups: tuple[SliceGroup, ...]
    images: dict[int, NDArray[np.uint8]]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which slices stayed, shape (slices,)."""
        return np.array([record.fate is SliceStatus.KEPT for record in self.slices])

    def group_images(self, group: SliceGroup) -> NDArray[np.uint8]:
        """(slices, size, size) prepared images of a group's slices, before padding."""
        return np.stack([self.images[index] for index in group.slice_indices])


def segmenter_images(volume: Volume, recipe: Recipe) -> NDArray[np.uint8]:
    """What the U-Net sees of an axial volume: uint8, shape (slices, size, size)."""
    frame = Letterbox.of(volume.geometry, recipe.image_size)
    size = recipe.image_size
    images = np.empty((len(volume.hu), size, size), dtype=np.uint8)

    def see(index: int) -> None:
        images[index] = segmenter_window(frame.forward(volume.hu[index], _AIR_HU), recipe)

    for_each(see, range(len(volume.hu)))
    return images


def classifier_image(
    hu: NDArray[np.int16] | NDArray[np.float32],
    lung: NDArray[np.bool_],
    frame: Letterbox,
    recipe: Recipe,
) -> NDArray[np.uint8]:
    """One slice as the classifier sees it: windowed, equalised, in the square, lungs only.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
        One axial slice in HU.
    lung : ndarray of bool, shape (size, size)
        Lung mask of the slice on the square.
    frame : Letterbox
        Where the slice lies in the square.
    recipe : Recipe
        Every setting.
    """
    side = 2 * recipe.mask_margin_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    seen = cv2.dilate(lung.astype(np.uint8), kernel)
    windowed = lung_window(hu, recipe)
    if recipe.outside_hu is None:
        image = frame.forward(equalise(windowed, recipe), 0)
    else:
        # On the square, so that neither the body around nor the size of the image decides how
        # the lungs look.
        outside = lung_window(np.array([recipe.outside_hu], dtype=np.float32), recipe)
        filled = np.full(seen.shape, outside[0])
        image = equalise(np.asarray(cv2.copyTo(frame.forward(windowed, 0), seen, filled)), recipe)
    return np.asarray(image * seen, dtype=np.uint8)


def prepare(
    volume: Volume, lung: NDArray[np.bool_], recipe: Recipe, grouping: Grouping = group_slices
) -> PreparedStudy:
    """Eliminate, group and prepare the slices of a volume in axial order (paper section 2.2).

    `lung` is its mask on the square, shape (slices, size, size); some of it True. `grouping` is
    the paper's unless given.
    """
    frame = Letterbox.of(volume.geometry, recipe.image_size)
    area_mm2 = np.count_nonzero(lung, axis=(1, 2)) * frame.pixel_mm**2
    records = eliminate(area_mm2, slice_positions_mm(volume.geometry), recipe)
    kept = [record.index for record in records if record.fate is SliceStatus.KEPT]
    groups = grouping(kept, recipe.group_size)
    images = dict.fromkeys(kept, np.empty((0, 0), dtype=np.uint8))

    def see(index: int) -> None:
        images[index] = classifier_image(volume.hu[index], lung[index], frame, recipe)

    for_each(see, kept)
    return PreparedStudy(_with_groups(records, groups), groups, images)


def slice_positions_mm(geometry: Geometry) -> NDArray[np.float64]:
    """LPS z in mm of the centre of each slice of an axial grid."""
    middle = ((geometry.shape[1] - 1) / 2, (geometry.shape[2] - 1) / 2)
    return np.array(
        [geometry.position_mm((index, *middle))[2] for index in range(geometry.shape[0])]
    )


def _with_groups(
    records: tuple[SliceRecord, ...], groups: tuple[SliceGroup, ...]
) -> tuple[SliceRecord, ...]:
    member = {index: group.index for group in groups for index in group.slice_indices}
    return tuple(
        replace(record, groups=(member[record.index],)) if record.index in member else record
        for record in records
    )
