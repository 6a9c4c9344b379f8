"""A page on a made node, and people who are logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra web is not installed")

from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from groundglass.node.assembly import Stores
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.settings import NodeSettings
from groundglass.node.web_settings import WebSettings
from groundglass.web import context
from groundglass.web.app import make_app
from groundglass.web.context import PageContext
from groundglass.web.people import users
from groundglass.web.people.users import Role
from groundglass.web.routes.visitor import SESSION_COOKIE
from groundglass.web.security.csrf import form_token
from groundglass.web.slices.desk import SliceDesk
from groundglass.web.slices.reader import SliceReader
from groundglass.web.slices.tasks import Task
from web.made_node import MadeNode, report_of

PASSWORD = "correct horse battery"  # noqa: S105
Login = Callable[[str], TestClient]


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ones take 64 MiB and a tenth of a second each."""
    monkeypatch.setattr(users, "_HASHER", PasswordHasher(1, 8, 1))


class DeskHere(SliceDesk):
    """Reads in this process: starting another takes seconds, and two tests try that."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = SliceReader()

    def _ready(self) -> None:
        """Is so already."""

    def _answer(self, task: Task) -> object:
        return self._reader(task)


@pytest.fixture(autouse=True)
def _read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "SliceDesk", DeskHere)


@pytest.fixture(scope="session")
def made_report(phantom_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the phantom, without running the networks."""
    return report_of(phantom_study, tmp_path_factory.mktemp("report") / "made")


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return NodeSettings(
        data=tmp_path / "data", spool=SpoolSettings(free_floor_mb=0), web=WebSettings(port=0)
    )


@pytest.fixture
def stores(settings: NodeSettings) -> Iterator[Stores]:
    opened = Stores.open(settings)
    yield opened
    opened.jobs.close()


@pytest.fixture
def node(stores: Stores, phantom_study: Path, made_report: Path) -> MadeNode:
    return MadeNode(stores, phantom_study, made_report)


@pytest.fixture
def page(settings: NodeSettings, stores: Stores) -> Iterator[PageContext]:
    """With a reader, an operator and an admin, called what they are."""
    assert settings.web is not None
    opened = PageContext.open(settings, settings.web, stores)
    for role in Role:
        opened.people.users.add(role, role, PASSWORD)
    yield opened
    opened.close()


@pytest.fixture
def blind_page(settings: NodeSettings, stores: Stores) -> Iterator[PageContext]:
    """The same, with verdicts hidden before a reading."""
    assert settings.web is not None
    opened = PageContext.open(settings, replace(settings.web, blind=True), stores)
    opened.people.users.add("reader", Role.READER, PASSWORD)
    yield opened
    opened.close()


@pytest.fixture
def stranger(page: PageContext) -> TestClient:
    """A browser of somebody who is not logged in."""
    return browser(page)


@pytest.fixture
def login(page: PageContext) -> Login:
    """Gives the browser of a user who is logged in."""
    return lambda name: logged_in(page, name)


def browser(page: PageContext) -> TestClient:
    """A browser without cookies, that does not follow redirections."""
    return TestClient(
        make_app(page),
        base_url="http://127.0.0.1",
        follow_redirects=False,
        raise_server_exceptions=False,
    )


def logged_in(page: PageContext, name: str) -> TestClient:
    """A browser with a session; its scripts send the form token."""
    client = browser(page)
    token = page.people.sessions.begin(page.people.users.get(name))
    client.cookies.set(SESSION_COOKIE, token)
    client.headers["x-form-token"] = form_token(token)
    return client
