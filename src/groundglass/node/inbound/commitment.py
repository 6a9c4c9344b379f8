"""Storage commitment (PS3.4 annex J): answering for what was sent to us, and hearing of ours.

A request is answered by a report: to peers whose listening address is known on an association of
its own, to others on theirs.
"""

from __future__ import annotations

import io
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import build_context, build_role

from groundglass.node.dimse.associations import Association, Message
from groundglass.node.dimse.clients import ClientSettings, PeerError, Wanted, associated, shown
from groundglass.node.dimse.commands import CommandField, Status, event_report
from groundglass.node.dimse.commitment import (
    REQUEST,
    CommitmentInbox,
    Reference,
    read_report,
    reference_item,
    referenced,
)
from groundglass.node.dimse.pdus import AbortReason, ProtocolBroken
from groundglass.node.dimse.peers import KnownPeers, Peer
from groundglass.node.dimse.presentation_contexts import (
    MESSAGE_SYNTAXES,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
)
from groundglass.node.inbound.instances import InstanceSink
from groundglass.node.logs import node_log
from groundglass.node.uids import is_uid, ourselves
from groundglass.read.dicom.headers.damage import PARSE_ERRORS

_LOG = node_log("commitment")
_ALL_HELD, _SOME_MISSING = 1, 2  # event types (PS3.4 table J.3.3-1)
#: A request for the largest study, 50 000 instances, has some 8 MiB.
_DATA_SET_BYTES = 16 * 2**20
_RETRY_AFTER_S = (0.0, 5.0, 60.0)
_WAITING_REPORTS = 1000


class CommitmentService:
    """Answers for what was sent to us, and takes reports on what we sent."""

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
        self._client = client or ourselves()
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
        elif command.type_id != REQUEST:
            association.send(message.context, command.answer(Status.NO_SUCH_ACTION))
        else:
            self._promise(association, message, dataset)

    def _take_report(self, dataset: Dataset) -> Status:
        report = read_report(dataset)
        if report is None:
            return Status.INVALID_ARGUMENT
        expected = self._inbox.receive(report)
        _LOG.info("commitment report", expected=expected)
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
            item = reference_item(sop_class, sop_instance)
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
        _LOG.info("commitment requested", held=len(held), missing=len(failed))
        return report

    def _report_later(self, peer: Peer, report: Dataset) -> None:
        with self._lock:
            if self._reporting is None:
                thread = threading.Thread(
                    target=self._report_forever, name="commitment", daemon=True
                )
                thread.start()  # if it cannot be made, the next request tries again
                self._reporting = thread
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
                    _LOG.warning(
                        "commitment report not delivered", peer=peer.ae_title, reason=error.found
                    )
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


def _read_request(dataset: Dataset) -> tuple[str, list[Reference]]:
    try:
        return str(dataset.TransactionUID), list(referenced(dataset, "ReferencedSOPSequence"))
    except PARSE_ERRORS:
        return "", []


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
    except PARSE_ERRORS as error:
        raise ProtocolBroken(
            "a commitment message that cannot be read", AbortReason.INVALID_PARAMETER
        ) from error
