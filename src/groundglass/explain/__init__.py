"""Explaining: where the classifier looked, per slice and per pixel."""

from __future__ import annotations

from groundglass.explain.gradcam import GroupHeat, group_heat
from groundglass.explain.head_gradient import HeadWeights, feature_gradients
from groundglass.explain.heatmaps import KeySlices, choose_key_slices, contributions, heatmaps

__all__ = [
    "GroupHeat",
    "HeadWeights",
    "KeySlices",
    "choose_key_slices",
    "contributions",
    "feature_gradients",
    "group_heat",
    "heatmaps",
]
