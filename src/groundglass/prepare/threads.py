"""Slices in parallel: OpenCV and numpy let go of the interpreter while they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from math import ceil

from groundglass.core.cores import usable_cores

#: More threads than this only wait for memory.
_WORKERS = min(8, len(usable_cores()))
#: Runs of slices per thread: handing over each slice by itself costs as much as some of the work,
#: one run a thread leaves the quicker ones idle.
_RUNS = 4


def for_each(work: Callable[[int], object], indices: Iterable[int]) -> None:
    """Do a slice's work for every index; the first error is raised.

    The work touches nothing that the work of another index writes.
    """
    todo = tuple(indices)
    length = max(1, ceil(len(todo) / (_RUNS * _WORKERS)))

    def run(first: int) -> None:
        for index in todo[first : first + length]:
            work(index)

    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in pool.map(run, range(0, len(todo), length)):
            pass
