"""Slices in parallel: OpenCV and numpy let go of the interpreter while they compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

#: More threads than this only wait for memory.
_WORKERS = min(8, os.cpu_count() or 1)


def for_each(work: Callable[[int], object], indices: Iterable[int]) -> None:
    """Do a slice's work for every index; the first error is raised.

    Parameters
    ----------
    work : callable
        Told an index; touches nothing that the work of another index writes.
    indices : iterable of int
        In any order.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in pool.map(work, indices):
            pass
