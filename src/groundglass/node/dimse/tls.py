"""TLS for DICOM connections (PS3.15 annex B: BCP 195), ours and those to others."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundglass.errors import SettingsError
from groundglass.settings.toml import FilePath, Maybe, settings

#: Kinds of subject alternative names that can stand for a machine, as `ssl` calls them.
_NAMES = frozenset({"DNS", "IP Address", "URI"})
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@settings
class TlsSettings:
    """Who we are and whom we believe."""

    certificate: Maybe[FilePath] = None
    """PEM files with our certificate (and chain) and its private key. Needed to listen; towards
    another system only where it asks for one."""
    key: Maybe[FilePath] = None
    """PEM files with our certificate (and chain) and its private key. Needed to listen; towards
    another system only where it asks for one."""
    authorities: Maybe[FilePath] = None
    """PEM file with the certificates of those who sign for the others. When listening, callers must
    then have a certificate of theirs (mutual TLS). Towards another system, without it the machine's
    own authorities count."""

    def server(self) -> ssl.SSLContext:
        """For listening; TLS 1.2 or later.

        Raises
        ------
        SettingsError
            A file is missing or is not what it should be.
        """
        if self.certificate is None:
            raise _unusable("TLS settings without a certificate of ours")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(context)
        if self.authorities is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def server_unasking(self) -> ssl.SSLContext:
        """For listening to ourselves: as `server`, but no certificate is asked for.

        Raises
        ------
        SettingsError
            A file is missing or is not what it should be.
        """
        context = self.server()
        context.verify_mode = ssl.CERT_NONE
        return context

    def client(self) -> ssl.SSLContext:
        """For connecting to others, whose certificate and host name are checked.

        Raises
        ------
        SettingsError
            A file is missing or is not what it should be.
        """
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            if self.authorities is not None:
                context.load_verify_locations(self.authorities)
        except (OSError, ssl.SSLError) as error:
            raise _unusable(f"TLS files that cannot be used ({error.strerror or error})") from error


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The certificate of a caller whose signature by the authorities was checked."""

    sha256: str
    """SHA-256 of it, in DER; 64 hexadecimal digits."""
    names: frozenset[str]
    """Common names of its subject, and its subject alternative names (RFC 5280 section 4.2.1.6),
    in small letters."""

    @classmethod
    def of(cls, sock: socket.socket) -> PeerCertificate | None:
        """That of the other end of a connection; None where none was asked for."""
        if not isinstance(sock, ssl.SSLSocket):
            return None
        encoded, content = sock.getpeercert(binary_form=True), sock.getpeercert()
        if not (encoded and content):
            return None
        subject: Any = content.get("subject", ())
        common = [value for part in subject for name, value in part if name == "commonName"]
        alternative: Any = content.get("subjectAltName", ())
        names = [*common, *(value for kind, value in alternative if kind in _NAMES)]
        return cls(hashlib.sha256(encoded).hexdigest(), frozenset(map(str.lower, names)))

    def is_one_of(self, wanted: Sequence[str]) -> bool:
        """Whether it is meant by one of these names and fingerprints."""
        return any(
            as_fingerprint(one) == self.sha256 or one.lower() in self.names for one in wanted
        )


def as_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as 64 small hexadecimal digits; empty for what is none."""
    digits = text.replace(":", "").lower()
    return digits if _FINGERPRINT.fullmatch(digits) else ""


def _unusable(found: str) -> SettingsError:
    return SettingsError(
        found,
        expected="PEM files: a certificate with its key, the authorities' certificates",
        action="Correct the paths under tls, and who may read the files.",
    )
