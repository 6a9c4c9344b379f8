"""The files of a folder."""

from __future__ import annotations

from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and the folders in it, hidden ones left out, sorted."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
