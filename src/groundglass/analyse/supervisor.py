"""Tasks in child processes: one task at a time each, within limits of memory and time.

A child has its own interpreter lock, its own memory and, if wanted, its share of the cores. What
studies hold is parsed in one: whatever that does to it, the parent lives on. When a child ends in
mid task only that task is lost.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from enum import Enum
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any, TypeVar

from groundglass.core.cores import usable_cores
from groundglass.errors import GroundglassError

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_CHILD = "groundglass.analyse.child"
#: Memory a child takes at its peak for a study of 600 slices of 512 × 512, in bytes
#: (`python -m benchmarks --only memory`).
_CHILD_BYTES = 10**9
#: Longest answer taken from a child, in bytes.
_LONGEST_ANSWER = 2**26
#: Within this a child that closed its end of the pipe is at its own end, in s.
_ENDING_S = 5.0
_NO_ANSWER = "its process gave no answer that can be read"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may take."""

    memory_mb: int | None = None
    """Address space in MB beyond what the child has once it is ready; None for no limit."""
    time_s: float | None = None
    """Longest duration in s, of getting ready too; None for no limit."""


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Ready:
    """A child's first word."""

    what: str
    """What it has made ready, as `str` gives it."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A child's last word, or what is said of it where it could not: its task has no answer."""

    how: str
    """What happened, in words that quote nothing of the task."""


class Child:
    """A process that gets ready, then does one task after the other.

    It begins anew from nothing (it is neither forked nor does it import the caller's script), keeps
    still (what libraries print might quote a header), leaves no core dump, and ends with the thread
    that made it. A terminal's interrupt does not reach it: it is the parent's.

    Parameters
    ----------
    begin : callable
        Called in the child; gives what does a task. Pickled, as tasks are.
    limits : Limits
        For getting ready and for each task.
    cores : sequence of int
        What it may run on; all there are if empty.
    """

    def __init__(
        self, begin: Callable[[], object], limits: Limits, cores: Sequence[int] = ()
    ) -> None:
        self.cores = cores
        self._limits = limits
        settings = {"cores": cores, "memory_mb": limits.memory_mb, "parent": os.getpid()}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _CHILD, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries print there may quote a header
            start_new_session=True,  # Ctrl-C is for the parent
        )
        self._tasks = Connection(_own(self._process.stdin), readable=False)
        self.answers = Connection(_own(self._process.stdout), writable=False)
        self.give(begin)

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def give(self, task: object) -> None:
        """Hand a task over; its time begins."""
        limit = self._limits.time_s
        self.deadline = math.inf if limit is None else time.monotonic() + limit
        with suppress(BrokenPipeError):  # `receive` says how it ended
            self._tasks.send(task)

    def receive(self) -> Any:
        """Wait for its next word: `Ready`, an answer, or `Broken`, after which it is ended."""
        left = None if self.deadline == math.inf else max(0.0, self.deadline - time.monotonic())
        try:
            if self.answers.poll(left):
                answer = _Answer(io.BytesIO(self.answers.recv_bytes(_LONGEST_ANSWER))).load()
            else:
                answer = Broken(f"the analysis took longer than {self._limits.time_s:g} s")
        except (EOFError, OSError):
            answer = Broken(self._how_it_ended())
        except Exception as error:  # noqa: BLE001  (whatever a child out of its mind may send)
            answer = Broken(f"{_NO_ANSWER}: {type(error).__name__}")
        if isinstance(answer, Broken):
            self.end()
        return answer

    def kill(self) -> None:
        """Break off what it does, from any thread; `receive` then says so."""
        self._process.kill()

    def end(self) -> None:
        """End it, whatever it does, and clear up after it."""
        self._process.kill()
        self._process.wait()
        self._tasks.close()
        self.answers.close()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:  # it closed the pipe, and lives
            return _NO_ANSWER
        if code >= 0:
            return f"its process ended with exit code {code}"
        words = f"its process was ended by {signal.Signals(-code).name}"
        return f"{words}; want of memory is the usual reason" if -code == signal.SIGKILL else words


class _Answer(pickle.Unpickler):
    """Data only: no class but our own dataclasses and enumerations."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("groundglass."):
            found = super().find_class(module, name)
            if isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum)):
                return found
        raise pickle.UnpicklingError("an answer that is more than data")


def usual_workers() -> int:
    """One child per core, as far as the memory goes that is free now."""
    return max(1, min(len(usable_cores()), _free_bytes() // _CHILD_BYTES))


def in_processes(
    begin: Callable[[], Callable[[Task], Answer]],
    tasks: Sequence[Task],
    workers: int,
    limits: Limits = UNLIMITED,
) -> Generator[tuple[Task, Answer | Broken], None, None]:
    """Do all tasks, several at once; each comes back with its answer as soon as it is done.

    Closing the iterator ends the children at once.

    Parameters
    ----------
    begin : callable
        As for `Child`.
    tasks : sequence
        Handed out in this order.
    workers : int
        Children, at least one; each has its share of the cores.
    limits : Limits
        For each task.

    Yields
    ------
    tuple
        Task, and its answer or `Broken`.

    Raises
    ------
    GroundglassError
        A child did not come as far as its first task.
    """
    left = deque(tasks)
    in_hand: dict[Child, Task] = {}
    team: list[Child] = []
    try:
        team.extend(Child(begin, limits, cores) for cores in _shares(min(workers, len(left))))
        while team:
            for child in _with_news(team):
                answer = child.receive()
                if child in in_hand:
                    yield in_hand.pop(child), answer
                elif isinstance(answer, Broken):
                    raise _did_not_begin(answer)
                if isinstance(answer, Broken) and left:
                    team[team.index(child)] = Child(begin, limits, child.cores)
                elif isinstance(answer, Broken) or not left:
                    team.remove(child)
                    child.end()
                else:
                    in_hand[child] = left.popleft()
                    child.give(in_hand[child])
    finally:
        for child in team:
            child.end()


def _with_news(team: Sequence[Child]) -> list[Child]:
    """Those that have said something, ended, or used up their time; waits for the first."""
    deadline = min(child.deadline for child in team)
    timeout = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
    ready = wait([child.answers for child in team], timeout)
    now = time.monotonic()
    return [child for child in team if child.answers in ready or child.deadline <= now]


def _did_not_begin(broken: Broken) -> GroundglassError:
    return GroundglassError(
        f"a process for the analysis that did not begin: {broken.how}",
        expected="one that loads the networks",
        action="Try `groundglass models verify`; give fewer --workers if memory is short.",
    )


def _own(stream: IO[bytes] | None) -> int:
    """A handle of the pipe that nobody else closes."""
    if stream is None:
        raise AssertionError("a pipe was asked for")
    with stream:
        return os.dup(stream.fileno())


def _shares(workers: int) -> list[list[int]]:
    """Cores for each child: an equal share, or all where there are fewer cores than children."""
    cores = list(usable_cores())
    return [cores[k::workers] or cores for k in range(workers)]


def _free_bytes() -> int:
    """Memory that can be had without swapping, where the system tells it."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return _CHILD_BYTES * len(usable_cores())
    known = dict(line.split(":", 1) for line in lines)
    return int(known["MemAvailable"].split()[0]) * 1024
