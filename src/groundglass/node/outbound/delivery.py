"""Results to where they are wanted: taken file by file, then confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from groundglass.errors import GroundglassError
from groundglass.node.dimse.clients import PeerError
from groundglass.node.metrics import Metrics
from groundglass.node.outbound.identity import identify
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import DatabaseDown, FileRecord, Job, LeaseLost

_DICOM = ".dcm"
#: Of a file that was there before this attempt: its answer was never recorded.
_FOUND = "found there"


class DeliveryError(GroundglassError):
    """A destination could not be reached or spoke no sense; worth another try later."""


class Undelivered(DeliveryError):  # noqa: N818  (reads as what it says)
    """Not everything is where it is wanted.

    Parameters
    ----------
    missing : mapping of str to str
        What is missing, in words without identifiers, by the destination's name.
    """

    def __init__(self, missing: Mapping[str, str]) -> None:
        self.missing = missing
        super().__init__(
            "; ".join(f"{name}: {words}" for name, words in missing.items()),
            expected="every file taken and confirmed",
            action="It is tried again; `groundglass serve --check` tries each destination.",
        )


class FileStatus(StrEnum):
    """What became of one file at one destination."""

    ACCEPTED = "accepted"  # taken (C-STORE 0x0000, HTTP 200), not yet confirmed
    WARNING = "warning"  # taken with a remark (0xBxxx, HTTP 202); counts as taken
    REFUSED = "refused"  # not taken; tried again
    CONFIRMED = "confirmed"  # committed to, or read back


_UNSURE = frozenset({FileStatus.ACCEPTED, FileStatus.WARNING})
#: Taken, whether or not confirmed yet.
TAKEN = _UNSURE | {FileStatus.CONFIRMED}


@dataclass(frozen=True, slots=True)
class FileReceipt:
    """What a destination said of one file."""

    path: Path
    """The file."""
    status: FileStatus
    """Accepted, warning or refused."""
    detail: str = ""
    """The status in the destination's words (`0xB000`, `HTTP 409`), without patient identifiers."""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    """`sop_class_uid`, `sop_instance_uid`: what it is; empty for what is not DICOM."""

    @classmethod
    def of(cls, path: Path, status: FileStatus, detail: str) -> FileReceipt:
        """What was said of a file that says itself what it is."""
        identity = identify(path)
        if identity is None:
            return cls(path, status, detail)
        return cls(path, status, detail, identity.sop_class_uid, identity.sop_instance_uid)


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """What a destination said of each file it was given, in their order."""

    destination: str
    """Its name."""
    files: tuple[FileReceipt, ...]
    """One per file; also for those that an association cut short left unsent (refused)."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Which of the files taken are there for certain."""

    confirmed: frozenset[Path]
    """Committed to by the destination, or read back from it."""
    detail: str = ""
    """How that was found out, and what was wrong with the others."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether a destination works."""

    works: bool
    """Everything needed for delivering and confirming was tried and worked."""
    detail: str
    """What was tried and seen."""
    here: bool = False
    """Whether it is on this machine: what does not work is then ours to mend."""


class Destination(Protocol):
    """Where results go: a PACS, a DICOMweb server, a folder, a webhook.

    Implementations never delete anything and never change what is there. Delivering a file twice
    is harmless, since its UIDs come from its content.
    """

    @property
    def name(self) -> str:
        """As the settings call it."""

    @property
    def dicom_only(self) -> bool:
        """Whether it takes DICOM files only; else it gets the page and the JSON too."""

    @property
    def knows_what_it_has(self) -> bool:
        """Whether `confirm` tells what is there, even of files that nobody saw taken."""

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """Send files; some may be taken and others not.

        Raises
        ------
        DeliveryError
            None could be sent.
        """

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Ask whether what was taken is there (storage commitment, C-FIND, QIDO, reading back).

        Raises
        ------
        DeliveryError
            It could not be asked.
        """

    def check(self) -> CheckResult:
        """Try whether it works, without sending a result; raises nothing."""


class Courier:
    """Brings a job's report to its destinations and records, file by file, how far each got.

    Nobody knows how far a courier got that was killed before it could record an answer. Who comes
    after it asks the destination for every file first, and sends only what is not there.
    """

    def __init__(
        self, destinations: Mapping[str, Destination], jobs: JobStore, metrics: Metrics
    ) -> None:
        self._destinations = destinations
        self._jobs = jobs
        self._metrics = metrics

    def deliver(self, job: Job, folder: Path, names: Sequence[str]) -> None:
        """Bring every file of a report to every destination that takes it, confirmed.

        A destination that fails does not keep the others from being tried.

        Raises
        ------
        Undelivered
            Something is missing somewhere still; says what.
        LeaseLost
            Another worker has the job.
        """
        problems = {}
        for name in names:
            try:
                task = _DeliveryTask(
                    job, folder, self._destinations[name], self._jobs, self._metrics
                )
                missing = task.run()
            except (LeaseLost, DatabaseDown):
                raise
            except GroundglassError as error:
                missing = error.found
            if missing:
                problems[name] = missing
        if problems:
            raise Undelivered(problems)


@dataclass(frozen=True, slots=True)
class _DeliveryTask:
    """One report to one destination."""

    job: Job
    folder: Path
    destination: Destination
    jobs: JobStore
    metrics: Metrics

    def run(self) -> str:
        """Deliver and confirm what is not there yet; what is missing still, in words."""
        files = self._files()
        known = {r.path: r for r in self._remembered() if r.path in files}
        there = {path for path, one in known.items() if one.status is FileStatus.CONFIRMED}
        there |= self._confirm(self._doubtful(files, known))
        left = [path for path in files if path not in there]
        if not left:
            return ""
        receipts = list(self.destination.deliver(left).files)
        self._record(receipts)
        there |= self._confirm([r for r in receipts if r.status in TAKEN])
        refused = [r for r in receipts if r.status is FileStatus.REFUSED]
        if refused:
            return f"{len(refused)} of {len(left)} files refused ({refused[0].detail})"
        unconfirmed = [path for path in left if path not in there]
        return f"{len(unconfirmed)} of {len(left)} files not confirmed" if unconfirmed else ""

    def _doubtful(
        self, files: Sequence[Path], known: Mapping[Path, FileReceipt]
    ) -> list[FileReceipt]:
        """Files that may be there, though nobody confirmed it.

        On a later attempt that is every file: an earlier one may have been killed between the
        destination's answer and its own record of it.
        """
        if self.job.attempt > 1 and self.destination.knows_what_it_has:
            asked = [
                known.get(path) or FileReceipt.of(path, FileStatus.ACCEPTED, _FOUND)
                for path in files
            ]
            return [receipt for receipt in asked if receipt.status is not FileStatus.CONFIRMED]
        return [receipt for receipt in known.values() if receipt.status in _UNSURE]

    def _files(self) -> list[Path]:
        """What it takes of the report."""
        whole = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [path for path in whole if path.suffix == _DICOM or not self.destination.dicom_only]

    def _remembered(self) -> list[FileReceipt]:
        """What was said of each file, as the table remembers it."""
        return [
            FileReceipt(
                self.folder / record.file,
                FileStatus(record.status),
                record.detail,
                record.sop_class_uid,
                record.sop_instance_uid,
            )
            for record in self.jobs.records.deliveries_of(self.job).get(self.destination.name, ())
        ]

    def _confirm(self, taken: Sequence[FileReceipt]) -> set[Path]:
        """Ask for files that were taken; those that are there."""
        if not taken:
            return set()
        found = self.destination.confirm(DeliveryReceipt(self.destination.name, tuple(taken)))
        sure = [receipt for receipt in taken if receipt.path in found.confirmed]
        self._record([replace(receipt, status=FileStatus.CONFIRMED) for receipt in sure])
        return {receipt.path for receipt in sure}

    def _record(self, receipts: Iterable[FileReceipt]) -> None:
        """Enter what was said of each file."""
        records = [
            FileRecord(
                receipt.path.relative_to(self.folder).as_posix(),
                receipt.status,
                receipt.detail,
                receipt.sop_class_uid,
                receipt.sop_instance_uid,
            )
            for receipt in receipts
        ]
        self.jobs.leases.record_delivery(self.job, self.destination.name, records)
        for record in records:
            self.metrics.delivered(self.destination.name, record.status, 1)


def not_reached(error: PeerError) -> DeliveryError:
    """What a destination raises when the system behind it cannot be reached."""
    return DeliveryError(error.found, expected=error.expected, action=error.action)
