"""The storage service (PS3.4 annex B): an instance from the network to the sink, or a reason."""

from __future__ import annotations

import logging

from groundglass.errors import GroundglassError
from groundglass.node.dimse.associations import Message
from groundglass.node.dimse.commands import Status
from groundglass.node.dimse.pdus import PeerGone
from groundglass.node.inbound.incoming import InstanceSink, Unfit, admit
from groundglass.node.inbound.spool import SpoolFull
from groundglass.node.logs import LOGGER

_LOG = logging.getLogger(f"{LOGGER}.storing")


def store(message: Message, source_ae: str, sink: InstanceSink) -> tuple[Status, str]:
    """Take one instance in.

    Parameters
    ----------
    message : Message
        A C-STORE-RQ. Its data set is passed on as it comes and never decoded.
    source_ae : str
        Who sends it.
    sink : InstanceSink
        Who keeps it.

    Returns
    -------
    status : Status
        Success only when the sink says that it is safe.
    comment : str
        Why not, for the sender's log; without patient identifiers.
    """
    command = message.command
    try:
        incoming, content = admit(message.data, message.context.transfer_syntax, source_ae)
    except Unfit as error:
        return Status.CANNOT_UNDERSTAND, str(error)
    if incoming.sop_class_uid != message.context.abstract_syntax:
        return Status.CLASS_NOT_SUPPORTED, "not the SOP class of its presentation context"
    announced = (command.sop_class_uid, command.sop_instance_uid)
    if announced != (incoming.sop_class_uid, incoming.sop_instance_uid):
        return Status.CANNOT_UNDERSTAND, "another instance than the command announces"
    try:
        sink.store(incoming, content)
    except SpoolFull:
        return Status.OUT_OF_RESOURCES, "no room; try again later"
    except PeerGone:  # an OSError too, but the peer's: the association is over
        raise
    except (OSError, GroundglassError) as error:
        _LOG.exception("instance not stored", extra={"fields": {"error": type(error).__name__}})
        return Status.PROCESSING_FAILURE, "could not be stored; try again later"
    return Status.SUCCESS, ""
