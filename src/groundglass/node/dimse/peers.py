"""Other application entities: who may call, and where they listen."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from groundglass.errors import SettingsError
from groundglass.node.dimse.tls import PeerCertificate, TlsSettings
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
    certificates: tuple[str, ...] = ()
    """Which TLS certificates it may call us with: the common name or a subject alternative name of
    each (host name, address or URI, spelled out), or its SHA-256 fingerprint (64 hexadecimal
    digits, colons or not). Several, while one takes the place of another. Empty: any that the
    authorities have signed, so that whoever has one may call under this AE title. Needs
    listener.tls.authorities."""

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

    def owns(self, ae_title: str, certificate: PeerCertificate | None) -> bool:
        """Whether a caller of this AE title may call with this certificate."""
        peer = self._peers.get(ae_title)
        if peer is None or not peer.certificates:
            return True
        return certificate is not None and certificate.is_one_of(peer.certificates)

    def admits(self, ae_title: str, address: str) -> bool:
        """Whether a caller of this AE title may call from this address."""
        at = _address(address)
        if not self._peers:
            return at.is_loopback
        return any(at in network for network in self._networks.get(ae_title, ()))

    def admits_address(self, address: str) -> bool:
        """Whether anybody may call from this address."""
        at = _address(address)
        if not self._peers:
            return at.is_loopback
        return any(at in network for networks in self._networks.values() for network in networks)

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


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as a socket names it; one of IPv4 in IPv6's form is one of IPv4."""
    at = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(at, ipaddress.IPv6Address) and at.ipv4_mapped is not None:
        return at.ipv4_mapped
    return at


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"{text!r} as an address",
            expected="an IP address, or a network as 10.1.2.0/24",
            action="Correct it in the settings; host names are not looked up for callers.",
        ) from error
