"""Many studies one after the other: how busy the cores are."""

from __future__ import annotations

import time

from benchmarks.analysing import Order, analyse
from benchmarks.machine import cores
from benchmarks.made_studies import MadeStudy, made
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample, Target

#: The kinds of study in the cohort, in turn.
_KINDS = (MadeStudy(50), MadeStudy(50, compressed=True), MadeStudy(100), MadeStudy(13))


def section(bench: Bench) -> Section:
    """The row of a cohort."""
    folders = [str(made(kind, bench.studies)) for kind in _KINDS]
    studies = tuple(folders[k % len(folders)] for k in range(bench.cohort))
    bench.tell(f"{len(studies)} studies")
    begin = time.monotonic()
    done = analyse(Order(bench.bundle, studies))
    whole = time.monotonic() - begin
    busy = busy_share(sum(one.cpu_seconds for one in done), sum(one.seconds for one in done))
    found = Section()
    what = f"a cohort of {len(studies)} studies: share of the cores that is busy"
    note = f"processor time over wall time and {cores()} cores; the four kinds of study in turn"
    target = Target(90, at_least=True)
    found.rows.append(Row(what, Sample((100 * busy,)), unit="%", target=target, note=note))
    per_hour = Sample((3600 * len(studies) / whole,))
    found.rows.append(Row("studies an hour, loading included", per_hour, unit="studies"))
    return found


def busy_share(cpu_s: float, wall_s: float) -> float:
    """Share of the cores' time that was used."""
    return cpu_s / (wall_s * cores())
