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


app = typer.Typer(help=_HELP, epilog=_EPILOG, add_completion=False)


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """Without a sub-command, list."""
    if context.invoked_subcommand is None:
        list_known()


@app.command("list")
def list_known() -> None:
    """List the bundles that ship or were added."""
    from groundglass.cli import bundles

    bundles.list_known()


@app.command()
def show(
    bundle: BundleArgument = options.SHIPPED,
    machine: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")
    ] = False,
) -> None:
    """Show all that a bundle says about itself."""
    from groundglass.cli import bundles

    bundles.show(bundle, machine=machine)


@app.command()
def verify(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="BUNDLE",
            show_default="every one that is listed",
            help="A name that `groundglass models` lists, or a folder given with a slash.",
        ),
    ] = None,
) -> None:
    """Check every file against its SHA-256, run the networks, compare answers."""
    from groundglass.cli import bundles

    raise typer.Exit(bundles.verify(bundle))


@app.command()
def add(
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
    """Copy a bundle into your store, verified, so that its name finds it everywhere.

    The store is $XDG_DATA_HOME/groundglass/models, by default under ~/.local/share.
    """
    from groundglass.cli import bundles

    bundles.add(folder, replace=replace)


@app.command()
def card(bundle: BundleArgument = options.SHIPPED) -> None:
    """Print a bundle's model card as Markdown."""
    from groundglass.cli import bundles

    bundles.card(bundle)
