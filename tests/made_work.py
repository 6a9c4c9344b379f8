"""Work for processes of their own that may go wrong, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from groundglass.errors import BundleError


def eventually(holds: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        threading.Event().wait(0.01)
    return bool(holds())


def alive(process: int) -> bool:
    """Whether a process runs still."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text("ascii").rpartition(")")[2].split()[0] != "Z"


class Working:
    """Does what a task says: its name, then what it is about."""

    def __init__(self, bad_luck: str = "") -> None:
        if bad_luck:
            raise RuntimeError(bad_luck)

    def __call__(self, task: str) -> object:
        name, _, about = task.partition(" ")
        return getattr(self, name)(about)

    def square(self, number: str) -> int:
        return int(number) ** 2

    def cores(self, _about: str) -> list[int]:
        return sorted(os.sched_getaffinity(0))

    def process(self, _about: str) -> int:
        return os.getpid()

    def print(self, words: str) -> None:
        print(words, flush=True)  # noqa: T201
        os.system(f"echo {words}; echo {words} >&2")  # noqa: S605

    def die(self, _about: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def fail(self, words: str) -> None:
        raise ValueError(words)

    def fill(self, megabytes: str) -> int:
        return len(bytearray(int(megabytes) * 10**6))

    def answer_code(self, _about: str) -> object:
        return os.getpid

    def close(self, _about: str) -> None:
        os.closerange(3, 20)
        threading.Event().wait()

    def leave(self, code: str) -> None:
        os._exit(int(code))

    def hang(self, about: str) -> None:
        Path(about).write_text(str(os.getpid()))
        threading.Event().wait()


def no_weights() -> Working:
    """What begins with weights that are not there."""
    raise BundleError("no weights", expected="some", action="Give some.")
