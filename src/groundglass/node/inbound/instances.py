"""An instance on its way in: what is known of it before its pixels, and who takes it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from groundglass.node.inbound.file_meta import file_meta
from groundglass.node.inbound.header_scan import Unfit, look_ahead
from groundglass.node.rule_tags import TagValues
from groundglass.node.uids import is_uid


@dataclass(frozen=True, slots=True)
class IncomingInstance:
    """One instance, and where it comes from."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    """`sop_class_uid`, `sop_instance_uid`, `study_instance_uid`, `series_instance_uid`: what it is;
    each is a well-formed UID."""
    transfer_syntax_uid: str
    """How its data set is encoded."""
    study_description: str
    """For rules; empty when the data set has none."""
    source_ae: str
    """The sender: its AE title, or what else names the way in."""
    by_keyword: TagValues = field(default_factory=dict)
    """What else rules ask for, as far as it is there."""


class InstanceSink(Protocol):
    """Takes instances in. Safe to call from several threads."""

    @property
    def keywords(self) -> tuple[str, ...]:
        """DICOM keywords of what it wants to know of each instance beforehand, for its rules."""

    def store(self, incoming: IncomingInstance, content: Iterable[bytes]) -> None:
        """Keep one instance; when this returns, it survives a power cut.

        Parameters
        ----------
        incoming : IncomingInstance
            What it is.
        content : iterable of bytes
            The file (PS3.10), in pieces. When it raises, nothing is kept.

        Raises
        ------
        SpoolFull
            There is no room.
        """

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool | None:
        """Whether an instance is on disk; None when it is there under another SOP class."""

    def ended(self, study_instance_uid: str) -> None:
        """No more instances of this study are on the way: it need not wait for its quiet time."""


def admit(
    pieces: Iterator[bytes], syntax: str, source_ae: str, keywords: Sequence[str] = ()
) -> tuple[IncomingInstance, Iterable[bytes]]:
    """Look at the beginning of a data set, none that is deflated, to know which instance it is.

    `keywords` are those of its sink.

    Returns
    -------
    incoming : IncomingInstance
        What it is.
    content : iterable of bytes
        The file (PS3.10) it is kept as: our File Meta Information, and the data set as it came.

    Raises
    ------
    Unfit
        It cannot be parsed, or a UID in it is missing or none.
    """
    header, beginning = look_ahead(pieces, syntax, keywords)
    for name, value in header.values.items():
        if name.endswith("_uid") and not is_uid(value):
            words = name.replace("_", " ")
            raise Unfit(f"a {words} that is no UID" if value else f"no {words}")
    incoming = IncomingInstance(
        **header.values,
        transfer_syntax_uid=syntax,
        source_ae=source_ae,
        by_keyword=header.by_keyword,
    )
    meta = file_meta(incoming.sop_class_uid, incoming.sop_instance_uid, syntax)
    return incoming, itertools.chain((meta, beginning), pieces)
