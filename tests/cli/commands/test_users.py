"""`groundglass users`: people are made, changed and removed; no password is ever shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

pytest.importorskip("fastapi", reason="the extra web is not installed")

from argon2 import PasswordHasher

from groundglass.cli.commands.users import RoleName
from groundglass.node.clock import SystemClock
from groundglass.node.queue.table import JobTable
from groundglass.node.settings import load_settings
from groundglass.web.context import People
from groundglass.web.people import users as made_users
from groundglass.web.people.users import Role

Invoke = Callable[..., Result]
PASSWORD = "correct horse battery"  # noqa: S105


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_users, "_HASHER", PasswordHasher(1, 8, 1))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "groundglass.toml"
    path.write_text("data = 'data'\n[web]\n")
    return path


@pytest.fixture
def users(invoke: Invoke, config: Path) -> Invoke:
    return lambda *words, **more: invoke("users", *words, "--config", config, **more)


@pytest.fixture
def people(config: Path) -> People:
    settings = load_settings(config)
    settings.data.mkdir(exist_ok=True)
    assert settings.web is not None
    return People.of(JobTable(settings.database_url, settings.jobs, SystemClock()), settings.web)


def test_a_user_is_made_changed_and_removed(users: Invoke, people: People) -> None:
    added = users("add", "jane", typed=f"{PASSWORD}\n")
    assert added.exit_code == 0, added.output
    assert PASSWORD not in added.output
    assert people.users.authenticated("jane", PASSWORD).role is Role.READER
    assert users("role", "jane", "operator").exit_code == 0
    assert "jane" in users("list").output
    assert "operator" in users("list").output
    assert users("password", "jane", typed="another good one\n").exit_code == 0
    assert people.users.authenticated("jane", PASSWORD) is None
    assert people.users.authenticated("jane", "another good one") is not None
    token = users("token", "jane").output.strip()
    assert people.tokens.find(token).name == "jane"
    assert users("remove", "jane").exit_code == 0
    assert people.users.authenticated("jane", "another good one") is None
    assert people.tokens.find(token) is None
    assert [entry.address for entry in people.access.last()] == ["command line"] * 5


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (("add", "jane"), "short\n", "12"),
        (("add", "jane"), "", "12"),
        (("add", "J A N E"), f"{PASSWORD}\n", "a-z"),
        (("add", "../x"), f"{PASSWORD}\n", "a-z"),
        (("remove", "nobody"), "", "no user nobody"),
        (("token", "nobody"), "", "no user nobody"),
    ],
)
def test_what_cannot_be_is_refused(
    users: Invoke, words: tuple[str, ...], typed: str, said: str
) -> None:
    done = users(*words, typed=typed)
    assert done.exit_code == 2
    assert said in done.output


def test_a_name_is_taken_once_and_may_come_back(users: Invoke) -> None:
    assert users("add", "jane", typed=f"{PASSWORD}\n").exit_code == 0
    assert "there already" in users("add", "jane", typed=f"{PASSWORD}\n").output
    users("remove", "jane")
    assert users("add", "jane", typed=f"{PASSWORD}\n").exit_code == 0


def test_without_a_page_there_are_no_users(invoke: Invoke, tmp_path: Path) -> None:
    bare = tmp_path / "bare.toml"
    bare.write_text("data = 'data'\n")
    done = invoke("users", "list", "--config", bare)
    assert done.exit_code == 2
    assert "[web]" in done.output


def test_roles_are_those_of_the_page() -> None:
    assert set(RoleName.__args__) == set(Role)
