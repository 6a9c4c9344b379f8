"""What processes started by tests are given."""

from __future__ import annotations

import os
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "src"


def child_environment(**more: str) -> dict[str, str]:
    """The variables of this process, our sources first on the path, before what else is on it."""
    path = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **more}
