"""Preparing: window, equalisation, square frame, lung mask, elimination, groups."""

from __future__ import annotations

from groundglass.prepare.coverage import Coverage, CoverageSettings
from groundglass.prepare.grouping import (
    Grouping,
    gather,
    group_slices,
    sample_positions,
    whole_groups,
)
from groundglass.prepare.input_checks import InputRanges, check_input, out_of_range
from groundglass.prepare.letterbox import Letterbox
from groundglass.prepare.lungs import MaskCleanupSettings, clean_lung_mask, lungs_on_volume
from groundglass.prepare.mask_interpolation import interpolate_masks, slices_to_segment
from groundglass.prepare.not_judged import NotJudgedSettings, why_for_a_reader
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

__all__ = [
    "Coverage",
    "CoverageSettings",
    "Grouping",
    "InputRanges",
    "Letterbox",
    "MaskCleanupSettings",
    "NotJudgedSettings",
    "PreparedStudy",
    "Recipe",
    "Regions",
    "check_input",
    "classifier_image",
    "clean_lung_mask",
    "gather",
    "group_slices",
    "interpolate_masks",
    "lungs_on_volume",
    "out_of_range",
    "prepare",
    "sample_positions",
    "segmenter_images",
    "slice_positions_mm",
    "slices_to_segment",
    "whole_groups",
    "why_for_a_reader",
    "why_not_chest_ct",
]
