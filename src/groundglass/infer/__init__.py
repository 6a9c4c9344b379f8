"""Inference: bundle, engine, segmenter, classifier, vote."""

from __future__ import annotations

from groundglass.core.choices import Precision
from groundglass.infer.bundle import Bundle, load_bundle, shipped_bundles
from groundglass.infer.classify import Classifier, GroupEvidence, SliceDetail, foreground_mask
from groundglass.infer.engine import CpuEngine, Engine, Network
from groundglass.infer.segment import Segmenter
from groundglass.infer.vote import vote

__all__ = [
    "Bundle",
    "Classifier",
    "CpuEngine",
    "Engine",
    "GroupEvidence",
    "Network",
    "Precision",
    "Segmenter",
    "SliceDetail",
    "foreground_mask",
    "load_bundle",
    "shipped_bundles",
    "vote",
]
