"""Associations that we ask for, with pynetdicom as the requestor."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context

from groundglass.errors import GroundglassError
from groundglass.node.dimse.associations import Implementation
from groundglass.node.dimse.pdus import PeerLimits
from groundglass.node.dimse.peers import Peer, check_ae_title
from groundglass.node.dimse.presentation_contexts import MESSAGE_SYNTAXES, VERIFICATION
from groundglass.node.dimse.reactor_pause import pause_surely

#: What is done when the other side sends something on an association of ours.
Handlers = Sequence[tuple[evt.EventType, Callable[..., Any], list[Any]]]


class PeerError(GroundglassError):
    """Another system could not be reached, refused us, or broke off; worth another try later."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Who we say we are, and how long we wait."""

    ae_title: str
    """Ours. The other system must know it."""
    implementation: Implementation
    """What program we are."""
    connect_s: float = 10.0
    """For a connection and its acceptance, in s. 10."""
    response_s: float = 60.0
    """For the answer to one message, in s. 60: some archives write to tape first."""
    idle_s: float = 120.0
    """Silence on an association, in s. 120."""

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to negotiate."""

    contexts: Sequence[PresentationContext]
    """Proposed, at most 128 (PS3.8 section 9.3.2.2)."""
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = ()
    """Roles other than the requestor's usual one."""
    handlers: Handlers = field(default_factory=tuple)
    """For messages that the other side sends on our association."""


@contextmanager
def associated(peer: Peer, wanted: Wanted, settings: ClientSettings) -> Iterator[Association]:
    """An association with a peer, released at the end, aborted on an error.

    Raises
    ------
    PeerError
        It cannot be reached, or refuses.
    SettingsError
        The TLS files cannot be used.
    """
    entity = AE(settings.ae_title)
    entity.implementation_class_uid = UID(settings.implementation.class_uid)
    entity.implementation_version_name = settings.implementation.version_name
    entity.connection_timeout = entity.acse_timeout = settings.connect_s
    entity.dimse_timeout = settings.response_s
    entity.network_timeout = settings.idle_s
    refusals: list[A_ASSOCIATE_RJ] = []
    association = entity.associate(
        peer.host,
        peer.port,
        contexts=list(wanted.contexts),
        ae_title=peer.ae_title,
        max_pdu=PeerLimits().pdu_bytes,
        ext_neg=list(wanted.roles),
        tls_args=(peer.tls.client(), peer.host) if peer.tls else None,
        evt_handlers=[
            (evt.EVT_CONN_OPEN, _begin_well),
            (evt.EVT_PDU_RECV, _note_refusal, [refusals]),
            *wanted.handlers,
        ],
    )
    if not association.is_established:
        raise _refused(peer, association, refusals)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    else:
        association.release()


def echo(peer: Peer, settings: ClientSettings) -> None:
    """C-ECHO.

    Raises
    ------
    PeerError
        It does not answer as it should.
    """
    wanted = Wanted([build_context(VERIFICATION, list(MESSAGE_SYNTAXES))])
    with associated(peer, wanted, settings) as association:
        status = association.send_c_echo()
    if status.get("Status") != 0x0000:
        raise PeerError(
            f"{peer} answering C-ECHO with {shown(status.get('Status'))}",
            expected="success",
            action="Look into its log.",
        )


def shown(status: int | None) -> str:
    """A status for people; None is no answer at all."""
    return "no answer" if status is None else f"0x{status:04X}"


def _begin_well(event: evt.Event) -> None:
    """Have every answer reach us, and switch Nagle's algorithm off.

    The latter makes small messages wait for the peer's next one.
    """
    pause_surely(event)
    sock = event.assoc.dul.socket
    if sock is not None and sock.socket is not None:
        sock.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _note_refusal(event: evt.Event, refusals: list[A_ASSOCIATE_RJ]) -> None:
    """Keep a refusal: when it comes fast, pynetdicom calls it a failed connection."""
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        refusals.append(event.pdu)


def _refused(peer: Peer, association: Association, refusals: Sequence[A_ASSOCIATE_RJ]) -> PeerError:
    if refusals:
        return PeerError(
            f"{peer} refusing the association ({refusals[0].reason_str})",
            expected="a system that accepts us",
            action="Make our AE title, our address and the title we call it by known there.",
        )
    if association.rejected_contexts:
        return PeerError(
            f"{peer} taking none of the kinds of object offered",
            expected="at least one accepted presentation context",
            action="Allow them there; the conformance statement lists them.",
        )
    return PeerError(
        f"no DICOM system at {peer}",
        expected="one that answers",
        action="Check host, port, TLS and firewall; is it running?",
    )
