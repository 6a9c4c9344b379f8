"""Explaining: where the classifier looked, per slice and per pixel; and what HU alone say."""

from __future__ import annotations

from groundglass.explain.all_layers import AllLayers
from groundglass.explain.attribution import AttributionMethod, EncodedViews, encode_views
from groundglass.explain.explainer import Explained, Explainer, ExplanationTarget
from groundglass.explain.grad_cam import GradCam
from groundglass.explain.group_heat import GroupHeat, Scores, contributions, group_heat
from groundglass.explain.head_gradient import (
    Head,
    HeadWeights,
    SliceHeadWeights,
    feature_gradients,
    head_of,
)
from groundglass.explain.heatmaps import SquareHeat, choose_key_slices, coarse_heat, heatmaps
from groundglass.explain.lung_tissue import LungTissue, SeenScan
from groundglass.explain.opacity import (
    Opacity,
    OpacityBySlice,
    OpacitySettings,
    find_opacity,
    opacity_by_slice,
)
from groundglass.explain.opacity_likelihood import LikelihoodSettings, opacity_likelihood
from groundglass.explain.refined_by_hu import RefinedByHu
from groundglass.explain.settings import ExplainSettings, KeySlices

__all__ = [
    "AllLayers",
    "AttributionMethod",
    "EncodedViews",
    "ExplainSettings",
    "Explained",
    "Explainer",
    "ExplanationTarget",
    "GradCam",
    "GroupHeat",
    "Head",
    "HeadWeights",
    "KeySlices",
    "LikelihoodSettings",
    "LungTissue",
    "Opacity",
    "OpacityBySlice",
    "OpacitySettings",
    "RefinedByHu",
    "Scores",
    "SeenScan",
    "SliceHeadWeights",
    "SquareHeat",
    "choose_key_slices",
    "coarse_heat",
    "contributions",
    "encode_views",
    "feature_gradients",
    "find_opacity",
    "group_heat",
    "head_of",
    "heatmaps",
    "opacity_by_slice",
    "opacity_likelihood",
]
