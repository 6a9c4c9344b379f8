"""Other application entities: who may call, and where they listen."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from groundglass.errors import SettingsError
from groundglass.node.dimse.tls import TlsSettings
from groundglass.settings.toml import Maybe, settings

_AE_TITLE_LENGTH = 16


@settings
class Peer:
    """A scanner, router or PACS."""

    ae_title: str
    """Its AE title, 1 to 16 characters."""
    addresses: tuple[str, ...] = ()
    """Addresses or networks (`10.1.2.0/24`) it calls us from. Empty: it is only called by us."""
    host: str = ""
    """Where it listens; empty when we never call it."""
    port: int = 104
    """TCP port there. 104: DICOM's own (PS3.8 section 9.1.1)."""
    tls: Maybe[TlsSettings] = None
    """How we call it; without, in the clear."""

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        if not 0 < self.port < 2**16:
            raise SettingsError(
                f"port {self.port} of {self.ae_title}",
                expected="a TCP port, 1 to 65535",
                action="Correct it in the settings.",
            )
        for address in self.addresses:
            _network(address)

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}" if self.host else self.ae_title

    @classmethod
    def parse(cls, text: str, tls: TlsSettings | None = None) -> Peer:
        """From `AE@host:port`; an IPv6 address in brackets.

        Raises
        ------
        SettingsError
            It is not of that form.
        """
        ae_title, _, place = text.partition("@")
        host, _, port = place.rpartition(":")
        if not (ae_title and host and port.isascii() and port.isdigit()):
            raise SettingsError(
                f"{text!r} as an address",
                expected="AE@host:port, as PACS@10.1.2.3:104",
                action="Give the AE title, the host and the port of the other system.",
            )
        return cls(ae_title, host=host.strip("[]"), port=int(port), tls=tls)


class KnownPeers:
    """Who may call; without any, whatever runs on this machine may, and nobody else."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = {peer.ae_title: peer for peer in peers}
        self._networks = {
            peer.ae_title: [_network(address) for address in peer.addresses] for peer in peers
        }

    def admits(self, ae_title: str, address: str) -> bool:
        """Whether a caller of this AE title may call from this address."""
        at = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(at, ipaddress.IPv6Address) and at.ipv4_mapped is not None:
            at = at.ipv4_mapped
        if not self._peers:
            return at.is_loopback
        return any(at in network for network in self._networks.get(ae_title, ()))

    def listening(self, ae_title: str) -> Peer | None:
        """The peer of this AE title, if it is known where it listens."""
        peer = self._peers.get(ae_title)
        return peer if peer is not None and peer.host else None


def check_ae_title(text: str) -> str:
    """An AE title as it is, if it is one (PS3.5 table 6.2-1, VR AE).

    Raises
    ------
    SettingsError
        It is none.
    """
    printable = text.isascii() and text.isprintable() and "\\" not in text
    if not (printable and text == text.strip() and 0 < len(text) <= _AE_TITLE_LENGTH):
        raise SettingsError(
            f"{text!r} as an AE title",
            expected="1 to 16 printable ASCII characters without backslash",
            action="Correct the AE title.",
        )
    return text


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"{text!r} as an address",
            expected="an IP address, or a network as 10.1.2.0/24",
            action="Correct it in the settings; host names are not looked up for callers.",
        ) from error
