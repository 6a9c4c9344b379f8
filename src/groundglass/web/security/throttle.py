"""A limit on trying passwords."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator

from groundglass.node.clock import Clock

#: Failures are held against somebody for so long, in s.
_WINDOW_S = 900.0
#: Failures within the window after which no more is tried: of one name from one address, of one
#: address, of one name from anywhere. The last is larger, so that a stranger who knows a name
#: cannot easily lock its owner out.
_PAIR, _ADDRESS, _NAME = 5, 20, 50
#: So many names and addresses are remembered; the oldest are forgotten first.
_REMEMBERED = 10_000

_Key = tuple[str, str]


class Throttle:
    """Counts failed logins of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[_Key, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> bool:
        """Whether this may be tried; counted as failed at once, so that many at once count too."""
        now = self._clock.now()
        with self._lock:
            if any(self._count(key, now) >= most for key, most in _keys(name, address)):
                return False
            for key, most in _keys(name, address):
                failures = self._failures.setdefault(key, deque(maxlen=most))
                failures.append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)
        return True

    def succeeded(self, name: str, address: str) -> None:
        """It was the right password after all: what this pair had failed is forgotten."""
        with self._lock:
            self._failures.pop((name, address), None)
            for key, _ in _keys(name, address):
                failures = self._failures.get(key)
                if failures:
                    failures.pop()

    def _count(self, key: _Key, now: float) -> int:
        failures = self._failures.get(key, ())
        return sum(at > now - _WINDOW_S for at in failures)


def _keys(name: str, address: str) -> Iterator[tuple[_Key, int]]:
    yield (name, address), _PAIR
    yield ("", address), _ADDRESS
    yield (name, ""), _NAME
