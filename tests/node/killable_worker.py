"""A worker for a process of its own, to be killed."""

from __future__ import annotations

import threading
from pathlib import Path

from groundglass.core.result import StudyEnd
from groundglass.node.inbound.spool import Spool, SpoolSettings
from groundglass.node.metrics import Metrics
from groundglass.node.outbound.delivery import Courier
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import JobSettings
from groundglass.node.rules import Rules
from groundglass.node.worker.analyser import Work
from groundglass.node.worker.loop import Worker, WorkerContext, WorkerSettings
from node.job_twins import FolderPacs, SlowAnalyser

#: Kills are no failures of the study here: it must not become a dead letter.
PATIENT = JobSettings(
    analysis_tries=1000, delivery_tries=1000, first_delay_s=0.01, longest_delay_s=0.01
)


class HangsOnce(SlowAnalyser):
    """Whoever finds the file `hang-first` never ends."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def analyse(self, work: Work) -> StudyEnd:
        try:
            (self._root / "hang-first").unlink()
        except FileNotFoundError:
            return super().analyse(work)
        (self._root / "hanging").touch()
        threading.Event().wait()
        raise AssertionError


def work(url: str, root: Path, inbox: Path, name: str) -> None:
    """Work until killed."""
    spool, jobs = Spool(root, SpoolSettings(0)), JobStore(url, PATIENT)
    metrics = Metrics(jobs, spool.free)
    courier = Courier({"inbox": FolderPacs(inbox)}, jobs, metrics)
    context = WorkerContext(spool, jobs, Rules((), ("inbox",)), courier, metrics)
    quick = WorkerSettings(lease_s=1.0, poll_s=0.02)
    Worker(name, context, HangsOnce(root), quick).run(threading.Event())
