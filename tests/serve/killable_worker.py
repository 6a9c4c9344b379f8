"""A worker for a process of its own, to be killed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from groundglass.serve.analyser import Analysis, Work
from groundglass.serve.delivery import (
    CheckResult,
    Confirmation,
    Courier,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
)
from groundglass.serve.jobs import JobStore
from groundglass.serve.metrics import Metrics
from groundglass.serve.rules import Rules
from groundglass.serve.spool import Spool, SpoolSettings
from groundglass.serve.states import JobSettings
from groundglass.serve.worker import Workbench, Worker, WorkerSettings
from serve.job_twins import StubAnalyser, write_stub_report


class Slow(StubAnalyser):
    """Takes long enough to be killed in the middle."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def analyse(self, work: Work) -> Analysis:
        try:
            (self._root / "hang-first").unlink()
        except FileNotFoundError:
            threading.Event().wait(0.02)
        else:
            (self._root / "hanging").touch()
            threading.Event().wait()
        write_stub_report(work)
        return Analysis("verdict", "", verdict=True)


class Inbox:
    """A folder that, like a PACS, has an object once however often it comes.

    The object's name is its content's hash after the study's name: what comes twice with other
    bytes is there twice.
    """

    name = "inbox"
    dicom_only = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        for path in files:
            threading.Event().wait(0.005)
            self._place(path).write_bytes(path.read_bytes())
        receipts = (FileReceipt(path, FileStatus.ACCEPTED) for path in files)
        return DeliveryReceipt(self.name, tuple(receipts))

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        there = (file.path for file in receipt.files if self._place(file.path).exists())
        return Confirmation(frozenset(there))

    def check(self) -> CheckResult:
        return CheckResult(works=True, detail="")

    def _place(self, path: Path) -> Path:
        job = path.parents[2].name.partition("-")[0]
        return self._folder / f"{job}.{hashlib.sha256(path.read_bytes()).hexdigest()}.dcm"


def work(url: str, root: Path, inbox: Path, name: str) -> None:
    """Work until killed."""
    settings = JobSettings(analysis_tries=1000, first_delay_s=0.01, longest_delay_s=0.01)
    spool, jobs = Spool(root, SpoolSettings(0)), JobStore(url, settings)
    metrics = Metrics(jobs, spool)
    courier = Courier({"inbox": Inbox(inbox)}, jobs, metrics)
    bench = Workbench(spool, jobs, Rules((), ("inbox",)), courier, metrics)
    quick = WorkerSettings(lease_s=1.0, poll_s=0.02)
    Worker(name, bench, Slow(root), quick).run(threading.Event())
