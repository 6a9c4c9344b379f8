"""The whole of `groundglass models`."""

from __future__ import annotations

import json

from groundglass.cli.console import Voice
from groundglass.cli.failures import ExitCode
from groundglass.errors import BundleError
from groundglass.infer import Bundle, load_bundle, shipped_bundles
from groundglass.infer.bundle import DEFAULT


def list_shipped() -> None:
    """Say which bundles ship, and whether each is whole."""
    voice = Voice()
    names = shipped_bundles()
    if not names:
        voice.say("No bundle ships with this copy; `--bundle ./folder` takes one of yours.")
    for name in names:
        try:
            bundle = load_bundle(name)
            voice.heading(name + (" (used when none is named)" if name == DEFAULT else ""))
            _tell_briefly(bundle, voice)
        except BundleError as error:
            voice.heading(name)
            voice.say(f"  not usable: found {error.found}; expected {error.expected}", "red")


def _tell_briefly(bundle: Bundle, voice: Voice) -> None:
    voice.say(f"  version    {bundle.version}")
    voice.say(f"  classes    {', '.join(bundle.labels)}")
    voice.say(f"  size       {_megabytes(bundle):.1f} MB")
    voice.say("  state      every file has its SHA-256", "green")
    voice.say(f"  statement  {bundle.statement}")


def _megabytes(bundle: Bundle) -> float:
    return sum(bundle.path(file).stat().st_size for file in bundle.sha256) / 1e6


def show(source: str) -> None:
    """Say all that a bundle says about itself.

    Parameters
    ----------
    source : str
        Name or folder.

    Raises
    ------
    BundleError
        It is missing or altered.
    """
    bundle = load_bundle(source)
    voice = Voice()
    voice.heading(bundle.name)
    _tell_briefly(bundle, voice)
    for heading, values in (
        ("Recipe", bundle.recipe.to_dict()),
        ("SHA-256", dict(bundle.sha256)),
        ("Training", dict(bundle.training)),
    ):
        voice.heading(heading)
        for line in json.dumps(values, indent=2, ensure_ascii=False).splitlines():
            voice.say(f"  {line}")


def verify(source: str | None) -> ExitCode:
    """Check files against their hashes and say which are whole.

    Parameters
    ----------
    source : str or None
        Name or folder; None for every bundle that ships.

    Returns
    -------
    ExitCode
        CANNOT if one is missing or altered, or there is none.
    """
    voice = Voice()
    names = (source,) if source is not None else shipped_bundles()
    whole = 0
    for name in names:
        try:
            bundle = load_bundle(name)
        except BundleError as error:
            voice.say(f"{name}: found {error.found}; expected {error.expected}", "red")
            voice.say(f"  {error.action}")
            continue
        whole += 1
        for file, digest in sorted(bundle.sha256.items()):
            voice.say(f"{name}: {file} {digest}")
    voice.say(f"{whole} of {len(names)} bundle{'s' if len(names) != 1 else ''} whole")
    return ExitCode.DONE if whole == len(names) > 0 else ExitCode.CANNOT
