"""`groundglass models`: the bundles of weights, what they are and whether they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli import options

_HELP = (
    "List, show, verify and add bundles: the networks' weights with the recipe they were trained "
    "with, and what a reader must know of them. Alone it lists."
)
_EPILOG = """[bold]Examples[/bold]

  groundglass models

  groundglass models show demonstration

  groundglass models verify ./my-bundle

  groundglass models add ./my-bundle [dim]· then --bundle my-bundle works everywhere[/dim]

  groundglass models card demonstration > card.md

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
    group.command("list", help="List the bundles that ship or were added.")(_list)
    group.command("show", help="Show all that a bundle says about itself.")(_show)
    group.command(
        "verify", help="Check every file against its SHA-256, run the networks, compare answers."
    )(_verify)
    group.command(
        "add",
        help="Copy a bundle into your store, verified, so that its name finds it everywhere.\n\n"
        "The store is $XDG_DATA_HOME/groundglass/models, by default under ~/.local/share.",
    )(_add)
    group.command("card", help="Print a bundle's model card as Markdown.")(_card)
    app.add_typer(group)


def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        _list()


def _list() -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, tables)

    bundles.list_known()


def _show(
    bundle: BundleArgument = options.SHIPPED,
    machine: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")
    ] = False,
) -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, tables)

    bundles.show(bundle, machine=machine)


def _verify(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="BUNDLE",
            show_default="every one that is listed",
            help="A name that `groundglass models` lists, or a folder given with a slash.",
        ),
    ] = None,
) -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, OpenVINO)

    raise typer.Exit(bundles.verify(bundle))


def _add(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            show_default=False,
            help="The bundle: a folder with bundle.json and three ONNX files.",
        ),
    ],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Let it take the place of another of its name."),
    ] = False,
) -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, OpenVINO)

    bundles.add(folder, replace=replace)


def _card(bundle: BundleArgument = options.SHIPPED) -> None:
    from groundglass.cli import bundles  # noqa: PLC0415  (slow: numpy, tables)

    bundles.card(bundle)
