"""Chest CT triage: a study in, a patient-level verdict with its evidence out. Research use only."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: Where each public name lives; imported on first use so that `import groundglass` stays cheap.
_HOME = {
    "AssemblyError": "groundglass.errors",
    "DisplayWindow": "groundglass.read.image_stack.settings",
    "Geometry": "groundglass.core.geometry",
    "GroundglassError": "groundglass.errors",
    "HounsfieldScale": "groundglass.read.image_stack.settings",
    "ImageStackSettings": "groundglass.read.image_stack.settings",
    "InputError": "groundglass.errors",
    "NoChestCT": "groundglass.errors",
    "Outcome": "groundglass.core.result",
    "Recipe": "groundglass.prepare.recipe",
    "Series": "groundglass.core.study",
    "Study": "groundglass.core.study",
    "Triage": "groundglass.analyse.triage",
    "TriageResult": "groundglass.core.result",
    "Verdict": "groundglass.core.result",
    "Volume": "groundglass.core.volume",
    "read_study": "groundglass.read",
    "read_volume": "groundglass.read",
    "select_chest_ct": "groundglass.read",
    "write_report": "groundglass.report",
}

__all__ = sorted(_HOME)  # noqa: PLE0605  (a list of str; sorted by construction)


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'groundglass' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
