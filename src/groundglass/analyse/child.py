"""The child's side of `supervisor.Child`: `python -m groundglass.analyse.child SETTINGS`.

Over standard input comes first what to begin with, then tasks; over standard output goes `Ready`,
then the answers.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from groundglass.analyse.supervisor import Broken, Ready
from groundglass.errors import GroundglassError

_PR_SET_PDEATHSIG = 1
#: How OpenCV and C++ say that memory ran out.
_OUT_OF_MEMORY = ("Insufficient memory", "bad_alloc")

_Pipe: TypeAlias = "Connection[Any, Any]"


def main(settings: Mapping[str, Any]) -> None:
    """Do tasks until there are no more, or one breaks.

    Parameters
    ----------
    settings : mapping
        `cores`, `memory_mb`, and the `parent`'s process number.
    """
    tasks, answers = _settle(settings["parent"])
    if settings["cores"] and sys.platform == "linux":
        os.sched_setaffinity(0, settings["cores"])
    how = _work(tasks, answers, settings["memory_mb"])
    if how:  # told only here, where the memory is free again that the task held
        answers.send(Broken(how))


def _work(tasks: _Pipe, answers: _Pipe, memory_mb: int | None) -> str:
    """Do tasks; what happened, if not the end of them."""
    try:
        begin = tasks.recv()  # only now are numpy and OpenVINO imported, which count the cores
        try:
            work: Callable[[Any], object] = begin()
        except GroundglassError as error:  # about the weights: no patient is known yet
            return str(error)
        _limit(memory_mb)
        answers.send(Ready(str(work)))
        for task in _coming(tasks):
            answers.send(work(task))
    except BaseException as error:  # noqa: BLE001  (the parent is told; here nobody can be)
        return _what_happened(error, memory_mb)
    return ""


def _settle(parent: int) -> tuple[_Pipe, _Pipe]:
    """Die with the parent, leave nothing of a patient, and keep both pipes for ourselves."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service manager tells every process; the
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # parent decides whether this one may finish
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the images
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
    tasks = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # whatever libraries print goes nowhere
    return tasks, answers


def _coming(tasks: _Pipe) -> Iterator[Any]:
    with suppress(EOFError):
        while True:
            yield tasks.recv()


def _limit(memory_mb: int | None) -> None:
    """Bound the address space to what is used now and so much more."""
    if memory_mb is not None and sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        limit = used + memory_mb * 10**6
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _what_happened(error: BaseException, memory_mb: int | None) -> str:
    """What broke and where, but not its text, which may quote a header."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return f"the analysis needed more than {memory_mb} MB"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_qualname}" if trace is not None else ""
    return f"something unforeseen happened: {type(error).__name__}{where}"


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
