"""`groundglass certificates` makes what a node and its callers need to try TLS, and no more."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import Result

from groundglass.cli.failures import ExitCode
from groundglass.node.dimse.clients import PeerError, echo
from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from groundglass.node.uids import ourselves
from node.in_memory import ANY_PORT, MemorySink
from node.real_pacs import dcmtk, run

Invoke = Callable[..., Result]


def test_a_node_and_its_callers_believe_one_another(invoke: Invoke, tmp_path: Path) -> None:
    """By the settings and the command that it prints; another authority's are refused."""
    done = invoke("certificates", tmp_path / "tls")
    assert done.exit_code == ExitCode.DONE, done.output
    printed = tomllib.loads(re.search(r"\n  (\[listener.*?)\n\n", done.output, re.S)[1])  # type: ignore[index]
    paths = {name: Path(value) for name, value in printed["listener"]["tls"].items()}
    invoke("certificates", tmp_path / "others")
    sink = MemorySink()
    service = CommitmentService(sink, CommitmentInbox(tmp_path / "inbox"))
    settings = replace(ANY_PORT, tls=TlsSettings(**paths))
    with Listener(settings, InboundServices(sink, service)) as listening:

        def call(folder: Path) -> None:
            client, key, ca = (folder / f"{one}.pem" for one in ("client", "client-key", "ca"))
            peer = Peer(
                "GROUNDGLASS",
                host="127.0.0.1",
                port=listening.port,
                tls=TlsSettings(client, key, ca),
            )
            echo(peer, ourselves())

        call(tmp_path / "tls")
        with pytest.raises(PeerError):
            call(tmp_path / "others")
        typed = re.search(r"^  echoscu (.*) HOST PORT$", done.output, re.M)[1]  # type: ignore[index]
        asked = run(dcmtk("echoscu"), *typed.split(), "127.0.0.1", listening.port)
        assert asked.returncode == 0, asked.stderr


def test_they_say_what_they_are_for_and_how_long(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("certificates", tmp_path, "--host", "pacs.example", "--host", "10.1.2.3",
                  "--days", 7)  # fmt: skip
    assert "valid for 7 days" in done.output
    made = {path.stem: path for path in tmp_path.iterdir()}
    assert set(made) == {"ca", "server", "server-key", "client", "client-key"}
    assert {path.stat().st_mode & 0o777 for path in made.values()} == {0o600}
    for role in ("ca", "server", "client"):
        one = x509.load_pem_x509_certificate(made[role].read_bytes())
        assert "for tests only" in one.subject.rfc4514_string()
        left = one.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
        assert (b"PRIVATE" in made[role].read_bytes()) is False
    names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pacs.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3"]


def test_what_is_there_is_not_written_over(invoke: Invoke, tmp_path: Path) -> None:
    invoke("certificates", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = invoke("certificates", tmp_path)
    assert done.exit_code == ExitCode.WRONG_USE
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
