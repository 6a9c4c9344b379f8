"""The whole of `groundglass models`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from groundglass.cli.console import Terminal, spinner
from groundglass.cli.failures import ExitCode
from groundglass.errors import BundleError
from groundglass.evaluate.run.model_card import model_card
from groundglass.infer import Bundle, CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import DEFAULT, known_bundles
from groundglass.infer.bundle_paths import shipped_folder, store_folder
from groundglass.infer.model_store import add_bundle
from groundglass.infer.self_test import refuse_other_answers, run_self_test


def list_known() -> None:
    """Say which bundles a name finds, and whether each is whole."""
    terminal = Terminal()
    names = known_bundles()
    if not names:
        terminal.print("No bundle ships with this copy; `--bundle ./folder` takes one of yours.")
    for name in names:
        try:
            bundle = load_bundle(name)
            terminal.heading(name + (" (used when none is named)" if name == DEFAULT else ""))
            _tell_briefly(bundle, terminal)
        except BundleError as error:
            terminal.heading(name)
            terminal.print(f"  not usable: found {error.found}; expected {error.expected}", "red")


def _tell_briefly(bundle: Bundle, terminal: Terminal) -> None:
    places = {shipped_folder(): "ships with the program", store_folder(): "added by you"}
    terminal.print(f"  version    {bundle.version}")
    terminal.print(f"  classes    {', '.join(bundle.labels)}")
    terminal.print(f"  size       {_megabytes(bundle):.1f} MB")
    terminal.print(f"  place      {places.get(bundle.folder.parent, bundle.folder)}")
    terminal.print("  state      every file has its SHA-256", "green")
    terminal.print(f"  statement  {bundle.statement}")


def _megabytes(bundle: Bundle) -> float:
    return sum(bundle.path(file).stat().st_size for file in bundle.sha256) / 1e6


def show(source: str, *, machine: bool) -> None:
    """Say all that a bundle says about itself.

    Parameters
    ----------
    source : str
        Name or folder.
    machine : bool
        As JSON, on standard output.

    Raises
    ------
    BundleError
        It is missing or altered.
    """
    bundle = load_bundle(source)
    parts = _parts(bundle)
    if machine:
        typer.echo(json.dumps(parts, indent=2, ensure_ascii=False))
        return
    terminal = Terminal()
    terminal.heading(bundle.name)
    _tell_briefly(bundle, terminal)
    for heading in ("recipe", "sha256", "calibration", "operating_point", "learnt_from"):
        _tell_part(heading, parts[heading], terminal)
    _tell_part("training", parts["training"], terminal)


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
        "operating_point": asdict(metadata.operating_point) if metadata.operating_point else None,
        "learnt_from": {"patients": len(hashes.patients), "studies": len(hashes.studies)}
        if hashes
        else None,
        "self_test": asdict(metadata.self_test) if metadata.self_test else None,
        "training": dict(bundle.training),
    }


#: Headings of the parts, and what it means that one is missing.
_HEADINGS = {
    "recipe": ("Recipe", ""),
    "sha256": ("SHA-256", ""),
    "calibration": ("Calibration", "none: probabilities are the networks' own"),
    "operating_point": ("Operating point", "none: the vote decides"),
    "learnt_from": ("Hashes of whom it learnt from", "none: leaks cannot be looked for"),
    "training": ("Training", ""),
}


def _tell_part(name: str, values: object, terminal: Terminal) -> None:
    heading, missing = _HEADINGS[name]
    terminal.heading(heading)
    if values is None:
        terminal.print(f"  {missing}")
        return
    for line in json.dumps(values, indent=2, ensure_ascii=False).splitlines():
        terminal.print(f"  {line}")


def verify(source: str | None) -> ExitCode:
    """Check files against their hashes, run the networks, and say which bundles are whole.

    Parameters
    ----------
    source : str or None
        Name or folder; None for every bundle a name finds.

    Returns
    -------
    ExitCode
        CANNOT if one is missing, altered or answers otherwise, or there is none.
    """
    terminal = Terminal()
    names = (source,) if source is not None else known_bundles()
    whole = 0
    for name in names:
        try:
            bundle = load_bundle(name)
            tested = _tested(bundle)
        except BundleError as error:
            terminal.print(f"{name}: found {error.found}; expected {error.expected}", "red")
            terminal.print(f"  {error.action}")
            continue
        whole += 1
        for file, digest in sorted(bundle.sha256.items()):
            terminal.print(f"{name}: {file} {digest}")
        terminal.print(f"{name}: {tested}")
    terminal.print(f"{whole} of {len(names)} bundle{'s' if len(names) != 1 else ''} whole")
    return ExitCode.DONE if whole == len(names) > 0 else ExitCode.CANNOT


def _tested(bundle: Bundle) -> str:
    """Run the networks on this machine; what was seen, in words."""
    with spinner(f"Running the networks of {bundle.name}"):
        engine = CpuEngine(Precision.AUTO)
        found = run_self_test(bundle, engine)
        refuse_other_answers(bundle, found, engine.precision)
    if bundle.metadata.self_test is None:
        return f"the networks run in {engine.precision.value}; no self-test is stored"
    return f"the networks run in {engine.precision.value} and answer as where they were exported"


def add(folder: Path, *, replace: bool) -> None:
    """Copy a bundle into the user's store once its networks have run here.

    Parameters
    ----------
    folder : Path
        The bundle.
    replace : bool
        Whether another one of that name gives way.

    Raises
    ------
    BundleError
        It is not whole or may not be added; nothing was changed.
    """
    terminal = Terminal()
    tested = _tested(load_bundle(folder))
    bundle = add_bundle(folder, replace=replace)
    terminal.print(f"{bundle.name} {bundle.version}: {tested}")
    terminal.print(f"added as {bundle.folder}; use it with --bundle {bundle.name}")
    terminal.print(bundle.statement, "yellow")


def card(source: str) -> None:
    """Print a bundle's model card as Markdown.

    Parameters
    ----------
    source : str
        Name or folder.

    Raises
    ------
    BundleError
        It is missing or altered, or its training says nothing a card could be made of.
    """
    typer.echo(model_card(load_bundle(source)), nl=False)
