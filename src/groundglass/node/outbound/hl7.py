"""HL7 v2 receivers as destinations: an ORU^R01 message over MLLP, acknowledged."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from groundglass.errors import SettingsError
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.http import LOCAL
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryError,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
)
from groundglass.node.outbound.mllp import MllpPeer
from groundglass.node.outbound.oru import Parties, control_id, hl7_parser, oru_message
from groundglass.node.outbound.study_report import StudyReport, study_reports
from groundglass.settings.toml import Maybe, settings

#: Table 0008: taken, by the application or for safe storage.
_TAKEN = frozenset(("AA", "CA"))
_CODES = _TAKEN | {"AE", "AR", "CE", "CR"}


@settings
class Hl7Settings:
    """A receiver of HL7 v2.5.1 messages: an interface engine, a RIS or an EHR.

    The patient goes out as the images name them: number, name, date of birth, sex, and the
    Accession Number. Needs the extra `hl7`.
    """

    name: str
    """What rules and the log call it."""
    host: str
    """Where it listens."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """TCP port there."""
    kind: Literal["hl7"] = "hl7"
    sending_application: str = "GROUNDGLASS"
    """MSH-3."""
    sending_facility: str = ""
    """MSH-4."""
    receiving_application: str = ""
    """MSH-5."""
    receiving_facility: str = ""
    """MSH-6."""
    processing_id: Literal["P", "T", "D"] = "P"
    """MSH-11. P: production; T: training; D: debugging."""
    assigning_authority: str = ""
    """PID-3.4 where the images name no issuer of the Patient ID."""
    connect_s: PositiveFloat = 10.0
    """For a connection, in s. 10."""
    answer_s: PositiveFloat = 30.0
    """For the whole acknowledgement, in s. 30: some receivers store before they answer."""
    in_the_clear: bool = False
    """Allow another machine without TLS: whoever listens on the way reads everything."""
    tls: Maybe[TlsSettings] = None
    """How it is called; without, in the clear. Its certificate and host name are checked."""

    def __post_init__(self) -> None:
        if self.tls is None and self.host not in LOCAL and not self.in_the_clear:
            raise SettingsError(
                f"{self.name} at {self.host}: patient data over the network in the clear",
                expected="tls, or a receiver on this machine",
                action="Add destinations.tls (authorities), or say in_the_clear = true.",
            )


class Hl7Destination:
    """Tells a receiver of one result in one message."""

    dicom_only = False
    knows_what_it_has = False

    def __init__(self, settings: Hl7Settings) -> None:
        self._parse, self._wrong = hl7_parser()
        self.name = settings.name
        self._peer = MllpPeer(
            settings.host,
            settings.port,
            settings.connect_s,
            settings.answer_s,
            settings.tls.client() if settings.tls else None,
        )
        self._parties = Parties(
            settings.sending_application,
            settings.sending_facility,
            settings.receiving_application,
            settings.receiving_facility,
            settings.processing_id,
            settings.assigning_authority,
        )

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """One message on the whole report; its acknowledgement holds for each file."""
        answers = [self._tell(report) for report in study_reports(files)]
        said = next((one for one in answers if one not in _TAKEN), answers[0])
        status = FileStatus.ACCEPTED if said in _TAKEN else FileStatus.REFUSED
        return DeliveryReceipt(
            self.name, tuple(FileReceipt.of(path, status, said) for path in files)
        )

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Its acknowledgement is all there is to know."""
        return Confirmation(frozenset(file.path for file in receipt.files), "acknowledged")

    def check(self) -> CheckResult:
        """Connect, with TLS where the settings say so; a message would be taken for a result."""
        try:
            with self._peer.connected():
                return CheckResult(works=True, detail="connected; no message was sent")
        except OSError as error:
            return CheckResult(works=False, detail=str(self._silent(error)))

    def _tell(self, report: StudyReport) -> str:
        """Send one message; the code of its acknowledgement (MSA-1, table 0008)."""
        message = oru_message(report, self._parties, datetime.now(UTC))
        try:
            answer = self._peer.ask(message.encode())
        except OSError as error:
            raise self._silent(error) from error
        return self._acknowledged(answer.decode("utf-8", "replace"), control_id(report))

    def _acknowledged(self, answer: str, control: str) -> str:
        """What an answer says of the message (chapter 2.14.8).

        Raises
        ------
        DeliveryError
            It is no acknowledgement, or of another message.
        """
        try:
            msa = self._parse("\r".join(answer.splitlines()), find_groups=False).msa
            code, of = msa.msa_1.to_er7(), msa.msa_2.to_er7()
        except (self._wrong, ValueError, LookupError, AttributeError, TypeError):
            code, of = "", ""
        if code not in _CODES or of != control:
            raise DeliveryError(
                f"an answer from {self.name} that is no acknowledgement of this message",
                expected="MSA-1 as in table 0008, MSA-2 the message's control ID",
                action="Is it an HL7 v2 receiver, and this port its own?",
            ) from None  # a receiver may quote the message
        return str(code)

    def _silent(self, error: OSError) -> DeliveryError:
        seen = type(error).__name__
        if isinstance(error, ssl.SSLError):
            seen = f"TLS: {error.reason or seen}"
        return DeliveryError(
            f"no answer from {self.name} at {self._peer.host} port {self._peer.port} ({seen})",
            expected="an MLLP listener that acknowledges",
            action="Check its address, certificates and time limits; is it running?",
        )
