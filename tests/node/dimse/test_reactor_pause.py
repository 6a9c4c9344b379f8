"""An answer reaches the one who waits for it, never the reactor that is to be paused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from groundglass.node.dimse.reactor_pause import ReactorPause

_REQUESTS = 2_000


@pytest.fixture
def switching_often() -> Iterator[None]:
    """Threads take turns as often as they can: what may come between comes between."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Reactor(threading.Thread):
    """The loop of `pynetdicom.association.Association`, which counts what it takes wrongly."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.checkpoint, self.answer = ReactorPause(self), threading.Event()
        self.is_paused = self.ended = self.requesting = False
        self.taken = 0

    def run(self) -> None:
        while not self.ended:
            self.is_paused = True
            self.checkpoint.wait()
            self.is_paused = False
            self.taken += self.requesting

    def request(self) -> None:
        """As `send_c_store` does."""
        self.checkpoint.clear()
        while not self.is_paused:
            pass
        self.requesting = True
        self.answer.wait(1e-4)  # it is under way
        self.requesting = False
        self.checkpoint.set()


def test_the_reactor_is_paused_while_a_request_waits(switching_often: None) -> None:
    reactor = Reactor()
    reactor.start()
    for _ in range(_REQUESTS):
        reactor.request()
    reactor.ended = True
    reactor.join(10)
    assert reactor.taken == 0
