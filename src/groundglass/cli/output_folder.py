"""A folder a command fills: empty at first, and again when the command fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groundglass.errors import ReportError
from groundglass.report.writing import refusing_unwritable


@contextmanager
def filling(directory: Path) -> Iterator[Path]:
    """Make a folder, or take an empty one, to write files into: all of them, or none.

    Raises
    ------
    ReportError
        The folder holds something, or cannot be written.
    """
    with refusing_unwritable(directory):
        made = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ReportError(
                f"files in {directory}",
                expected="an empty directory, or a name not yet taken",
                action="Give another directory; nothing of yours is ever overwritten.",
            )
        try:
            yield directory
        except BaseException:
            _empty(directory)
            if made:
                directory.rmdir()
            raise


def _empty(directory: Path) -> None:
    """Take out what is in a folder that was empty when we began."""
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
