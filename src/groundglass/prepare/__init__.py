"""Preparing: window, equalisation, square frame, lung mask, elimination, groups."""

from __future__ import annotations

from groundglass.prepare.between import fill_between, slices_to_segment
from groundglass.prepare.coverage import Coverage, CoverageSettings
from groundglass.prepare.grouping import gather, group_slices, sample_positions
from groundglass.prepare.lungs import LungContext, clean_lung_mask, lungs_on_volume
from groundglass.prepare.plausibility import why_not_chest_ct
from groundglass.prepare.preparing import (
    PreparedStudy,
    classifier_image,
    prepare,
    segmenter_images,
    slice_positions_mm,
)
from groundglass.prepare.recipe import Recipe
from groundglass.prepare.regions import Regions
from groundglass.prepare.spatial import SquareFrame

__all__ = [
    "Coverage",
    "CoverageSettings",
    "LungContext",
    "PreparedStudy",
    "Recipe",
    "Regions",
    "SquareFrame",
    "classifier_image",
    "clean_lung_mask",
    "fill_between",
    "gather",
    "group_slices",
    "lungs_on_volume",
    "prepare",
    "sample_positions",
    "segmenter_images",
    "slice_positions_mm",
    "slices_to_segment",
    "why_not_chest_ct",
]
