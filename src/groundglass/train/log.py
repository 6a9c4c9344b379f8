"""What a training tells while it runs: lines of JSON in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Log = Callable[[dict[str, float | int | str]], None]


def log_to(path: Path) -> Log:
    """Write one line per call; what an earlier training left in the file is dropped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)

    def write(line: dict[str, float | int | str]) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    return write
