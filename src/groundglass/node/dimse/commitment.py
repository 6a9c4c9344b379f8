"""Storage commitment (PS3.4 annex J): asking others about what we sent them.

Their reports come to the listener, which may be another process than the one that waits for them:
they meet in a folder.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom import evt
from pynetdicom.presentation import build_context

from groundglass.core.atomic_files import write_whole
from groundglass.node.dimse.clients import ClientSettings, PeerError, Wanted, associated, shown
from groundglass.node.dimse.commands import Status
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.presentation_contexts import (
    MESSAGE_SYNTAXES,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
)
from groundglass.read.dicom.headers.damage import PARSE_ERRORS

REQUEST = 1  # action type (PS3.4 table J.3.2-1)

#: SOP Class UID and SOP Instance UID.
Reference = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What a system says it keeps."""

    transaction_uid: str
    """Which request it answers."""
    held: tuple[str, ...]
    """SOP Instance UIDs committed to."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """SOP Instance UIDs not committed to, with the failure reason (PS3.3 C.14.1.1)."""


class CommitmentInbox:
    """Reports on what we sent, by transaction, in a folder that all processes of the node share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def expect(self, transaction_uid: str) -> None:
        """A report on this transaction will be kept; on others it is not."""
        self._place(transaction_uid, "expected").touch()

    def receive(self, report: CommitmentReport) -> bool:
        """Keep a report for who expects it; whether anybody does."""
        if not self._place(report.transaction_uid, "expected").exists():
            return False
        place = self._place(report.transaction_uid, "json")
        write_whole(place, json.dumps(asdict(report)))
        return True

    def collect(self, transaction_uid: str) -> CommitmentReport | None:
        """The report, if it has come."""
        with suppress(FileNotFoundError):
            values = json.loads(self._place(transaction_uid, "json").read_text("utf-8"))
            return CommitmentReport(
                values["transaction_uid"], tuple(values["held"]), values["failed"]
            )
        return None

    def forget(self, transaction_uid: str) -> None:
        """Neither expect nor keep it any longer."""
        for kind in ("expected", "json"):
            self._place(transaction_uid, kind).unlink(missing_ok=True)

    def _place(self, transaction_uid: str, kind: str) -> Path:
        name = hashlib.sha256(transaction_uid.encode()).hexdigest()[:32]
        return self._folder / f"{name}.{kind}"


def request_commitment(
    peer: Peer,
    references: Sequence[Reference],
    inbox: CommitmentInbox,
    client: ClientSettings,
    wait_s: float,
) -> CommitmentReport | None:
    """Ask a peer to commit to instances; its report, or None when none came in time.

    The report comes on this association, or on one of its own to our listener, which puts it into
    the inbox.

    Raises
    ------
    PeerError
        It cannot be asked, or does not offer storage commitment.
    """
    transaction = generate_uid(prefix=None)
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [reference_item(*reference) for reference in references]

    def on_report(event: evt.Event) -> tuple[int, None]:
        report = read_report(event.event_information)
        if report is not None:
            inbox.receive(report)
        return (Status.SUCCESS if report is not None else Status.INVALID_ARGUMENT), None

    wanted = Wanted(
        [build_context(STORAGE_COMMITMENT, list(MESSAGE_SYNTAXES))],
        handlers=[(evt.EVT_N_EVENT_REPORT, on_report, [])],
    )
    inbox.expect(transaction)
    try:
        with associated(peer, wanted, client) as association:
            status, _ = association.send_n_action(
                request, REQUEST, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
            )
            if status.get("Status") != Status.SUCCESS:
                raise PeerError(
                    f"{peer} answering a commitment request with {shown(status.get('Status'))}",
                    expected="success",
                    action="Allow storage commitment there, or confirm by reading back.",
                )
            return _await(inbox, transaction, wait_s)
    finally:
        inbox.forget(transaction)


def _await(inbox: CommitmentInbox, transaction: UID, wait_s: float) -> CommitmentReport | None:
    """The report, as soon as it is there."""
    deadline = time.monotonic() + wait_s
    while (report := inbox.collect(transaction)) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return report


def read_report(dataset: Dataset) -> CommitmentReport | None:
    """An N-EVENT-REPORT's data set as a report; None when it is none."""
    try:
        held = tuple(referenced(dataset, "ReferencedSOPSequence"))
        failed = {
            str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", 0))
            for item in dataset.get("FailedSOPSequence", ())
        }
        return CommitmentReport(str(dataset.TransactionUID), tuple(uid for _, uid in held), failed)
    except PARSE_ERRORS:
        return None


def referenced(dataset: Dataset, keyword: str) -> Iterator[Reference]:
    """What a sequence of references names."""
    for item in dataset.get(keyword, ()):
        yield str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)


def reference_item(sop_class: str, sop_instance: str) -> Dataset:
    """An item of a sequence of references."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item
