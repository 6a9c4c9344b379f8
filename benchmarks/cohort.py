"""Many studies: how busy the cores are, by one worker and by one for each core."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.analysing import Order, analyse
from benchmarks.machine import cores
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample, Target
from benchmarks.study_files import MadeStudy, made

#: The kinds of study in the cohort, in turn.
_KINDS = (MadeStudy(50), MadeStudy(50, compressed=True), MadeStudy(100), MadeStudy(13))


def section(bench: Bench) -> Section:
    """The rows of a cohort."""
    folders = [str(made(kind, bench.studies)) for kind in _KINDS]
    studies = tuple(folders[k % len(folders)] for k in range(bench.cohort))
    found = Section()
    for workers in sorted({1, cores()}):
        bench.tell(f"{len(studies)} studies by {workers} at once")
        cpu_s, wall_s = _through(bench.bundle, studies, workers)
        how = "one after the other" if workers == 1 else f"{workers} at once"
        what = f"a cohort of {len(studies)} studies, {how}"
        note = f"processor time over wall time and {cores()} cores, loading included; "
        note += "less where the machine does other things"
        busy = Sample((100 * busy_share(cpu_s, wall_s),))
        target = Target(90, at_least=True)
        row = Row(f"{what}: share of the cores busy", busy, unit="%", target=target, note=note)
        an_hour = Sample((3600 * len(studies) / wall_s,))
        found.rows += [row, Row(f"{what}: studies an hour", an_hour, unit="")]
    return found


def _through(bundle: str, studies: tuple[str, ...], workers: int) -> tuple[float, float]:
    """Processor and wall time in s of analysing all, in so many processes."""
    shares = [Order(bundle, studies[k::workers]) for k in range(workers)]
    begin, before = time.monotonic(), _of_children()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(analyse, shares))
    return _of_children() - before, time.monotonic() - begin


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def busy_share(cpu_s: float, wall_s: float) -> float:
    """Share of the cores' time that was used."""
    return cpu_s / (wall_s * cores())
