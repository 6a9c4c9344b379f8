"""What the listener does with what peers send: images in, and answers for them."""

from __future__ import annotations

from groundglass.errors import GroundglassError
from groundglass.node.dimse.associations import Association, Message, Offer
from groundglass.node.dimse.commands import CommandField, Status
from groundglass.node.dimse.pdus import AbortReason, PeerGone, ProtocolBroken
from groundglass.node.inbound.accepted import listener_contexts
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.header_scan import Unfit
from groundglass.node.inbound.instances import InstanceSink, admit
from groundglass.node.inbound.spool import SpoolFull
from groundglass.node.logs import node_log
from groundglass.node.uids import OURS

_LOG = node_log("storing")


class InboundServices:
    """Verification, storage (PS3.4 annexes A and B) and storage commitment, for a `Listener`."""

    def __init__(self, sink: InstanceSink, commitment: CommitmentService) -> None:
        self.offer = Offer(listener_contexts(), OURS)
        self._sink = sink
        self._commitment = commitment

    def serve(self, association: Association, message: Message) -> tuple[Status, str] | None:
        """Do what a message asks for; its status and why, or None when it is answered already."""
        match message.command.field:
            case CommandField.C_STORE_RQ:
                return self._store(association, message)
            case CommandField.C_ECHO_RQ:
                return Status.SUCCESS, ""
            case CommandField.N_ACTION_RQ | CommandField.N_EVENT_REPORT_RQ:
                self._commitment.serve(association, message)
                return None
            case other:
                raise ProtocolBroken(
                    f"command {other:#06x}, which is not offered", AbortReason.UNEXPECTED_PDU
                )

    def _store(self, association: Association, message: Message) -> tuple[Status, str]:
        """Keep an instance: success only when the sink says that it is safe.

        Its data set is passed on as it comes and never decoded.
        """
        command = message.command
        try:
            syntax = message.context.transfer_syntax
            sender, keywords = association.calling_ae_title, self._sink.keywords
            incoming, content = admit(message.data, syntax, sender, keywords)
        except Unfit as error:
            return Status.CANNOT_UNDERSTAND, str(error)
        if incoming.sop_class_uid != message.context.abstract_syntax:
            return Status.CLASS_NOT_SUPPORTED, "not the SOP class of its presentation context"
        announced = (command.sop_class_uid, command.sop_instance_uid)
        if announced != (incoming.sop_class_uid, incoming.sop_instance_uid):
            return Status.CANNOT_UNDERSTAND, "another instance than the command announces"
        try:
            self._sink.store(incoming, content)
        except SpoolFull:
            return Status.OUT_OF_RESOURCES, "no room; try again later"
        except PeerGone:  # an OSError too, but the peer's: the association is over
            raise
        except (OSError, GroundglassError) as error:
            _LOG.exception("instance not stored", error=type(error).__name__)
            return Status.PROCESSING_FAILURE, "could not be stored; try again later"
        return Status.SUCCESS, ""
