"""The acceptor's side of an association (PS3.8): one thread, one socket, one message at a time.

pynetdicom reads, checks and negotiates the association request; the messages that follow are read
here, because its acceptor buffers whatever length a peer claims and holds an instance in memory
whole, and polls in steps of a millisecond. Here an instance goes to disk piece by piece.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from groundglass.node.dimse.commands import Command
from groundglass.node.dimse.pdus import (
    AbortReason,
    Connection,
    PduType,
    PeerGone,
    PeerLimits,
    ProtocolBroken,
)
from groundglass.read.dicom.headers.damage import PARSE_ERRORS

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_PDV = struct.Struct(">LBB")
_PDV_HEADER = 6
_COMMAND, _LAST = 1, 2
_COMMAND_BYTES = 16 * 2**10


@dataclass(frozen=True, slots=True)
class Refusal:
    """An association refused (PS3.8 table 9-21)."""

    reason: str
    """Why, for our log."""
    result: int
    source: int
    diagnostic: int
    """`result`, `source`, `diagnostic`: why, for the peer."""

    def encode(self) -> bytes:
        """The A-ASSOCIATE-RJ."""
        return struct.pack(
            ">BxLxBBB", PduType.ASSOCIATE_RJ, 4, self.result, self.source, self.diagnostic
        )


WRONG_CONTEXT = Refusal("another application context", 1, 1, 2)
UNKNOWN_CALLER = Refusal("a calling AE title or address that is not known", 1, 1, 3)
WRONG_CERTIFICATE = Refusal("a TLS certificate that is not this calling AE title's", 1, 1, 3)
UNKNOWN_CALLED = Refusal("a called AE title that is not ours", 1, 1, 7)
TOO_MANY = Refusal("too many associations at once", 2, 3, 2)


@dataclass(frozen=True, slots=True)
class Implementation:
    """Who speaks DICOM here (PS3.7 D.3.3.2)."""

    class_uid: str
    """Implementation Class UID."""
    version_name: str
    """At most 16 characters."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an acceptor offers."""

    contexts: Sequence[PresentationContext]
    """SOP classes with their transfer syntaxes and our roles."""
    implementation: Implementation
    """Who offers it."""


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    number: int
    """Its ID in this association."""
    abstract_syntax: str
    transfer_syntax: str
    """`abstract_syntax`, `transfer_syntax`: what may be sent in it, and how encoded."""


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """What a peer asks for."""

    calling_ae_title: str
    called_ae_title: str
    """`calling_ae_title`, `called_ae_title`: without the spaces around."""
    primitive: A_ASSOCIATE
    """All of it."""

    @classmethod
    def read(cls, connection: Connection) -> AssociationRequest:
        """Wait for it.

        Raises
        ------
        PeerGone, ProtocolBroken
            It does not come, or is none.
        """
        kind, body = connection.read_request()
        pdu = A_ASSOCIATE_RQ()
        try:
            pdu.decode(struct.pack(">BxL", kind, len(body)) + bytes(body))
            primitive = pdu.to_primitive()
            return cls(
                str(primitive.calling_ae_title).strip(),
                str(primitive.called_ae_title).strip(),
                primitive,
            )
        except PARSE_ERRORS as error:
            raise ProtocolBroken(
                "an association request that cannot be read", AbortReason.INVALID_PARAMETER
            ) from error

    @property
    def unanswerable(self) -> Refusal | None:
        """Why nobody could accept it, if so."""
        wrong = str(self.primitive.application_context_name) != _APPLICATION_CONTEXT
        return WRONG_CONTEXT if wrong else None


@dataclass(slots=True)
class Message:
    """One message of a peer."""

    context: Context
    """In which it came."""
    command: Command
    """What it asks for."""
    data: Iterator[bytes]
    """Its data set, from the network as it is asked for; to be read to its end before answering."""


class Association:
    """An accepted association."""

    def __init__(
        self,
        connection: Connection,
        request: AssociationRequest,
        offer: Offer,
        limits: PeerLimits,
    ) -> None:
        self.calling_ae_title = request.calling_ae_title
        self._connection = connection
        self._limits = limits
        self._rest = memoryview(b"")
        answer, roles = negotiate_as_acceptor(
            request.primitive.presentation_context_definition_list,
            list(offer.contexts),
            {
                item.sop_class_uid: (item.scu_role, item.scp_role)
                for item in request.primitive.user_information
                if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid
            },
        )
        self._contexts = {
            number: Context(number, str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in answer
            if context.result == 0 and (number := context.context_id) is not None
        }
        self._longest_pdv = _longest_pdv(request.primitive.maximum_length_received)
        sent = [_maximum_length(limits.pdu_bytes), *_names(offer.implementation), *roles]
        connection.write(_accept(request.primitive, answer, sent))

    def messages(self) -> Iterator[Message]:
        """Each message in turn, until the peer releases the association.

        Raises
        ------
        PeerGone, ProtocolBroken, Stopping
        """
        while True:
            fragment = self._next(between_messages=True)
            if fragment is None:
                self._connection.write(struct.pack(">BxLxxxx", PduType.RELEASE_RP, 4))
                return
            context, command = self._command(fragment)
            data = self._data(context) if command.has_data_set else iter(())
            yield Message(context, command, data)

    def send(self, context: Context, command: bytes, data: bytes = b"") -> None:
        """A message to the peer, in fragments no longer than it takes (PS3.8 annex E).

        Raises
        ------
        PeerGone
        """
        parts = [(command, _COMMAND)] + ([(data, 0)] if data else [])
        for content, kind in parts:
            for at in range(0, len(content), self._longest_pdv):
                piece = content[at : at + self._longest_pdv]
                last = _LAST if at + len(piece) == len(content) else 0
                head = struct.pack(">BxL", PduType.DATA, len(piece) + _PDV_HEADER)
                pdv = _PDV.pack(len(piece) + 2, context.number, kind | last)
                self._connection.write(head + pdv + piece)

    def _command(self, fragment: tuple[int, int, bytes]) -> tuple[Context, Command]:
        """The command set that begins with this fragment."""
        number, control, piece = fragment
        context = self._contexts.get(number)
        if context is None:
            raise ProtocolBroken(
                f"presentation context {number}, which was not accepted",
                AbortReason.INVALID_PARAMETER,
            )
        data = bytearray(piece)
        while control & _COMMAND and not control & _LAST and len(data) < _COMMAND_BYTES:
            control, piece = self._continued(number)
            data += piece
        if control & (_COMMAND | _LAST) != _COMMAND | _LAST:
            raise ProtocolBroken("a message without a command set", AbortReason.UNEXPECTED_PDU)
        return context, Command.parse(bytes(data))

    def _data(self, context: Context) -> Iterator[bytes]:
        """The data set's fragments."""
        control, size = 0, 0
        while not control & _LAST:
            control, piece = self._continued(context.number)
            if control & _COMMAND:
                raise ProtocolBroken("a command inside a data set", AbortReason.UNEXPECTED_PDU)
            size += len(piece)
            if size > self._limits.instance_bytes:
                raise ProtocolBroken(
                    f"an instance of more than {self._limits.instance_bytes} bytes",
                    AbortReason.NOT_SPECIFIED,
                )
            yield piece

    def _continued(self, number: int) -> tuple[int, bytes]:
        """The next fragment of the same message."""
        fragment = self._next(between_messages=False)
        if fragment is None or fragment[0] != number:
            raise ProtocolBroken("a message that breaks off", AbortReason.UNEXPECTED_PDU)
        return fragment[1:]

    def _next(self, *, between_messages: bool) -> tuple[int, int, bytes] | None:
        """The next fragment: context number, control header, content; None for a release."""
        while not self._rest:
            kind, body = self._connection.read(may_stop=between_messages)
            if kind == PduType.RELEASE_RQ:
                return None
            if kind == PduType.ABORT:
                raise PeerGone("the peer aborted the association")
            if kind != PduType.DATA:
                raise ProtocolBroken(f"a PDU of type {kind}", AbortReason.UNEXPECTED_PDU)
            self._rest = body
        if len(self._rest) < _PDV.size:
            raise ProtocolBroken("a fragment without its header", AbortReason.INVALID_PARAMETER)
        length, number, control = _PDV.unpack_from(self._rest)
        end = 4 + length
        if length < 2 or end > len(self._rest):
            raise ProtocolBroken(
                f"a fragment of {length} bytes in a PDU of {len(self._rest)}",
                AbortReason.INVALID_PARAMETER,
            )
        piece = bytes(self._rest[_PDV.size : end])
        self._rest = self._rest[end:]
        return number, control, piece


def _longest_pdv(announced: int | None) -> int:
    """Bytes of content one PDU to the peer may have; 0 announces no limit (PS3.8 D.1.1)."""
    if not announced:
        return 2**20
    return max(announced - _PDV_HEADER, 1)


def _maximum_length(pdu_bytes: int) -> MaximumLengthNotification:
    item = MaximumLengthNotification()
    item.maximum_length_received = pdu_bytes
    return item


def _names(
    implementation: Implementation,
) -> tuple[ImplementationClassUIDNotification, ImplementationVersionNameNotification]:
    uid = ImplementationClassUIDNotification()
    uid.implementation_class_uid = UID(implementation.class_uid)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = implementation.version_name
    return uid, version


def _accept(
    request: A_ASSOCIATE, answer: list[PresentationContext], user_information: list[Any]
) -> bytes:
    """The A-ASSOCIATE-AC (PS3.8 section 9.3.3)."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = _APPLICATION_CONTEXT
    primitive.calling_ae_title = request.calling_ae_title
    primitive.called_ae_title = request.called_ae_title
    primitive.result = 0
    primitive.result_source = 1
    primitive.presentation_context_definition_results_list = answer
    primitive.user_information = user_information
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    encoded: bytes = pdu.encode()
    return encoded
