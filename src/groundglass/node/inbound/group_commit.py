"""Several threads' work done in one go, where one go costs no more than one thread's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Given = TypeVar("Given")
Got = TypeVar("Got")


class GroupCommit(Generic[Given, Got]):
    """Group commit: what comes while one go is under way, goes together in the next.

    Nobody waits for company: a thread that comes alone goes at once. `work` does it for several,
    and returns what each gets in their order; if it raises, it raises for each of them.
    """

    def __init__(self, work: Callable[[Sequence[Given]], Sequence[Got]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._one_go = threading.Lock()
        self._waiting: list[tuple[Given, Future[Got]]] = []

    def __call__(self, given: Given) -> Got:
        """Do it for one; what it got."""
        mine: Future[Got] = Future()
        with self._lock:
            self._waiting.append((given, mine))
        with self._one_go:
            if not mine.done():  # else another thread did it meanwhile
                self._go()
        return mine.result()

    def _go(self) -> None:
        """Do it for all that wait."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        try:
            results = self._work([given for given, _ in waiting])
        except Exception as error:  # noqa: BLE001  (each of the threads is to have it)
            for _, one in waiting:
                one.set_exception(error)
            return
        for (_, one), got in zip(waiting, results, strict=True):
            one.set_result(got)
