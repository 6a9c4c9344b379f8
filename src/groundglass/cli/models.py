"""`groundglass models`: the weights that ship, what they are and whether they are whole."""

from __future__ import annotations

from typing import Annotated

import typer

from groundglass.cli import options

_HELP = (
    "List, show and verify bundles: the networks' weights with the recipe they were trained with, "
    "and what a reader must know of them. Alone it lists."
)
_EPILOG = """[bold]Examples[/bold]

  groundglass models

  groundglass models show demonstration

  groundglass models verify ./my-bundle

[bold]Exit codes[/bold]  0 as it should be · 1 missing or altered, the reason is printed · \
2 wrong use"""

BundleArgument = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE",
        help="A name that `groundglass models` lists, or a folder given with a slash.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Make the commands known."""
    group = typer.Typer(
        name="models", help=_HELP, epilog=_EPILOG, rich_markup_mode="rich", no_args_is_help=False
    )
    group.callback(invoke_without_command=True)(_models)
    group.command("list", help="List the bundles that ship with the program.")(_list)
    group.command("show", help="Show all that a bundle says about itself.")(_show)
    group.command("verify", help="Check every file of a bundle against its SHA-256.")(_verify)
    app.add_typer(group)


def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        _list()


def _list() -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, tables)

    bundles.list_shipped()


def _show(bundle: BundleArgument = options.SHIPPED) -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, tables)

    bundles.show(bundle)


def _verify(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="BUNDLE",
            show_default="every one that ships",
            help="A name that `groundglass models` lists, or a folder given with a slash.",
        ),
    ] = None,
) -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, tables)

    raise typer.Exit(bundles.verify(bundle))
