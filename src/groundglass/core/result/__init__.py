"""What came out: verdict, evidence and where it came from."""

from __future__ import annotations

from groundglass.core.result.ends import RESEARCH_USE_ONLY, RESULT_OUTCOMES, Outcome, StudyEnd
from groundglass.core.result.heat import (
    HEAT_DRAWN_FROM,
    CoarseHeat,
    HeatConsistency,
    Heatmap,
    HeatMethod,
)
from groundglass.core.result.images import CheckName, InputCheck
from groundglass.core.result.opacity import (
    MEASURED_BY_HU,
    LeftOut,
    LungSide,
    LungThird,
    NotJudged,
    OpacityBurden,
    OpacityCells,
    RegionBurden,
)
from groundglass.core.result.slices import SliceGroup, SliceRecord, SliceStatus
from groundglass.core.result.triage_result import Provenance, TriageResult
from groundglass.core.result.verdict import (
    KIND_NOT_TOLD,
    GroupPrediction,
    RuleFiring,
    ShareOfSlices,
    Verdict,
    is_ill,
)

__all__ = [
    "HEAT_DRAWN_FROM",
    "KIND_NOT_TOLD",
    "MEASURED_BY_HU",
    "RESEARCH_USE_ONLY",
    "RESULT_OUTCOMES",
    "CheckName",
    "CoarseHeat",
    "GroupPrediction",
    "HeatConsistency",
    "HeatMethod",
    "Heatmap",
    "InputCheck",
    "LeftOut",
    "LungSide",
    "LungThird",
    "NotJudged",
    "OpacityBurden",
    "OpacityCells",
    "Outcome",
    "Provenance",
    "RegionBurden",
    "RuleFiring",
    "ShareOfSlices",
    "SliceGroup",
    "SliceRecord",
    "SliceStatus",
    "StudyEnd",
    "TriageResult",
    "Verdict",
    "is_ill",
]
