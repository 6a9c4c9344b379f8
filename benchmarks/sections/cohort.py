"""Many studies: how busy the cores are, by `groundglass batch` and one study after the other."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.analysing import AnalysisBroke, Order, analyse
from benchmarks.machine import cores
from benchmarks.peers.running import ROOT
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample, Target
from benchmarks.study_files import MadeStudy, made, numbered

#: The kinds of study in the cohort, in turn.
_KINDS = (MadeStudy(50), MadeStudy(50, compressed=True), MadeStudy(100), MadeStudy(13))
_BATCH, _IN_TURN = "`groundglass batch`", "one after the other, in one process"


def section(bench: Bench) -> Section:
    """The rows of a cohort: the same studies twice."""
    kinds = [_KINDS[k % len(_KINDS)] for k in range(bench.cohort)]
    for kind in _KINDS:
        made(kind, bench.studies)
    bench.tell(f"{len(kinds)} studies, each with UIDs of its own")
    with tempfile.TemporaryDirectory(dir=bench.studies) as folder:
        studies = [numbered(kind, k, bench.studies, Path(folder)) for k, kind in enumerate(kinds)]
        bench.tell(_IN_TURN)
        in_turn = used_by(lambda: _in_turn(bench.bundle, studies))
        bench.tell(_BATCH)
        overlapped = used_by(lambda: _batch(bench.bundle, Path(folder)))
    return rows_of(len(studies), overlapped, in_turn)


def rows_of(studies: int, overlapped: tuple[float, float], in_turn: tuple[float, float]) -> Section:
    """The figures of so many studies, of (processor time, wall time) in s each way."""
    found = Section()
    note = f"processor time over wall time and {cores()} cores, from the command's start to its "
    note += "end; less where the machine does other things"
    for how, used, target in (
        (_BATCH, overlapped, Target(90, at_least=True)),
        (_IN_TURN, in_turn, None),
    ):
        what = f"a cohort of {studies} studies, {how}"
        busy = Sample((100 * busy_share(*used),))
        found.rows += [
            Row(f"{what}: share of the cores busy", busy, unit="%", target=target, note=note),
            Row(f"{what}: studies an hour", Sample((3600 * studies / used[1],)), unit=""),
            Row(f"{what}: processor time a study", Sample((used[0] / studies,)), unit="s"),
        ]
    return found


def used_by(work: Callable[[], object]) -> tuple[float, float]:
    """Processor time of the child processes of some work, and its wall time, in s."""
    begin, before = time.monotonic(), _of_children()
    work()
    return _of_children() - before, time.monotonic() - begin


def _in_turn(bundle: str, studies: list[Path]) -> None:
    analyse(Order(bundle, tuple(map(str, studies))))


def _batch(bundle: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as out:
        ended = subprocess.run(
            [sys.executable, "-m", "groundglass", "batch", str(folder), "--out", out,
             "--bundle", bundle],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    if ended.returncode:
        raise AnalysisBroke(f"exit code {ended.returncode}: {ended.stdout[-500:]}{ended.stderr}")


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def busy_share(cpu_s: float, wall_s: float) -> float:
    """Share of the cores' time that was used."""
    return cpu_s / (wall_s * cores())
