"""Connections to web servers: certificates, tokens, time limits."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import requests
from pydantic import PositiveFloat

from groundglass.errors import SettingsError
from groundglass.node.dimse.tls import TlsSettings
from groundglass.settings.toml import FilePath, Maybe, settings

#: This machine: nobody listens on the way.
LOCAL = frozenset(("127.0.0.1", "::1", "localhost"))
#: Status codes that say so. A redirection is none: what was sent went nowhere.
TAKEN = range(200, 300)


@settings
class HttpAccess:
    """How a web server is called."""

    token_file: Maybe[FilePath] = None
    """File with a bearer token."""
    connect_s: PositiveFloat = 10.0
    """For a connection, in s. 10."""
    response_s: PositiveFloat = 60.0
    """For an answer to begin, in s. 60."""
    in_the_clear: bool = False
    """Allow http to another machine: whoever listens on the way reads everything."""
    tls: TlsSettings = TlsSettings()
    """Its certificate is always checked: against `authorities`, or the machine's own. Our
    certificate and key, where it asks for one."""

    @property
    def timeouts(self) -> tuple[float, float]:
        """As requests wants them."""
        return self.connect_s, self.response_s


def open_session(url: str, access: HttpAccess) -> requests.Session:
    """A session for one server.

    Raises
    ------
    SettingsError
        The address is none, or goes over the network in the clear; the token cannot be read.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not _port_is_one(parts):
        raise SettingsError(
            f"{url!r} as a web address",
            expected="https://host/path, with a TCP port of 65535 at most if it names one",
            action="Correct the url in the settings.",
        )
    if parts.scheme == "http" and parts.hostname not in LOCAL and not access.in_the_clear:
        raise SettingsError(
            f"{url!r}: patient data over the network in the clear",
            expected="https, or http on this machine",
            action="Use https (access.tls.authorities), or say access.in_the_clear = true.",
        )
    session = requests.Session()
    tls = access.tls
    session.verify = str(tls.authorities) if tls.authorities else True
    if tls.certificate is not None:
        session.cert = (str(tls.certificate), str(tls.key)) if tls.key else str(tls.certificate)
    if access.token_file is not None:
        try:
            token = access.token_file.read_text("utf-8").strip()
        except OSError as error:
            raise SettingsError(
                f"a token that cannot be read ({error.strerror})",
                expected="a file this user may read",
                action="Correct access.token_file or its permissions.",
            ) from error
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def _port_is_one(parts: SplitResult) -> bool:
    """Whether a web address names no port, or one that there is."""
    try:
        return parts.port != 0
    except ValueError:
        return False
