"""How many may be in at once, in all and from one address."""

from __future__ import annotations

import threading
from collections import Counter


class Places:
    """Places for callers; safe to use from several threads.

    Parameters
    ----------
    in_all, per_address : int
        How many there are, and how many of them one address may have.
    """

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all = in_all
        self._per_address = per_address
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, address: str) -> bool:
        """Take one, to be given back by `leave`; False when there is none left for this address."""
        with self._lock:
            free = self._taken.total() < self._in_all and self._taken[address] < self._per_address
            if free:
                self._taken[address] += 1
            elif not self._taken[address]:  # asking must not leave a trace of each address
                del self._taken[address]
            return free

    def leave(self, address: str) -> None:
        """Give one back that was taken."""
        with self._lock:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]
