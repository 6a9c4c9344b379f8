"""`groundglass models`: the bundles of weights, what they are and whether they are whole."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.console import Terminal, spinner
from groundglass.cli.failures import ExitCode
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.errors import BundleError

if TYPE_CHECKING:
    from groundglass.infer import Bundle
    from groundglass.infer.bundle_metadata import CalibratedOn

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

_BUNDLE_HELP = "A name that `groundglass models` lists, or a folder given with a slash."
BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help=_BUNDLE_HELP)]

#: Headings of the parts that `show` lists, and what it means that one is missing.
_HEADINGS = {
    "recipe": ("Recipe", ""),
    "sha256": ("SHA-256", ""),
    "calibration": ("Calibration", "none: probabilities are the networks' own"),
    "share_rule": ("Share rule", "none: the groups' vote decides"),
    "operating_point": ("Operating point", "none"),
    "conformal": ("For a reader", "no verdict is left for one: not calibrated on a site's cases"),
    "calibrated_on": ("Calibrated on", "no site's cases"),
    "learnt_from": ("Hashes of whom it learnt from", "none: leaks cannot be looked for"),
    "training": ("Training", ""),
}


app = typer.Typer(help=_HELP, epilog=_EPILOG, add_completion=False)


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """Without a sub-command, list."""
    if context.invoked_subcommand is None:
        list_known()


@app.command("list")
def list_known() -> None:
    """List the bundles that ship or were added."""
    from groundglass.infer.bundle import known_bundles, load_bundle

    terminal = Terminal()
    names = known_bundles()
    if not names:
        terminal.print("No bundle ships with this copy; `--bundle ./folder` takes one of yours.")
    for name in names:
        try:
            bundle = load_bundle(name)
            used = " (used when none is named)" if name == DEFAULT_BUNDLE else ""
            terminal.heading(name + used)
            _print_briefly(bundle, terminal)
        except BundleError as error:
            terminal.heading(name)
            terminal.print(f"  not usable: found {error.found}; expected {error.expected}", "red")


def _print_briefly(bundle: Bundle, terminal: Terminal) -> None:
    from groundglass.infer.bundle_paths import shipped_folder, store_folder

    places = {shipped_folder(): "ships with the program", store_folder(): "added by you"}
    size = sum(bundle.path(file).stat().st_size for file in bundle.hashes)
    terminal.print(f"  version    {bundle.version}")
    terminal.print(f"  classes    {', '.join(bundle.labels)}")
    terminal.print(f"  size       {size / 1e6:.1f} MB")
    terminal.print(f"  place      {places.get(bundle.folder.parent, bundle.folder)}")
    terminal.print("  state      every file has its SHA-256", "green")
    terminal.print(f"  statement  {bundle.statement}")


@app.command()
def show(
    bundle: BundleArgument = DEFAULT_BUNDLE,
    machine: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")
    ] = False,
) -> None:
    """Show all that a bundle says about itself."""
    from groundglass.infer import load_bundle

    found = load_bundle(bundle)
    parts = _parts(found)
    if machine:
        typer.echo(json.dumps(parts, indent=2, ensure_ascii=False))
        return
    terminal = Terminal()
    terminal.heading(found.name)
    _print_briefly(found, terminal)
    for part, (heading, missing) in _HEADINGS.items():
        values = parts[part]
        text = missing if values is None else json.dumps(values, indent=2, ensure_ascii=False)
        terminal.heading(heading)
        for line in text.splitlines():
            terminal.print(f"  {line}")


def _parts(bundle: Bundle) -> dict[str, object]:
    """The manifest's parts; of the patients it learnt from only how many there are."""
    metadata = bundle.metadata
    hashes = metadata.training_hashes
    return {
        "name": bundle.name,
        "version": bundle.version,
        "folder": str(bundle.folder),
        "labels": list(bundle.labels),
        "healthy": bundle.healthy,
        "statement": bundle.statement,
        "recipe": bundle.recipe.to_dict(),
        "sha256": dict(bundle.sha256),
        "calibration": asdict(metadata.calibration) if metadata.calibration else None,
        "share_rule": asdict(metadata.share_rule) if metadata.share_rule else None,
        "operating_point": asdict(metadata.operating_point) if metadata.operating_point else None,
        "conformal": asdict(metadata.conformal) if metadata.conformal else None,
        "calibrated_on": _calibrated_on(metadata.calibrated_on),
        "learnt_from": {"patients": len(hashes.patients), "studies": len(hashes.studies)}
        if hashes
        else None,
        "self_test": asdict(metadata.self_test) if metadata.self_test else None,
        "training": dict(bundle.training),
    }


def _calibrated_on(site: CalibratedOn | None) -> dict[str, object] | None:
    """All that is known but who the patients were: only how many."""
    if site is None:
        return None
    told = {one.name: getattr(site, one.name) for one in fields(site) if one.name != "salt"}
    return {**told, "patients": len(site.patients)}


@app.command()
def verify(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="BUNDLE", show_default="every one that is listed", help=_BUNDLE_HELP
        ),
    ] = None,
) -> None:
    """Check every file against its SHA-256, run the networks, compare answers."""
    from groundglass.infer.bundle import known_bundles, load_bundle

    terminal = Terminal()
    names = (bundle,) if bundle is not None else known_bundles()
    whole = 0
    for name in names:
        try:
            found = load_bundle(name)
            tested = _tested(found)
        except BundleError as error:
            terminal.print(f"{name}: found {error.found}; expected {error.expected}", "red")
            terminal.print(f"  {error.action}")
            continue
        whole += 1
        for file, digest in sorted(found.hashes.items()):
            terminal.print(f"{name}: {file} {digest}")
        terminal.print(f"{name}: {tested}")
    terminal.print(f"{whole} of {len(names)} bundle{'s' if len(names) != 1 else ''} whole")
    raise typer.Exit(ExitCode.DONE if whole == len(names) > 0 else ExitCode.CANNOT)


def _tested(bundle: Bundle) -> str:
    """Run the networks on this machine; what was seen, in words."""
    from groundglass.infer import CpuEngine, Precision
    from groundglass.infer.self_test import refuse_other_answers, run_self_test

    with spinner(f"Running the networks of {bundle.name}"):
        engine = CpuEngine(Precision.AUTO)
        found = run_self_test(bundle, engine)
        refuse_other_answers(bundle, found, engine.precision)
    if bundle.metadata.self_test is None:
        return f"the networks run in {engine.precision.value}; no self-test is stored"
    return f"the networks run in {engine.precision.value} and answer as where they were exported"


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
    from groundglass.infer import load_bundle
    from groundglass.infer.model_store import add_bundle

    terminal = Terminal()
    tested = _tested(load_bundle(folder))
    bundle = add_bundle(folder, replace=replace)
    terminal.print(f"{bundle.name} {bundle.version}: {tested}")
    terminal.print(f"added as {bundle.folder}; use it with --bundle {bundle.name}")
    terminal.print(bundle.statement, "yellow")


@app.command()
def card(bundle: BundleArgument = DEFAULT_BUNDLE) -> None:
    """Print a bundle's model card as Markdown."""
    from groundglass.evaluate.report.model_card import model_card
    from groundglass.infer import load_bundle

    typer.echo(model_card(load_bundle(bundle)), nl=False)
