"""Pausing pynetdicom's reactor while we wait for an answer, so that it never takes the answer."""

from __future__ import annotations

import threading
from typing import Any

from pynetdicom import evt

#: How often it is looked whether the reactor lives still, in s.
_LOOK_S = 0.1


class ReactorPause:
    """What pynetdicom's association uses of `threading.Event` to pause its reactor, as it means it.

    In pynetdicom 3.0.4 a request clears the event and waits until `_is_paused` is set. After a
    request just before, the reactor may have left its pause without having said so: it goes on,
    takes the answer to this request out of the queue and drops it ("no answer"; seen once in some
    660 messages, with eight associations at once). Here `clear` returns when the reactor is in its
    pause, and not before.
    """

    def __init__(self, reactor: threading.Thread) -> None:
        self._reactor = reactor
        self._changed = threading.Condition()
        self._going = True
        self._pausing = False

    def set(self) -> None:
        """Let the reactor go on."""
        with self._changed:
            self._going = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Hold the reactor; it is in its pause, or has ended, when this returns."""
        with self._changed:
            self._going = False
            if threading.current_thread() is self._reactor:
                return
            while not self._pausing and self._reactor.is_alive():
                self._changed.wait(_LOOK_S)

    def wait(self) -> None:
        """Be the reactor: pause until it may go on."""
        with self._changed:
            self._pausing = True
            self._changed.notify_all()
            while not self._going:
                self._changed.wait()
            self._pausing = False


def pause_surely(event: evt.Event) -> None:
    """Give an association that is just being made this pause in place of its own."""
    pause: Any = ReactorPause(event.assoc)  # of an Event it has what the reactor calls
    event.assoc._reactor_checkpoint = pause  # noqa: SLF001
