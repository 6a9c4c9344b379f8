"""Certificates to try TLS with: an authority, and what it signed for a server and for a client.

The authority's key is not written: nothing can be signed with it later, and every call makes an
authority of its own. Keys are ECDSA on P-256, which every TLS profile of PS3.15 annex B allows
(BCP 195).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from groundglass.errors import SettingsError

#: What every subject says, so that nobody takes one for real.
_PURPOSE = "groundglass, for tests only"
#: Clocks differ; valid from so long ago.
_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TestCertificates:
    """PEM files, readable by their owner only."""

    __test__ = False

    authority: Path
    """Whom both sides believe."""
    server: Path
    server_key: Path
    client: Path
    client_key: Path


@dataclass(frozen=True, slots=True)
class _Signer:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    since: datetime
    until: datetime


def make_test_certificates(folder: Path, hosts: Sequence[str], days: int) -> TestCertificates:
    """Write them into a folder, which is made if it is not there.

    Parameters
    ----------
    folder : Path
        Where to; files of these names must not be there.
    hosts : sequence of str
        Names and addresses that the server's and the client's certificate hold for.
    days : int
        How long they are valid from now on.

    Raises
    ------
    SettingsError
        The folder cannot be written, or has such files.
    """
    made = TestCertificates(
        *(folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key"))
    )
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    signer = _Signer(_named("authority"), key, now - _SKEW, now + timedelta(days=days))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(made.authority, _authority(signer).public_bytes(Encoding.PEM))
        for path, key_path, role, usage in (
            (made.server, made.server_key, "server", ExtendedKeyUsageOID.SERVER_AUTH),
            (made.client, made.client_key, "client", ExtendedKeyUsageOID.CLIENT_AUTH),
        ):
            own = ec.generate_private_key(ec.SECP256R1())
            signed = _signed(signer, own, role, (usage, hosts))
            _write(path, signed.public_bytes(Encoding.PEM))
            _write(key_path, own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except OSError as error:
        raise SettingsError(
            f"certificates that cannot be written to {folder} ({error.strerror})",
            expected="a folder of yours without files of these names",
            action="Name another folder, or remove the old certificates.",
        ) from error
    return made


def _named(role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _PURPOSE),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{role}, for tests only"),
        ]
    )


def _begun(
    signer: _Signer, name: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(signer.name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(signer.since)
        .not_valid_after(signer.until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority(signer: _Signer) -> x509.Certificate:
    public = signer.key.public_key()
    return (
        _begun(signer, signer.name, public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signing=True), critical=True)
        .sign(signer.key, hashes.SHA256())
    )


def _signed(
    signer: _Signer,
    key: ec.EllipticCurvePrivateKey,
    role: str,
    what_for: tuple[x509.ObjectIdentifier, Sequence[str]],
) -> x509.Certificate:
    usage, hosts = what_for
    names = x509.SubjectAlternativeName([_general(host) for host in hosts])
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return (
        _begun(signer, _named(role), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signing=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(by, critical=False)
        .sign(signer.key, hashes.SHA256())
    )


def _key_usage(*, signing: bool) -> x509.KeyUsage:
    """For an authority: signs certificates; for the others: signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing,
        crl_sign=signing,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read, whatever the process' mask."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
