"""Tasks spread over processes of their own, one task at a time each.

A process has its own share of the cores, its own interpreter lock and its own memory. When one
ends in mid task only that task is lost, and another process takes its place.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any, TypeVar

from groundglass.core.cores import usable_cores
from groundglass.errors import GroundglassError

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_CHILD = "groundglass.analyse.batch.child"
#: Memory a process takes at its peak for a study of 600 slices of 512 × 512, in bytes
#: (`python -m benchmarks --only memory`).
_PROCESS_BYTES = 10**9


@dataclass(frozen=True, slots=True)
class Broken:
    """The answer to a task in whose midst its process ended.

    Parameters
    ----------
    how : str
        What happened, in words that quote nothing of the task.
    """

    how: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A process' first word: it has loaded what it needs."""


def usual_workers() -> int:
    """One process per core, as far as the memory goes that is free now."""
    return max(1, min(len(usable_cores()), _free_bytes() // _PROCESS_BYTES))


def in_processes(
    begin: Callable[[], Callable[[Task], Answer]], tasks: Sequence[Task], workers: int
) -> Generator[tuple[Task, Answer | Broken], None, None]:
    """Do all tasks; each comes back with its answer as soon as it is done.

    Processes begin anew from nothing (they are neither forked nor do they import the caller's
    script), keep still (what libraries print might quote a header), and end with this one. A
    terminal's interrupt does not reach them: it is the caller's, and closing the iterator ends
    them at once.

    Parameters
    ----------
    begin : callable
        Called in each process; gives what does a task. Pickled, as tasks and answers are.
    tasks : sequence
        Handed out in this order.
    workers : int
        Processes, at least one; each has its share of the cores.

    Yields
    ------
    tuple
        Task, and its answer or `Broken`.

    Raises
    ------
    GroundglassError
        A process did not come as far as its first task.
    """
    left = deque(tasks)
    team: list[_Worker] = []
    try:
        team.extend(_Worker(begin, cores) for cores in _shares(min(workers, len(left))))
        while team:
            ready = wait([worker.answers for worker in team])
            for worker in [one for one in team if one.answers in ready]:
                done, message = worker.receive()
                if isinstance(message, Broken):
                    team.remove(worker)
                    worker.end()
                    if left:
                        team.append(_Worker(begin, worker.cores))
                elif left:
                    worker.give(left.popleft())
                else:
                    team.remove(worker)
                    worker.end()
                if not isinstance(message, Ready):
                    for task in done:
                        yield task, message
    finally:
        for worker in team:
            worker.end()


class _Worker:
    """One process and the task it has in hand, if any."""

    def __init__(self, begin: Callable[[], object], cores: Sequence[int]) -> None:
        self.cores = cores
        self._began = False
        self._hand: tuple[Any, ...] = ()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _CHILD, json.dumps(cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries print there may quote a header
            start_new_session=True,  # Ctrl-C is for the caller
        )
        self._tasks = Connection(_own(self._process.stdin), readable=False)
        self.answers = Connection(_own(self._process.stdout), writable=False)
        self._send(begin)

    def give(self, task: object) -> None:
        """Hand a task over."""
        self._hand = (task,)
        self._send(task)

    def receive(self) -> tuple[tuple[Any, ...], Any]:
        """The task that was in hand, if there was one, and what the process says.

        Raises
        ------
        GroundglassError
            It ended before it was ready.
        """
        try:
            message = self.answers.recv()
        except (EOFError, ConnectionResetError):
            message = Broken(self._how_it_ended())
        if isinstance(message, Broken) and not self._began:
            raise GroundglassError(
                f"a process for the analysis that did not begin: {message.how}",
                expected="one that loads the networks",
                action="Try `groundglass models verify`; give fewer --workers if memory is short.",
            )
        self._began = True
        done, self._hand = self._hand, ()
        return done, message

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._tasks.close()
        self.answers.close()

    def _send(self, message: object) -> None:
        with suppress(BrokenPipeError):  # `receive` says how it ended
            self._tasks.send(message)

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"its process ended with exit code {code}"
        words = f"its process was ended by {signal.Signals(-code).name}"
        return f"{words}; want of memory is the usual reason" if -code == signal.SIGKILL else words


def _own(stream: IO[bytes] | None) -> int:
    """A handle of the pipe that nobody else closes."""
    if stream is None:
        raise AssertionError("a pipe was asked for")
    with stream:
        return os.dup(stream.fileno())


def _shares(workers: int) -> list[list[int]]:
    """Cores for each process: an equal share, or all where there are fewer cores than processes."""
    cores = list(usable_cores())
    return [cores[k::workers] or cores for k in range(workers)]


def _free_bytes() -> int:
    """Memory that can be had without swapping, where the system tells it."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return _PROCESS_BYTES * len(usable_cores())
    known = dict(line.split(":", 1) for line in lines)
    return int(known["MemAvailable"].split()[0]) * 1024
