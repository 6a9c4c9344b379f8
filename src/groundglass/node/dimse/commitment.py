"""Storage commitment (PS3.4 annex J): we answer for what was sent to us, and ask about ours.

A request is answered by a report: to peers whose listening address is known on an association of
its own, to others on theirs. Reports on what we sent come to the listener, which may be another
process than the one that waits for them: they meet in a folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import queue
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import build_context, build_role

from groundglass.core.atomic_files import write_whole
from groundglass.node.dimse.associations import Association, Message
from groundglass.node.dimse.clients import ClientSettings, PeerError, Wanted, associated, shown
from groundglass.node.dimse.commands import CommandField, Status, event_report
from groundglass.node.dimse.pdus import AbortReason, ProtocolBroken
from groundglass.node.dimse.peers import KnownPeers, Peer
from groundglass.node.dimse.presentation_contexts import (
    MESSAGE_SYNTAXES,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
)
from groundglass.node.inbound.incoming import InstanceSink, is_uid
from groundglass.node.logs import LOGGER

_LOG = logging.getLogger(f"{LOGGER}.commitment")
_REQUEST = 1  # action type (PS3.4 table J.3.2-1)
_ALL_HELD, _SOME_MISSING = 1, 2  # event types (PS3.4 table J.3.3-1)
#: A request for the largest study, 50 000 instances, has some 8 MiB.
_DATA_SET_BYTES = 16 * 2**20
_RETRY_AFTER_S = (0.0, 5.0, 60.0)
_WAITING_REPORTS = 1000
_PARSE_ERRORS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError,
    NotImplementedError, RecursionError, AssertionError, struct.error,
)  # fmt: skip

#: SOP Class UID and SOP Instance UID.
Reference = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What a system says it keeps.

    Parameters
    ----------
    transaction_uid : str
        Which request it answers.
    held : tuple of str
        SOP Instance UIDs committed to.
    failed : dict
        SOP Instance UIDs not committed to, with the failure reason (PS3.3 C.14.1.1).
    """

    transaction_uid: str
    held: tuple[str, ...]
    failed: Mapping[str, int] = field(default_factory=dict)


class CommitmentInbox:
    """Reports on what we sent, by transaction.

    Parameters
    ----------
    folder : Path
        Shared by all processes of the node; made when missing.
    """

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


class CommitmentService:
    """Answers for what was sent to us, and takes reports on what we sent.

    Parameters
    ----------
    sink : InstanceSink
        Knows what is on disk.
    inbox : CommitmentInbox
        Takes the reports.
    peers : sequence of Peer
        Who listens where.
    client : ClientSettings
        For the associations on which we report.
    """

    def __init__(
        self,
        sink: InstanceSink,
        inbox: CommitmentInbox,
        peers: Sequence[Peer] = (),
        client: ClientSettings | None = None,
    ) -> None:
        self._sink = sink
        self._inbox = inbox
        self._peers = KnownPeers(peers)
        self._client = client or ClientSettings()
        self._waiting: queue.Queue[tuple[Peer, Dataset]] = queue.Queue(_WAITING_REPORTS)
        self._reporting: threading.Thread | None = None
        self._lock = threading.Lock()

    def serve(self, association: Association, message: Message) -> None:
        """Answer an N-ACTION or N-EVENT-REPORT of a peer."""
        command = message.command
        dataset = _read(message)
        if command.sop_class_uid != STORAGE_COMMITMENT:
            association.send(message.context, command.answer(Status.CLASS_NOT_SUPPORTED))
        elif command.field == CommandField.N_EVENT_REPORT_RQ:
            association.send(message.context, command.answer(self._take_report(dataset)))
        elif command.type_id != _REQUEST:
            association.send(message.context, command.answer(Status.NO_SUCH_ACTION))
        else:
            self._promise(association, message, dataset)

    def _take_report(self, dataset: Dataset) -> Status:
        report = read_report(dataset)
        if report is None:
            return Status.INVALID_ARGUMENT
        expected = self._inbox.receive(report)
        _LOG.info("commitment report", extra={"fields": {"expected": expected}})
        return Status.SUCCESS

    def _promise(self, association: Association, message: Message, dataset: Dataset) -> None:
        """Answer a request, look what we hold, and report it."""
        transaction, references = _read_request(dataset)
        if not is_uid(transaction) or not references:
            association.send(
                message.context,
                message.command.answer(Status.INVALID_ARGUMENT, "no transaction or no reference"),
            )
            return
        association.send(message.context, message.command.answer(Status.SUCCESS))
        report = self._look(transaction, references)
        peer = self._peers.listening(association.calling_ae_title)
        if peer is None:
            implicit = message.context.transfer_syntax == ImplicitVRLittleEndian
            association.send(
                message.context,
                event_report(
                    STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, _event_type(report), 1
                ),
                encode(report, implicit, is_little_endian=True) or b"",
            )
            return
        self._report_later(peer, report)

    def _look(self, transaction: str, references: Sequence[Reference]) -> Dataset:
        """The report on these instances (PS3.4 table J.3.3-2)."""
        held, failed = [], []
        for sop_class, sop_instance in references:
            answer = self._sink.holds(sop_class, sop_instance)
            item = _reference(sop_class, sop_instance)
            if answer:
                held.append(item)
                continue
            item.FailureReason = int(
                Status.CLASS_INSTANCE_CONFLICT if answer is None else Status.NO_SUCH_INSTANCE
            )
            failed.append(item)
        report = Dataset()
        report.TransactionUID = transaction
        if held:
            report.ReferencedSOPSequence = held
        if failed:
            report.FailedSOPSequence = failed
        fields = {"held": len(held), "missing": len(failed)}
        _LOG.info("commitment requested", extra={"fields": fields})
        return report

    def _report_later(self, peer: Peer, report: Dataset) -> None:
        with self._lock:
            if self._reporting is None:
                self._reporting = threading.Thread(
                    target=self._report_forever, name="commitment", daemon=True
                )
                self._reporting.start()
        with suppress(queue.Full):  # the peer asks again
            self._waiting.put_nowait((peer, report))

    def _report_forever(self) -> None:
        while True:
            peer, report = self._waiting.get()
            for delay in _RETRY_AFTER_S:
                time.sleep(delay)
                try:
                    self._report(peer, report)
                except PeerError as error:
                    fields = {"peer": peer.ae_title, "reason": error.found}
                    _LOG.warning("commitment report not delivered", extra={"fields": fields})
                else:
                    break

    def _report(self, peer: Peer, report: Dataset) -> None:
        role = build_role(STORAGE_COMMITMENT, scp_role=True)
        context = build_context(STORAGE_COMMITMENT, list(MESSAGE_SYNTAXES))
        with associated(peer, Wanted([context], [role]), self._client) as association:
            try:
                status, _ = association.send_n_event_report(
                    report, _event_type(report), STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
                )
            except (ValueError, RuntimeError) as error:
                raise PeerError(
                    f"{peer} not taking commitment reports",
                    expected="our role as provider of storage commitment accepted",
                    action="Allow it there.",
                ) from error
        if status.get("Status") != Status.SUCCESS:
            raise PeerError(
                f"{peer} answering a commitment report with {shown(status.get('Status'))}",
                expected="success",
                action="Look into its log.",
            )


def request_commitment(
    peer: Peer,
    references: Sequence[Reference],
    inbox: CommitmentInbox,
    client: ClientSettings,
    wait_s: float,
) -> CommitmentReport | None:
    """Ask a peer to commit to instances, and wait for its report.

    Parameters
    ----------
    peer : Peer
        Who was sent them.
    references : sequence of (SOP Class UID, SOP Instance UID)
        What it was sent.
    inbox : CommitmentInbox
        Where the listener puts a report that comes on an association of its own.
    client : ClientSettings
        Who we are.
    wait_s : float
        For the report, in s.

    Returns
    -------
    CommitmentReport or None
        None when no report came in time.

    Raises
    ------
    PeerError
        It cannot be asked, or does not offer storage commitment.
    """
    transaction = generate_uid(prefix=None)
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [_reference(*reference) for reference in references]

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
                request, _REQUEST, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
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
        held = tuple(_referenced(dataset, "ReferencedSOPSequence"))
        failed = {
            str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", 0))
            for item in dataset.get("FailedSOPSequence", ())
        }
        return CommitmentReport(str(dataset.TransactionUID), tuple(uid for _, uid in held), failed)
    except _PARSE_ERRORS:
        return None


def _read_request(dataset: Dataset) -> tuple[str, list[Reference]]:
    try:
        return str(dataset.TransactionUID), list(_referenced(dataset, "ReferencedSOPSequence"))
    except _PARSE_ERRORS:
        return "", []


def _referenced(dataset: Dataset, keyword: str) -> Iterator[Reference]:
    for item in dataset.get(keyword, ()):
        yield str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item


def _event_type(report: Dataset) -> int:
    return _SOME_MISSING if "FailedSOPSequence" in report else _ALL_HELD


def _read(message: Message) -> Dataset:
    """A message's data set, whole."""
    data = bytearray()
    for piece in message.data:
        data += piece
        if len(data) > _DATA_SET_BYTES:
            raise ProtocolBroken("an endless commitment message", AbortReason.NOT_SPECIFIED)
    try:
        implicit = message.context.transfer_syntax == ImplicitVRLittleEndian
        return decode(io.BytesIO(data), implicit, is_little_endian=True)
    except _PARSE_ERRORS as error:
        raise ProtocolBroken(
            "a commitment message that cannot be read", AbortReason.INVALID_PARAMETER
        ) from error
