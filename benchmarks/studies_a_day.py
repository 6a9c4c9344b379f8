"""`python -m benchmarks.studies_a_day`: how many studies a node gets through, in and out again.

A whole node runs in a process of its own, with its own analyser and the shipped weights. Studies
come in over the network, one after the other, always some ahead of the analysis; their results go
out as DICOM objects, synced and read back. Timed is the steady state: from the first study
delivered to the last, while receiving, analysing and delivering go on beside each other on the same
cores, the sender's among them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import cores, load
from benchmarks.receiving import await_listener, free_port
from benchmarks.study_files import MadeStudy, numbered
from groundglass.node.assembly import open_destinations
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.health import HttpSettings
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.node import Node
from groundglass.node.outbound.folder import FolderSettings
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import ENDED, Job, JobSettings, State
from groundglass.node.settings import NodeSettings
from groundglass.node.worker.analyser import AnalysisSettings
from groundglass.node.worker.loop import WorkerSettings

_DAY_S = 86400.0
#: Studies a day: the workload that MONAI Deploy is to bear.
_GUIDELINE = 1500
#: Sent before the first is delivered, and then one for each that is: the queue never runs dry.
_AHEAD = 2
_STORESCU = "/usr/bin/storescu"
_TIMEOUT_S = 600.0


def node_settings(data: Path, port: int, bundle: str) -> NodeSettings:
    """A node's usual settings, but for places and a short quiet time, which only adds to a wait."""
    return NodeSettings(
        data=data,
        spool=SpoolSettings(free_floor_mb=0),
        jobs=JobSettings(quiet_s=1.0),
        analysis=AnalysisSettings(bundle=bundle),
        worker=WorkerSettings(poll_s=0.1),
        http=HttpSettings(port=0),
        listener=ListenerSettings(port=port),
        destinations=(FolderSettings("out", data / "out", dicom_only=True),),
    )


def _serve(data: Path, port: int, bundle: str) -> None:
    (data / "out").mkdir(parents=True, exist_ok=True)
    settings = node_settings(data, port, bundle)
    Node(settings, open_destinations(settings)).run(threading.Event())


def _send(folder: Path, port: int) -> None:
    """As a router does: by dcmtk where it is installed, else by ourselves."""
    to = ["127.0.0.1", str(port), "+sd", str(folder)]
    command = [_STORESCU, "-aec", "GROUNDGLASS", "--max-pdu", "131072", *to]
    if not Path(_STORESCU).exists():
        place = f"GROUNDGLASS@127.0.0.1:{port}"
        command = [sys.executable, "-m", "groundglass", "send", str(folder), "--to", place]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def _ended(jobs: JobStore) -> int:
    counts = jobs.records.counts()
    return sum(counts[state] for state in ENDED)


def _await(jobs: JobStore, count: int, node: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while _ended(jobs) < count:
        if node.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the node stopped or stalls: {jobs.records.counts()}")
        time.sleep(0.05)


def run(folders: Sequence[Path], data: Path, bundle: str) -> list[Job]:
    """Send studies through a node; their jobs, in the order in which they were delivered."""
    port = free_port()
    module = [sys.executable, "-m", "benchmarks.studies_a_day", "--bundle", bundle]
    with (data / "log").open("wb") as log:
        node = subprocess.Popen([*module, "--serve", str(data), str(port)], stderr=log)
    try:
        await_listener(port)
        jobs = JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
        for number, folder in enumerate(folders):
            _await(jobs, max(number - _AHEAD, 0), node)
            _send(folder, port)
        wanted = len(folders) - _AHEAD
        _await(jobs, wanted, node)
        found = sorted(jobs.records.find([State.DELIVERED]), key=lambda job: job.changed_at)
        if len(found) < wanted:
            raise RuntimeError(f"not every study has a verdict: {jobs.records.counts()}")
        return found[:wanted]
    finally:
        node.kill()
        node.wait()


def studies_table(found: Sequence[Job], jobs: JobStore, what: str) -> str:
    """The rate and what it consists of, as Markdown."""
    at = [{entry.after: entry.at for entry in jobs.records.audit_of(job)} for job in found]
    seconds = found[-1].changed_at - found[0].changed_at
    each = seconds / (len(found) - 1)
    rate = _DAY_S / each
    timed, timed_at = found[1:], at[1:]

    def median(values: Sequence[float]) -> str:
        return f"{statistics.median(values):.2f}"

    rows = [
        ("studies a day", f"**{rate:,.0f}**"),
        ("of MONAI Deploy's guideline of 1,500", f"{rate / _GUIDELINE:.1f} times"),
        ("one study every, s", f"{each:.2f}"),
        ("receiving, s (first to last image)",
         median([job.arrived_at - job.received_at for job in timed])),
        ("analysing and writing the report, s",
         median([one["reported"] - one["analysing"] for one in timed_at])),
        ("delivering, synced and read back, s",
         median([one["delivered"] - one["delivering"] for one in timed_at])),
        ("studies timed", f"{len(found) - 1} of {what}"),
    ]  # fmt: skip
    return "\n".join(["| what | figure |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10, help="timed, after one to warm up")
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--bundle", default="demonstration")
    parser.add_argument("--made", type=Path, default=Path("runs") / "benchmarks")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(Path(given.serve[0]), int(given.serve[1]), given.bundle)
        return
    kind = MadeStudy(given.slices)
    given.made.mkdir(parents=True, exist_ok=True)
    before = load()
    work = Path(tempfile.mkdtemp(dir=given.made))
    try:
        (work / "node").mkdir()
        count = 1 + given.studies + _AHEAD
        folders = [numbered(kind, k, given.made, work / "sent") for k in range(count)]
        found = run(folders, work / "node", given.bundle)
        jobs = JobStore(f"sqlite:///{work / 'node' / 'jobs.sqlite'}")
        print(f"# Studies a day, {cores()} cores, bundle {given.bundle}, {before} before\n")
        print(studies_table(found, jobs, kind.words))
        jobs.close()
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
