"""Twins of what the job side of a node talks to: a clock, an analyser, a PACS."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from groundglass.core.result import Outcome, StudyEnd
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryError,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
)
from groundglass.node.queue.states import Facts, StoredInstance
from groundglass.node.worker.analyser import (
    AnalysisFailed,
    AnalysisStopped,
    Work,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
FROM_CT = Facts(CT, "CT1", "Thorax")


class SetClock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def go(self, seconds: float) -> None:
        self.time += seconds


def on_disk(study: str, instance: str, content: bytes = b"pixels") -> StoredInstance:
    """An instance as the spool would say it is stored."""
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredInstance(
        study_instance_uid=study,
        sop_instance_uid=instance,
        file=f"studies/{study}/{instance}-{sha256[:8]}.dcm",
        sha256=sha256,
        bytes=len(content),
    )


class StubAnalyser:
    """Writes a report of one file per instance's content; can fail, refuse and be slow."""

    def __init__(self) -> None:
        self.seen: list[Work] = []
        self.failures: list[str] = []
        self.outcome = Outcome.VERDICT
        self.while_analysing: Callable[[], None] = lambda: None
        self.closed = False
        self._stopped = threading.Event()

    def analyse(self, work: Work) -> StudyEnd:
        self._stopped.clear()
        self.seen.append(work)
        self.while_analysing()
        if self._stopped.is_set():
            raise AnalysisStopped("a stop", expected="none", action="None.")
        if self.failures:
            raise AnalysisFailed(self.failures.pop(0), expected="a result", action="Try again.")
        write_stub_report(work)
        if work.given_up:
            return StudyEnd(Outcome.GIVEN_UP, work.given_up)
        return StudyEnd(self.outcome, f"because of {self.outcome}", stages={"read": 0.5})

    def wait_for_stop(self) -> None:
        """For `while_analysing`: until `stop` is called."""
        assert self._stopped.wait(30)

    def stop(self) -> None:
        self._stopped.set()

    def check(self) -> str:
        return "stub 1"

    def close(self) -> None:
        self.closed = True


def write_stub_report(work: Work) -> None:
    """What decides it is in it: the same files and revision give the same bytes."""
    digest = hashlib.sha256(str(work.analysis.revision).encode())
    for path in sorted(work.study.iterdir()):
        digest.update(path.read_bytes())
    (work.out / "sr.dcm").write_text(f"SR {digest.hexdigest()}")
    (work.out / "capture.dcm").write_text(f"SC {digest.hexdigest()}")
    (work.out / "result.json").write_text("{}")


class MemoryPacs:
    """A destination that keeps what it takes, and can be down, refuse, warn and forget."""

    def __init__(self, name: str = "pacs", *, dicom_only: bool = True) -> None:
        self.name = name
        self.dicom_only = dicom_only
        self.knows_what_it_has = True
        self.kept: dict[str, bytes] = {}
        self.offered: list[str] = []
        self.asked: list[str] = []
        self.down = False
        self.confirms = True
        self.statuses: dict[str, FileStatus] = {}
        self.after_delivery: Callable[[], None] = lambda: None

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        if self.down:
            raise DeliveryError("a PACS that is down", expected="one that is up", action="Wait.")
        receipts = []
        for path in files:
            self.offered.append(path.name)
            status = self.statuses.get(path.name, FileStatus.ACCEPTED)
            if status is not FileStatus.REFUSED:
                self.kept[path.name] = path.read_bytes()
            receipts.append(FileReceipt(path, status, status.value, CT, f"1.2.{path.name}"))
        self.after_delivery()
        return DeliveryReceipt(self.name, tuple(receipts))

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        if self.down:
            raise DeliveryError("a PACS that is down", expected="one that is up", action="Wait.")
        self.asked += [file.path.name for file in receipt.files]
        there = {f.path for f in receipt.files if self.confirms and f.path.name in self.kept}
        return Confirmation(frozenset(there))

    def check(self) -> CheckResult:
        return CheckResult(not self.down, "down" if self.down else "echo answered")


class SlowAnalyser(StubAnalyser):
    """Takes long enough to be killed in the middle."""

    def analyse(self, work: Work) -> StudyEnd:
        threading.Event().wait(0.02)
        write_stub_report(work)
        return StudyEnd(Outcome.VERDICT, "")


class FolderPacs:
    """A folder that, like a PACS, has an object once however often it comes.

    A file there is called by its study's pseudonym and by its content's hash: what comes again with
    other bytes is there twice.
    """

    name = "inbox"
    dicom_only = True
    knows_what_it_has = True

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
        job = path.parents[2].name
        return self._folder / f"{job}.{hashlib.sha256(path.read_bytes()).hexdigest()}.dcm"
