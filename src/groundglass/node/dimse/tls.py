"""TLS for DICOM connections (PS3.15 annex B: BCP 195), ours and those to others."""

from __future__ import annotations

import ssl

from groundglass.errors import SettingsError
from groundglass.settings.toml import FilePath, Maybe, settings


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


def _unusable(found: str) -> SettingsError:
    return SettingsError(
        found,
        expected="PEM files: a certificate with its key, the authorities' certificates",
        action="Correct the paths under tls, and who may read the files.",
    )
