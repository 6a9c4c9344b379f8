"""How a command ends: exit codes, and failures in words instead of tracebacks."""

from __future__ import annotations

import sys
from enum import IntEnum
from types import TracebackType

from groundglass.errors import GroundglassError, NoChestCT

#: Where a defect is reported, and what is needed to find it.
_DEFECT = (
    "This is a defect in groundglass, not in your input. Please report it with the line above and "
    "the output of `groundglass --version`; `groundglass --debug COMMAND …` shows where it "
    "happened. Leave patient data out of the report."
)


class ExitCode(IntEnum):
    """Exit codes of every command; documented in docs/reference/cli.md."""

    DONE = 0
    CANNOT = 1
    WRONG_USE = 2


def in_words(error: GroundglassError) -> str:
    """An error for the terminal: what was found, what was expected, what to do."""
    if isinstance(error, NoChestCT) and error.rejections:
        found = ["no axial chest CT.", *(f"  {line}" for line in error.rejections)]
    else:
        found = [f"{error.found}."]
    lines = [f"Found {found[0]}", *found[1:], f"Expected {error.expected}.", error.action]
    return "\n".join(map(plain, lines))


def plain(text: str) -> str:
    """Text from a header or a file name without characters that could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def short_excepthook(
    kind: type[BaseException], _error: BaseException, trace: TracebackType | None
) -> None:
    """Say that something unforeseen happened, in three lines.

    The error's own text is left out: it may quote the input.
    """
    where = trace
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" in {where.tb_frame.f_code.co_qualname}" if where is not None else ""
    sys.stderr.write(f"Something unforeseen happened: {kind.__name__}{place}.\n{_DEFECT}\n")
