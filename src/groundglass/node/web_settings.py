"""Settings of the radiologist's page; the page itself is above the node, in `groundglass.web`."""

from __future__ import annotations

import ipaddress
import string
from typing import Annotated

from pydantic import Field, PositiveFloat

from groundglass.errors import SettingsError
from groundglass.node.dimse.tls import TlsSettings
from groundglass.settings.toml import Maybe, settings

#: What may stand in braces in a viewer's address.
_VIEWER_FIELDS = frozenset(("study_instance_uid", "accession_number"))


@settings
class WebSettings:
    """The radiologist's page, and the API behind it."""

    host: str = "127.0.0.1"
    """Address to listen at. 127.0.0.1: this machine only; another one also needs `names`, and
    `tls` or `in_the_clear`."""
    port: Annotated[int, Field(ge=0, lt=2**16)] = 9180
    """TCP port; 0 takes any free one. 9180: none that is in common use."""
    # Below a table that may be missing, pydantic no longer knows that a list is JSON's.
    names: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Host names and addresses by which browsers reach the page; a request for any other name is
    refused (DNS rebinding). This machine's own names for itself are always among them."""
    in_the_clear: bool = False
    """Allow http beyond this machine: for a proxy that brings TLS and reaches us over a network of
    its own. Without a proxy, whoever listens on the way reads everything, passwords too."""
    tls: Maybe[TlsSettings] = None
    """Our certificate and key, for https."""
    session_hours: PositiveFloat = 12.0
    """How long after logging in somebody must log in again, in h. 12: a shift."""
    idle_minutes: PositiveFloat = 60.0
    """A session nobody uses for so long ends, in minutes. 60: a reading room is shared, a reading
    takes minutes."""
    waiting_limit_minutes: PositiveFloat = 120.0
    """A study that has not been read for so long goes to the top of the worklist, whatever its
    verdict, in minutes. 120: sorting by verdict alone made the longest waits longer (890 to 1 293
    minutes in PMC8128725) until there was such a limit."""
    viewer_url: str = ""
    """Address of a study in the hospital's own viewer, with `{study_instance_uid}` or
    `{accession_number}` in it; empty for no link."""
    blind: bool = False
    """Show a study's verdict and evidence only after the reader has said what they see. true: for
    a site that wants to measure how often its readers and the verdict agree."""

    def __post_init__(self) -> None:
        """Refuse what would leave patients' data open, and a viewer's address that is none."""
        if not self.local and not self.names:
            raise _wrong(
                f"web.host {self.host!r} without web.names", "the names that browsers use for it"
            )
        if not self.local and self.tls is None and not self.in_the_clear:
            raise _wrong(
                f"web.host {self.host!r}: patient data over the network in the clear",
                "[web.tls], or web.in_the_clear = true behind a proxy that has it",
            )
        self._check_viewer()

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def _check_viewer(self) -> None:
        try:
            fields = {name for _, name, _, _ in string.Formatter().parse(self.viewer_url) if name}
        except ValueError:
            fields = {"?"}
        known = fields <= _VIEWER_FIELDS and (fields or not self.viewer_url)
        if not known or (self.viewer_url and not self.viewer_url.startswith(("https:", "http:"))):
            raise _wrong(
                f"web.viewer_url = {self.viewer_url!r}",
                "https://… with {study_instance_uid} or {accession_number} in it",
            )


def _wrong(found: str, expected: str) -> SettingsError:
    return SettingsError(found, expected=expected, action="Correct [web] in the settings.")
