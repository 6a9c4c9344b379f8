"""DIMSE command sets (PS3.7 section 6.3.1 and annex E): always Implicit VR Little Endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from groundglass.node.dimse.pdus import AbortReason, ProtocolBroken

_ELEMENT = struct.Struct("<HHL")
_NO_DATA_SET, _DATA_SET = 0x0101, 0x0001
#: Elements of group 0000 (PS3.7 table E.1-1).
_LENGTH, _SOP_CLASS, _REQUESTED_CLASS, _FIELD = 0x0000, 0x0002, 0x0003, 0x0100
_MESSAGE_ID, _RESPONDED_ID, _DATA_SET_TYPE, _STATUS = 0x0110, 0x0120, 0x0800, 0x0900
_COMMENT, _INSTANCE, _REQUESTED_INSTANCE = 0x0902, 0x1000, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008
_COMMENT_LENGTH = 64


class CommandField(IntEnum):
    """The messages a listener meets (PS3.7 table E.1-1); a response has bit 15 set."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_ACTION_RQ = 0x0130


RESPONSE = 0x8000


class Status(IntEnum):
    """What we answer (PS3.7 annex C, PS3.4 tables B.2-1 and J.3.2)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    INVALID_ARGUMENT = 0x0115
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    OUT_OF_RESOURCES = 0xA700
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Command:
    """What a message asks for."""

    field: int
    """Which message (`CommandField`)."""
    message_id: int
    """To be named in the answer."""
    sop_class_uid: str
    sop_instance_uid: str
    """`sop_class_uid`, `sop_instance_uid`: affected or requested; empty when not given."""
    type_id: int
    """Action or event type; 0 when not given."""
    has_data_set: bool
    """Whether a data set follows."""

    @classmethod
    def parse(cls, data: bytes) -> Command:
        """Read a command set.

        Raises
        ------
        ProtocolBroken
            It is none.
        """
        values = _elements(data)

        def number(element: int) -> int:
            raw = values.get(element, b"\0\0")
            if len(raw) != 2:
                raise _no_command()
            return int.from_bytes(raw, "little")

        def text(*elements: int) -> str:
            raw = next((values[element] for element in elements if element in values), b"")
            return raw.decode("ascii", "replace").strip(" \0")

        if _FIELD not in values:
            raise _no_command()
        return cls(
            field=number(_FIELD),
            message_id=number(_MESSAGE_ID),
            sop_class_uid=text(_SOP_CLASS, _REQUESTED_CLASS),
            sop_instance_uid=text(_INSTANCE, _REQUESTED_INSTANCE),
            type_id=number(_ACTION_TYPE) or number(_EVENT_TYPE),
            has_data_set=number(_DATA_SET_TYPE) != _NO_DATA_SET,
        )

    def answer(self, status: Status, comment: str = "") -> bytes:
        """The command set of the response; a comment is cut to 64 characters (PS3.7 annex C)."""
        values = {
            _SOP_CLASS: _uid(self.sop_class_uid),
            _FIELD: _short(self.field | RESPONSE),
            _RESPONDED_ID: _short(self.message_id),
            _DATA_SET_TYPE: _short(_NO_DATA_SET),
            _STATUS: _short(status),
        }
        if comment:
            values[_COMMENT] = _padded(comment.encode("ascii", "replace")[:_COMMENT_LENGTH], b" ")
        if self.sop_instance_uid:
            values[_INSTANCE] = _uid(self.sop_instance_uid)
        if self.type_id:
            event = self.field == CommandField.N_EVENT_REPORT_RQ
            values[_EVENT_TYPE if event else _ACTION_TYPE] = _short(self.type_id)
        return _encode(values)


def event_report(
    sop_class_uid: str, sop_instance_uid: str, event_type: int, message_id: int
) -> bytes:
    """The command set of an N-EVENT-REPORT-RQ with a data set (PS3.7 section 10.3.1)."""
    return _encode(
        {
            _SOP_CLASS: _uid(sop_class_uid),
            _FIELD: _short(CommandField.N_EVENT_REPORT_RQ),
            _MESSAGE_ID: _short(message_id),
            _DATA_SET_TYPE: _short(_DATA_SET),
            _INSTANCE: _uid(sop_instance_uid),
            _EVENT_TYPE: _short(event_type),
        }
    )


def _elements(data: bytes) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    at = 0
    while at + _ELEMENT.size <= len(data):
        group, element, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        if group != 0x0000 or at + length > len(data):
            raise _no_command()
        values[element] = data[at : at + length]
        at += length
    if at != len(data):
        raise _no_command()
    return values


def _encode(values: dict[int, bytes]) -> bytes:
    elements = b"".join(
        _ELEMENT.pack(0x0000, element, len(value)) + value
        for element, value in sorted(values.items())
    )
    return _ELEMENT.pack(0x0000, _LENGTH, 4) + struct.pack("<L", len(elements)) + elements


def _short(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _uid(value: str) -> bytes:
    return _padded(value.encode("ascii", "replace"), b"\0")


def _padded(raw: bytes, fill: bytes) -> bytes:
    return raw + fill * (len(raw) % 2)


def _no_command() -> ProtocolBroken:
    return ProtocolBroken("a message that is no DIMSE command", AbortReason.INVALID_PARAMETER)
