"""What groundglass is compared with, each run by the same timer in a process of its own.

A peer is a module here with `prepare(options) -> Prepared`; it imports what it needs itself, so
that what is not installed costs one row and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class NotHere(Exception):  # noqa: N818  (reads as what it says)
    """A peer cannot be run on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A peer that is ready to run.

    Parameters
    ----------
    name : str
        Whom we compare with, version included.
    work : callable
        Runs once.
    answer : list of float
        What it computed, where ours can be held against it.
    """

    name: str
    work: Callable[[], object]
    answer: list[float] = field(default_factory=list)


Options = dict[str, Any]
