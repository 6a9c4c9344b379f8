"""The storage service (PS3.4 annex B): an instance from the network to the sink, or a reason."""

from __future__ import annotations

import itertools
import logging

from groundglass.errors import GroundglassError
from groundglass.serve.associations import Message
from groundglass.serve.commands import Status
from groundglass.serve.incoming import (
    IncomingInstance,
    InstanceSink,
    Unfit,
    file_meta,
    is_uid,
    look_ahead,
)
from groundglass.serve.logs import LOGGER
from groundglass.serve.pdus import PeerGone
from groundglass.serve.spool import SpoolFull

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
    try:
        incoming, beginning = _identify(message, source_ae)
    except Unfit as error:
        return Status.CANNOT_UNDERSTAND, str(error)
    if incoming.sop_class_uid != message.context.abstract_syntax:
        return Status.CLASS_NOT_SUPPORTED, "not the SOP class of its presentation context"
    meta = file_meta(
        incoming.sop_class_uid, incoming.sop_instance_uid, incoming.transfer_syntax_uid
    )
    try:
        sink.store(incoming, itertools.chain((meta, beginning), message.data))
    except SpoolFull:
        return Status.OUT_OF_RESOURCES, "no room; try again later"
    except PeerGone:  # an OSError too, but the peer's: the association is over
        raise
    except (OSError, GroundglassError) as error:
        _LOG.exception("instance not stored", extra={"fields": {"error": type(error).__name__}})
        return Status.PROCESSING_FAILURE, "could not be stored; try again later"
    return Status.SUCCESS, ""


def _identify(message: Message, source_ae: str) -> tuple[IncomingInstance, bytes]:
    """Which instance it is, and what was read of it to know."""
    command = message.command
    values, beginning = look_ahead(message.data, message.context.transfer_syntax)
    names = {
        "SOP Class UID": values["sop_class_uid"],
        "SOP Instance UID": values["sop_instance_uid"],
        "Study Instance UID": values["study_instance_uid"],
        "Series Instance UID": values["series_instance_uid"],
    }
    for name, value in names.items():
        if not is_uid(value):
            raise Unfit(f"a {name} that is no UID" if value else f"no {name}")
    if (command.sop_class_uid, command.sop_instance_uid) != (
        values["sop_class_uid"],
        values["sop_instance_uid"],
    ):
        raise Unfit("another instance than the command announces")
    incoming = IncomingInstance(
        **values, transfer_syntax_uid=message.context.transfer_syntax, source_ae=source_ae
    )
    return incoming, beginning
