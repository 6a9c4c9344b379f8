"""`groundglass users`: who may log in to the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from groundglass.cli.commands.serve import ConfigFile
from groundglass.cli.extras import need
from groundglass.errors import SettingsError

if TYPE_CHECKING:
    from groundglass.web.context import People

#: The names of `Role` in `web.people.users`, whose import would slow `--help`.
RoleName = Literal["reader", "operator", "admin"]

_HELP = (
    "Add, list and remove the people who may log in to the page of a node, and change their "
    "passwords and roles; the node may be running meanwhile. A reader sees and reads studies, an "
    "operator also begins them again, hurries them and deletes their files, an admin also sees the "
    "record of who did what."
)
_EPILOG = """[bold]Examples[/bold]

  groundglass users add jane --role reader --config groundglass.toml

  groundglass users list --config groundglass.toml

  groundglass users token robot --config groundglass.toml

[bold]Exit codes[/bold]  0 done · 2 wrong use, or there is no such user"""

UserName = Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="User name.")]

app = typer.Typer(
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _begin() -> None:
    need("argon2", "web")
    from groundglass.node.private_files import keep_private

    keep_private()


@app.command("add")
def add_user(
    name: UserName,
    config: ConfigFile,
    role: Annotated[RoleName, typer.Option("--role", help="What they may do.")] = "reader",
) -> None:
    """Let somebody log in; their password is asked for.

    Where standard input is no terminal, its first line is the password.
    """
    from groundglass.web.people.users import Role

    with _people(config) as people:
        people.users.add(name, Role(role), _password())
        _note(people, f"{name} added as {role}")
    typer.echo(f"{name} may log in as {role}")


@app.command("list")
def list_users(config: ConfigFile) -> None:
    """List who may log in."""
    with _people(config) as people:
        for user in people.users.all():
            typer.echo(f"{user.name:<24} {user.role}")


@app.command("remove")
def remove_user(name: UserName, config: ConfigFile) -> None:
    """Let somebody in no more, at once; what they did stays on record."""
    with _people(config) as people:
        people.users.remove(name)
        _note(people, f"{name} removed")
    typer.echo(f"{name} may log in no more")


@app.command("password")
def change_password(name: UserName, config: ConfigFile) -> None:
    """Give somebody another password, and end their sessions and tokens."""
    with _people(config) as people:
        people.users.get(name)
        people.users.set_password(name, _password())
        _note(people, f"{name}: another password")
    typer.echo(f"{name} has another password")


@app.command("role")
def change_role(
    name: UserName,
    role: Annotated[RoleName, typer.Argument(show_default=False, help="What they may do.")],
    config: ConfigFile,
) -> None:
    """Let somebody do other things; they log in again."""
    from groundglass.web.people.users import Role

    with _people(config) as people:
        people.users.set_role(name, Role(role))
        _note(people, f"{name} is {role}")
    typer.echo(f"{name} is {role}")


@app.command("token")
def make_token(
    name: UserName,
    config: ConfigFile,
    days: Annotated[float, typer.Option("--days", min=0.01, help="How long it is good.")] = 90.0,
) -> None:
    """Print a token with which a program calls the API in somebody's name; it is shown this once.

    Another password for the user ends it.
    """
    with _people(config) as people:
        token = people.tokens.make(people.users.get(name), days)
        _note(people, f"{name}: a token for {days:g} days")
    typer.echo(token)


def _password() -> str:
    """Typed twice at a terminal; else the first line of standard input, as scripts give it."""
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    return sys.stdin.readline().rstrip("\n")


def _note(people: People, what: str) -> None:
    from groundglass.web.people.access import Caller, Deed

    people.access.enter(Caller("", "command line"), Deed.USER_CHANGED, detail=what)


@contextmanager
def _people(config: Path) -> Iterator[People]:
    from groundglass.node.clock import SystemClock
    from groundglass.node.queue.table import JobTable
    from groundglass.node.settings import load_settings
    from groundglass.web.context import People

    settings = load_settings(config)
    if settings.web is None:
        raise SettingsError(
            "settings without a page",
            expected="a [web] table",
            action="Add the line [web] to the settings; `groundglass serve --example` explains it.",
        )
    settings.data.mkdir(parents=True, exist_ok=True)
    table = JobTable(settings.database_url, settings.jobs, SystemClock())
    try:
        yield People.of(table, settings.web)
    finally:
        table.close()
