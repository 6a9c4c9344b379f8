"""Several threads' work done in one go, where one go costs no more than one thread's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Given = TypeVar("Given")
Got = TypeVar("Got")


@dataclass(slots=True)
class _Turn(Generic[Given, Got]):
    """What one thread waits for."""

    given: Given
    got: Got | None = None
    error: Exception | None = None
    over: bool = False


class GroupCommit(Generic[Given, Got]):
    """Group commit: what comes while one go is under way, goes together in the next.

    Nobody waits for company: a thread that comes alone goes at once.

    Parameters
    ----------
    work : callable
        Does it for several, and returns what each gets in their order. If it raises, it raises for
        each of them.
    """

    def __init__(self, work: Callable[[Sequence[Given]], Sequence[Got]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._one_go = threading.Lock()
        self._waiting: list[_Turn[Given, Got]] = []

    def __call__(self, given: Given) -> Got:
        """Do it for one; what it got."""
        mine: _Turn[Given, Got] = _Turn(given)
        with self._lock:
            self._waiting.append(mine)
        with self._one_go:
            if not mine.over:  # else another thread did it meanwhile
                self._go()
        if mine.error is not None:
            raise mine.error
        return mine.got  # type: ignore[return-value]  # set wherever there is no error

    def _go(self) -> None:
        """Do it for all that wait."""
        with self._lock:
            turns, self._waiting = self._waiting, []
        try:
            results = self._work([turn.given for turn in turns])
        except Exception as error:  # noqa: BLE001  (each of the threads is to have it)
            for turn in turns:
                turn.error, turn.over = error, True
            return
        for turn, got in zip(turns, results, strict=True):
            turn.got, turn.over = got, True
