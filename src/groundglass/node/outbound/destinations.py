"""The kinds of destination, and one of them made from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from groundglass.errors import SettingsError
from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.outbound.delivery import Destination
from groundglass.node.outbound.dicomweb import DicomwebDestination, DicomwebSettings
from groundglass.node.outbound.folder import FolderDestination, FolderSettings
from groundglass.node.outbound.pacs import PacsDestination, PacsSettings
from groundglass.node.outbound.webhook import WebhookDestination, WebhookSettings

if TYPE_CHECKING:
    from groundglass.node.settings import NodeSettings

DestinationSettings = Annotated[
    PacsSettings | DicomwebSettings | FolderSettings | WebhookSettings,
    Field(discriminator="kind"),
]


def open_destinations(settings: NodeSettings) -> dict[str, Destination]:
    """All destinations of a node, by name.

    Raises
    ------
    SettingsError
        Two have one name, or something in their settings cannot be used.
    """
    inbox = CommitmentInbox(settings.data / "commitments")
    made: dict[str, Destination] = {}
    for one in settings.destinations:
        if one.name in made:
            raise SettingsError(
                f"two destinations called {one.name!r}",
                expected="a name for each",
                action="Rename one of them in the settings, and in the rules that mean it.",
            )
        made[one.name] = make_destination(one, inbox)
    return made


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
