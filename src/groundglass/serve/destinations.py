"""The kinds of destination, and one of them made from its settings."""

from __future__ import annotations

from groundglass.serve.commitment import CommitmentInbox
from groundglass.serve.delivery import Destination
from groundglass.serve.dicomweb import DicomwebDestination, DicomwebSettings
from groundglass.serve.folder import FolderDestination, FolderSettings
from groundglass.serve.pacs import PacsDestination, PacsSettings
from groundglass.serve.webhook import WebhookDestination, WebhookSettings

DestinationSettings = PacsSettings | DicomwebSettings | FolderSettings | WebhookSettings


def make_destination(settings: DestinationSettings, inbox: CommitmentInbox) -> Destination:
    """A destination from its settings.

    Parameters
    ----------
    settings : DestinationSettings
        Of any kind.
    inbox : CommitmentInbox
        Where the listener puts the storage commitments of archives.

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
