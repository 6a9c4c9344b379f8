"""A PACS as destination: C-STORE, confirmed by storage commitment or by reading back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat
from pynetdicom.presentation import build_context

from groundglass.node.dimse.clients import ClientSettings, PeerError, Wanted, associated, echo
from groundglass.node.dimse.commitment import CommitmentInbox, request_commitment
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.presentation_contexts import MESSAGE_SYNTAXES, STORAGE_COMMITMENT
from groundglass.node.dimse.queries import find, find_context
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryReceipt,
    FileReceipt,
    not_reached,
)
from groundglass.node.outbound.identity import identify
from groundglass.node.outbound.send import send
from groundglass.node.uids import ourselves
from groundglass.settings.toml import Maybe, settings


@settings
class PacsSettings:
    """A DICOM archive."""

    name: str
    """What rules and the log call it."""
    ae_title: str
    """Its AE title."""
    host: Annotated[str, Field(min_length=1)]
    """Where it listens."""
    port: Annotated[int, Field(gt=0, lt=2**16)]
    """TCP port there."""
    kind: Literal["pacs"] = "pacs"
    calling_ae_title: str = "GROUNDGLASS"
    """Ours towards it."""
    confirm: Literal["read back", "storage commitment"] = "read back"
    """How it is made sure that it has what it took. "read back" asks for every instance by C-FIND,
    which every archive can. "storage commitment" has it answer for them, which some cannot, and
    which needs our listener known to it."""
    commitment_wait_s: NonNegativeFloat = 60.0
    """How long its commitment may take, in s. 60; later, the delivery is tried again, where what is
    there already is not sent twice."""
    tls: Maybe[TlsSettings] = None
    """How it is called; without, in the clear."""

    def __post_init__(self) -> None:
        self.peer()
        self.client()

    def peer(self) -> Peer:
        """The archive as a peer."""
        return Peer(self.ae_title, host=self.host, port=self.port, tls=self.tls)

    def client(self) -> ClientSettings:
        """Ourselves towards it."""
        return ourselves(self.calling_ae_title)


class PacsDestination:
    """Sends to an archive; never deletes or changes anything there."""

    dicom_only = True
    knows_what_it_has = True

    def __init__(self, settings: PacsSettings, inbox: CommitmentInbox) -> None:
        self.name = settings.name
        self._settings = settings
        self._peer = settings.peer()
        self._client = settings.client()
        self._inbox = inbox

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """Send by C-STORE."""
        try:
            return DeliveryReceipt(self.name, send(files, self._peer, self._client))
        except PeerError as error:
            raise not_reached(error) from error

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Ask whether it has what it took."""
        try:
            if self._settings.confirm == "storage commitment":
                return self._ask_for_commitment(receipt.files)
            return self._read_back(receipt.files)
        except PeerError as error:
            raise not_reached(error) from error

    def check(self) -> CheckResult:
        """C-ECHO, and whether it offers what confirming needs; nothing is sent."""
        try:
            echo(self._peer, self._client)
            if self._settings.confirm == "storage commitment":
                context = build_context(STORAGE_COMMITMENT, list(MESSAGE_SYNTAXES))
                words = "C-ECHO answered, storage commitment offered"
            else:
                context, words = find_context(), "C-ECHO answered, queries (C-FIND) offered"
            with associated(self._peer, Wanted([context]), self._client):
                return CheckResult(works=True, detail=f"{self._peer}: {words}")
        except PeerError as error:
            return CheckResult(works=False, detail=str(error))

    def _ask_for_commitment(self, receipts: Sequence[FileReceipt]) -> Confirmation:
        references = [
            (receipt.sop_class_uid, receipt.sop_instance_uid)
            for receipt in receipts
            if receipt.sop_instance_uid
        ]
        report = request_commitment(
            self._peer,
            references,
            self._inbox,
            self._client,
            self._settings.commitment_wait_s,
        )
        if report is None:
            return Confirmation(frozenset(), "no commitment came in time")
        held = frozenset(r.path for r in receipts if r.sop_instance_uid in report.held)
        reasons = sorted({f"0x{reason:04X}" for reason in report.failed.values()})
        detail = f"storage commitment: {len(held)} of {len(receipts)}"
        return Confirmation(held, f"{detail} ({', '.join(reasons)})" if reasons else detail)

    def _read_back(self, receipts: Sequence[FileReceipt]) -> Confirmation:
        by_series: dict[tuple[str, str], dict[str, Path]] = defaultdict(dict)
        for receipt in receipts:
            identity = identify(receipt.path)
            if identity is not None:
                place = (identity.study_instance_uid, identity.series_instance_uid)
                by_series[place][identity.sop_instance_uid] = receipt.path
        held: set[Path] = set()
        with associated(self._peer, Wanted([find_context()]), self._client) as association:
            for (study, series), paths in by_series.items():
                keys = {
                    "StudyInstanceUID": study,
                    "SeriesInstanceUID": series,
                    "SOPInstanceUID": "",
                }
                for answer in find(association, self._peer, "IMAGE", keys):
                    uid = str(answer.get("SOPInstanceUID", ""))
                    if uid in paths:
                        held.add(paths[uid])
        return Confirmation(frozenset(held), f"read back: {len(held)} of {len(receipts)}")
