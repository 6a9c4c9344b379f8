"""A TLS certificate lets a caller in under its own AE title only; seen with dcmtk's echoscu."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from groundglass.errors import SettingsError
from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener, ListenerSettings
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from node.in_memory import ANY_PORT, MemorySink
from node.real_pacs import dcmtk, run

HERE = ("127.0.0.1",)


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """An authority; certificates that it signed for us and for two scanners, with their keys."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    names = ("ca", "node", "ct1", "ct2")
    place = {f"{name}{key}": folder / f"{name}{key}.pem" for name in names for key in ("", "-key")}
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    signed = ("-CA", place["ca"], "-CAkey", place["ca-key"])
    more = {
        "ca": (),
        "node": (*signed, "-addext", "subjectAltName=IP:127.0.0.1"),
        "ct1": (*signed, "-addext", "subjectAltName=DNS:ct1.hospital.example"),
        "ct2": signed,
    }
    for name in names:
        out = ("-keyout", place[f"{name}-key"], "-out", place[name], "-subj", f"/CN={name} station")
        made = run(openssl, *new, *more[name], *out)
        assert made.returncode == 0, made.stderr
    return place


def fingerprint(certificate: Path) -> str:
    """As openssl prints it, with colons."""
    said = run("openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256").stdout
    return said.strip().partition("=")[2]


@contextmanager
def listening(pem: Mapping[str, Path], folder: Path, *peers: Peer) -> Iterator[Listener]:
    tls = TlsSettings(pem["node"], pem["node-key"], pem["ca"])
    sink = MemorySink()
    service = CommitmentService(sink, CommitmentInbox(folder / "inbox"))
    settings = replace(ANY_PORT, tls=tls, peers=peers)
    with Listener(settings, InboundServices(sink, service)) as listener:
        yield listener


def echo(
    pem: Mapping[str, Path], listener: Listener, certificate: str, calling: str
) -> subprocess.CompletedProcess[str]:
    """A C-ECHO of dcmtk's with one of the certificates, under an AE title."""
    own = ("+tls", pem[f"{certificate}-key"], pem[certificate], "+cf", pem["ca"])
    to = ("-aet", calling, "-aec", "GROUNDGLASS", "127.0.0.1", listener.port)
    return run(dcmtk("echoscu"), *own, *to, timeout=30)


@pytest.mark.parametrize("how", ["common name", "alternative name", "fingerprint"])
def test_a_certificate_is_good_for_its_own_ae_title_only(
    pem: Mapping[str, Path], tmp_path: Path, how: str
) -> None:
    meant = {
        "common name": "CT1 Station",
        "alternative name": "ct1.hospital.example",
        "fingerprint": fingerprint(pem["ct1"]),
    }[how]
    peers = (
        Peer("CT1", HERE, certificates=("another", meant)),
        Peer("CT2", HERE, certificates=("ct2 station",)),
    )
    with listening(pem, tmp_path, *peers) as listener:
        assert echo(pem, listener, "ct1", "CT1").returncode == 0
        assert echo(pem, listener, "ct2", "CT2").returncode == 0
        stolen = echo(pem, listener, "ct2", "CT1")
        assert stolen.returncode != 0
        assert "Calling AE Title Not Recognized" in stolen.stderr + stolen.stdout
        assert listener.counts() == {"associations": 2, "associations_refused": 1}
        assert listener.check() == ""


def test_without_one_named_any_that_the_authorities_signed_will_do(
    pem: Mapping[str, Path], tmp_path: Path
) -> None:
    with listening(pem, tmp_path, Peer("CT1", HERE)) as listener:
        assert echo(pem, listener, "ct1", "CT1").returncode == 0
        assert echo(pem, listener, "ct2", "CT1").returncode == 0


@pytest.mark.parametrize("tls", [None, TlsSettings(Path("cert.pem"))], ids=["clear", "one-sided"])
def test_names_that_nobody_is_asked_for_are_refused(tls: TlsSettings | None) -> None:
    with pytest.raises(SettingsError, match="callers are asked for none"):
        ListenerSettings(peers=(Peer("CT1", HERE, certificates=("ct1",)),), tls=tls)


def test_two_peers_of_one_ae_title_are_refused() -> None:
    """The second one used to take the place of the first, whose address was then unknown."""
    with pytest.raises(SettingsError, match="two of them called 'CT1'"):
        ListenerSettings(peers=(Peer("CT1", ("10.0.0.1",)), Peer("CT1", ("10.0.0.2",))))
