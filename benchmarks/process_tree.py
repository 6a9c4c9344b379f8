"""What a process and all its descendants hold and have used, from Linux's /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
#: Of /proc/PID/stat behind the name (proc(5)): parent, times with those of children waited for,
#: threads, pages resident.
_PARENT, _TIMES, _THREADS, _PAGES = 1, slice(11, 15), 17, 21


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and all its descendants together."""

    rss_mb: float
    """Resident memory in MB of 2^20 bytes; pages that they share count for each."""
    handles: int
    """Open file descriptors."""
    threads: int
    processes: int
    cpu_s: float
    """Processor time in s, that of descendants that ended included."""


def usage(root: int) -> Usage:
    """What the tree under `root` holds now; one that ends meanwhile is left out."""
    found = [one for pid in _tree(root) if (one := _of(pid)) is not None]
    return Usage(
        sum(one.rss_mb for one in found),
        sum(one.handles for one in found),
        sum(one.threads for one in found),
        len(found),
        sum(one.cpu_s for one in found),
    )


def _of(pid: int) -> Usage | None:
    try:
        fields = _stat(pid)
        handles = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  (counted, not used)
    except (FileNotFoundError, ProcessLookupError):
        return None
    ticks = sum(map(int, fields[_TIMES]))
    megabytes = int(fields[_PAGES]) * _PAGE / 2**20
    return Usage(megabytes, handles, int(fields[_THREADS]), 1, ticks / _TICKS)


def _tree(root: int) -> Iterator[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[_PARENT])
            except (FileNotFoundError, ProcessLookupError):
                continue
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += [child for child, parent in parents.items() if parent == pid]


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    return text.rpartition(")")[2].split()
