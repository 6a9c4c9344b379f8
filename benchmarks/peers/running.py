"""Runs a peer from outside: a process that waits between its runs."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers import NotHere, Options

ROOT = Path(__file__).resolve().parents[2]
#: A peer that takes longer than this for one run, or to begin, is not waited for, in s.
_LONGEST_S = 170.0


class Peer:
    """A peer in its own process; calling it runs it once and returns seconds.

    Raises
    ------
    NotHere
        It is not installed, or cannot be prepared.
    """

    def __init__(self, process: subprocess.Popen[bytes], longest_s: float) -> None:
        self._process = process
        self._longest_s = longest_s
        first = self._line()
        if "missing" in first:
            raise NotHere(first["missing"])
        self.name: str = first["ready"]
        self.answer: list[float] = first["answer"]

    def __call__(self) -> float:
        """Run once; seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return float(self._line()["seconds"])

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        deadline, line = time.monotonic() + self._longest_s, b""
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise NotHere(f"it took longer than {self._longest_s:g} s")
                piece = os.read(handle, 65536)
                if not piece:
                    raise NotHere(f"its process ended with code {self._process.wait()}")
                line += piece
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def peer(
    python: str, name: str, options: Options | None = None, longest_s: float = _LONGEST_S
) -> Iterator[Peer]:
    """A peer, a module of `benchmarks.peers`, for as long as it is wanted.

    Raises
    ------
    NotHere
        It cannot be run here, or takes longer than allowed; the text says why.
    """
    command = [python, "-m", "benchmarks.peers.child", name, json.dumps(options or {})]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )
    except OSError as error:
        raise NotHere(f"{python}: {error.strerror}") from error
    try:
        yield Peer(process, longest_s)
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.wait()
