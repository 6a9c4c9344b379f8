"""The page in a node's process: started and stopped with it, guarded by its settings."""

from __future__ import annotations

import threading
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from groundglass.errors import SettingsError
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.health import HttpSettings
from groundglass.node.node import Node
from groundglass.node.settings import NodeSettings
from groundglass.node.web_settings import WebSettings
from groundglass.web.server import open_page
from made_work import eventually
from node.job_twins import StubAnalyser


def get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.status, answer.read().decode()


def test_it_begins_and_ends_with_the_node(settings: NodeSettings) -> None:
    assert settings.web is not None
    quiet = replace(settings, http=HttpSettings(port=0), listener=ListenerSettings(port=0))
    node = Node(quiet, {}, lambda _: StubAnalyser())
    page = open_page(quiet, settings.web, node.stores)
    port = page.port
    node.join(page)
    stop = threading.Event()
    thread = threading.Thread(target=node.run, args=(stop,))
    thread.start()
    try:
        assert eventually(lambda: node.listener.port != 0)
        assert get(port, "/healthz") == (200, "ok\n")
        status, text = get(port, "/")
        assert (status, "Log in" in text) == (200, True)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    with pytest.raises(OSError, match="refused"):
        get(port, "/healthz")


def test_a_port_that_is_taken_is_a_reason(settings: NodeSettings) -> None:
    assert settings.web is not None
    node = Node(replace(settings, http=HttpSettings(port=0)), {}, lambda _: StubAnalyser())
    page = open_page(settings, settings.web, node.stores)
    try:
        with pytest.raises(SettingsError, match=str(page.port)):
            open_page(settings, replace(settings.web, port=page.port), node.stores)
    finally:
        page.stop()
        node.health.stop()


def test_beyond_this_machine_it_wants_names_and_encryption() -> None:
    names = ("triage.example",)
    tls = TlsSettings(certificate=Path("page.pem"))
    for wrong in (
        {"host": "0.0.0.0"},  # noqa: S104
        {"host": "10.0.0.1", "names": names},
        {"host": "10.0.0.1", "tls": tls},
        {"host": "triage.example", "in_the_clear": True},
    ):
        with pytest.raises(SettingsError, match=r"web\.host"):
            WebSettings(**wrong)  # type: ignore[arg-type]
    assert not WebSettings(host="10.0.0.1", names=names, tls=tls).local
    assert not WebSettings(host="10.0.0.1", names=names, in_the_clear=True).local
    assert WebSettings(host="::1").local


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)//{study_instance_uid}", "https://x/{other}", "https://x/", "{"]
)
def test_a_viewers_address_is_a_web_address_with_the_study_in_it(url: str) -> None:
    with pytest.raises(SettingsError, match="viewer_url"):
        WebSettings(viewer_url=url)
    WebSettings(viewer_url="https://viewer.example/?study={study_instance_uid}")
