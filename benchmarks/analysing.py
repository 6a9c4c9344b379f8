"""Studies analysed in a process of its own, as `groundglass run` does it.

A fresh process has nothing warm, its peak of memory is its own, and it can be held to fewer cores
before any library has counted them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.running import ROOT
from groundglass.cli.environment import ASKED


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to analyse, one folder after the other; with 0 cores it may use all."""

    bundle: str
    studies: tuple[str, ...]
    report: bool = True
    cores: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """One analysis.

    Parameters
    ----------
    seconds : float
        From files on disk to the report's last file, or to the verdict where none was asked for.
    since_start : float
        From the start of the process to the verdict, in s.
    peak_mb : float
        Highest resident memory of the process until then, in MB.
    outcome : str
        How it ended.
    timings_ms : dict
        Wall time of each stage.
    """

    seconds: float
    since_start: float
    peak_mb: float
    outcome: str
    timings_ms: dict[str, float]


class AnalysisBroke(Exception):  # noqa: N818  (reads as what it says)
    """The process ended without its answers."""


def analyse(order: Order) -> tuple[Done, ...]:
    """Analyse studies in a fresh process.

    Raises
    ------
    AnalysisBroke
        The process ended before its work.
    """
    begin = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.analysing", json.dumps(asdict(order))]
    ended = subprocess.run(
        [*command, repr(begin)],
        cwd=ROOT,
        env={**ASKED, **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or ["nothing said"]
        raise AnalysisBroke(f"exit code {ended.returncode}: {last[0]}")
    return tuple(Done(**json.loads(line)) for line in ended.stdout.splitlines())


def main(order: Order, begin: float) -> None:
    """Analyse; one JSON line a study."""
    if order.cores:
        allowed = sorted(os.sched_getaffinity(0))[: order.cores]
        os.sched_setaffinity(0, allowed)
    # Imported here: what `cores` allows is counted when the libraries are loaded.
    import groundglass as gg  # noqa: PLC0415

    triage = gg.Triage.load(order.bundle)
    with tempfile.TemporaryDirectory() as folder:
        for study in order.studies:
            started = time.monotonic()
            volume = gg.read_volume(gg.select_chest_ct(gg.read_study(Path(study))))
            read = time.monotonic()
            result = triage(volume)
            judged = time.monotonic()
            if order.report:
                gg.write_report(result, volume, Path(folder) / "report")
            end = time.monotonic()
            own = {"read": (read - started) * 1000, "report": (end - judged) * 1000}
            done = Done(
                end - started,
                judged - begin,
                peak_mb(Path("/proc/self/status").read_text("ascii")),
                result.outcome.value,
                {**own, **result.timings_ms},
            )
            print(json.dumps(asdict(done)), flush=True)


def peak_mb(status: str) -> float:
    """`VmHWM` of /proc/self/status in MB; unlike `ru_maxrss` it knows nothing of the parent."""
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found.group(1)) * 1024 / 1e6 if found else float("nan")


def order_of(text: str) -> Order:
    """An order as the parent gave it."""
    given = json.loads(text)
    studies: Sequence[str] = given["studies"]
    return Order(**{**given, "studies": tuple(studies)})


if __name__ == "__main__":
    main(order_of(sys.argv[1]), float(sys.argv[2]))
