"""Instances that we fetch ourselves, to the sink: one way for folders, C-GET and the web."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

from groundglass.node.inbound.accepted import TAKEN_CLASSES
from groundglass.node.inbound.file_meta import read_file_meta
from groundglass.node.inbound.header_scan import Unfit
from groundglass.node.inbound.instances import InstanceSink, admit

_CHUNK = 2**18
NO_CT = "no CT image"


@dataclass(slots=True)
class TransferResult:
    """What came of fetching."""

    taken: int = 0
    """Instances that are safe now."""
    passed_over: dict[str, int] = field(default_factory=dict)
    """How many were not, by reason; what is no CT image is passed over, too."""
    studies: set[str] = field(default_factory=set)
    """Study Instance UIDs of those taken."""

    @property
    def whole(self) -> bool:
        """Whether no CT image was passed over."""
        return set(self.passed_over) <= {NO_CT}

    def pass_over(self, reason: str) -> None:
        """Count one that was not taken."""
        self.passed_over[reason] = self.passed_over.get(reason, 0) + 1


def import_instance(pieces: Iterator[bytes], syntax: str, source: str, sink: InstanceSink) -> str:
    """Give one data set to the sink; its Study Instance UID.

    `source` says where it comes from, for rules and the job table; at most 16 characters count.

    Raises
    ------
    Unfit
        It cannot be taken.
    SpoolFull
        There is no room.
    """
    if syntax == DeflatedExplicitVRLittleEndian:
        raise Unfit("a deflated data set, of which a small one may become gigabytes")
    incoming, content = admit(pieces, syntax, source, sink.keywords)
    if incoming.sop_class_uid not in TAKEN_CLASSES:
        raise Unfit(NO_CT)
    sink.store(incoming, content)
    return incoming.study_instance_uid


def import_file(file: BinaryIO, source: str, sink: InstanceSink) -> str:
    """Give one file (PS3.10) to the sink; as `import_instance`."""
    syntax = read_file_meta(file)
    return import_instance(iter(lambda: file.read(_CHUNK), b""), syntax, source, sink)


def import_bytes(data: bytes, source: str, sink: InstanceSink) -> str:
    """Give the bytes of a file (PS3.10) to the sink; as `import_instance`."""
    return import_file(io.BytesIO(data), source, sink)
