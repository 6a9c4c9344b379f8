"""The kinds of destination, and one of them made from its settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.outbound.delivery import Destination
from groundglass.node.outbound.dicomweb import DicomwebDestination, DicomwebSettings
from groundglass.node.outbound.fhir import FhirDestination, FhirSettings
from groundglass.node.outbound.folder import FolderDestination, FolderSettings
from groundglass.node.outbound.hl7 import Hl7Destination, Hl7Settings
from groundglass.node.outbound.pacs import PacsDestination, PacsSettings
from groundglass.node.outbound.webhook import WebhookDestination, WebhookSettings

DestinationSettings = Annotated[
    PacsSettings | DicomwebSettings | FolderSettings | WebhookSettings | FhirSettings | Hl7Settings,
    Field(discriminator="kind"),
]


def make_destination(settings: DestinationSettings, inbox: CommitmentInbox) -> Destination:
    """A destination from its settings.

    Raises
    ------
    SettingsError
        Something in them cannot be used.
    """
    match settings:
        case PacsSettings():
            return PacsDestination(settings, inbox)
        case DicomwebSettings():
            return DicomwebDestination(settings)
        case FolderSettings():
            return FolderDestination(settings)
        case WebhookSettings():
            return WebhookDestination(settings)
        case FhirSettings():
            return FhirDestination(settings)
        case Hl7Settings():
            return Hl7Destination(settings)
