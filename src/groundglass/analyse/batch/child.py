"""One of the processes of `in_processes`: `python -m groundglass.analyse.batch.child CORES`.

Comes over standard input: first what to begin with, then tasks; goes over standard output: `Ready`,
then the answers. Ends at once when the parent is gone.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any

from groundglass.analyse.batch.processes import Broken, Ready


def main(cores: Sequence[int]) -> None:
    """Do tasks until killed.

    Parameters
    ----------
    cores : sequence of int
        What this process may use.
    """
    tasks, answers = _settle()

    def tell(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
        """Say what broke and where, but not its text, which may quote a header."""
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f" in {trace.tb_frame.f_code.co_qualname}" if trace is not None else ""
        answers.send(Broken(f"something unforeseen happened: {kind.__name__}{where}"))

    sys.excepthook = tell
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    # Only now are numpy and OpenVINO imported, which count the cores they find.
    begin: Callable[[], Callable[[Any], object]] = tasks.recv()
    work = begin()
    inbox: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_take, args=(tasks, inbox), daemon=True).start()
    answers.send(Ready())
    while True:
        answers.send(work(inbox.get()))


def _settle() -> tuple[Connection[Any, Any], Connection[Any, Any]]:
    """Keep both pipes for tasks and answers alone: whatever libraries print goes nowhere."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold patients' images
    tasks = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)
    return tasks, answers


def _take(tasks: Connection[Any, Any], inbox: SimpleQueue[Any]) -> None:
    """Pass tasks on; the end of the pipe is the end of the parent, and of this process."""
    try:
        while True:
            inbox.put(tasks.recv())
    except (EOFError, OSError):
        os._exit(1)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
