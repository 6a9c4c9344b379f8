"""The processor cores that are ours to use."""

from __future__ import annotations

import os


def usable_cores() -> tuple[int, ...]:
    """Numbers of the cores this process may run on, ascending.

    All of the machine's, unless the process is held to some of them (as a batch's workers are, or
    a container's).
    """
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
