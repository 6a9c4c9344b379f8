"""Made patients as files: the settings of a phantom as JSON, rendered when they are read."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from groundglass.errors import ReadError, SettingsError
from groundglass.phantom import PhantomSettings

#: How the files of made patients end.
PHANTOM_SUFFIX = ".phantom.json"


def read_phantom_settings(path: Path) -> PhantomSettings:
    """The settings in a `*.phantom.json` file: an object with the fields of `PhantomSettings`.

    Raises
    ------
    ReadError
        It cannot be read, or holds other things than a phantom's settings.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _unfit(f"a phantom file that cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _unfit("a phantom file that is no JSON") from error
    known = {field.name for field in fields(PhantomSettings)}
    if not isinstance(values, dict) or not {"label", "seed"} <= set(values) <= known:
        raise _unfit("a phantom file whose fields are not those of PhantomSettings")
    try:
        return PhantomSettings(**values)
    except (SettingsError, TypeError) as error:
        found = error.found if isinstance(error, SettingsError) else "a value of a wrong type"
        raise _unfit(f"a phantom file with {found}") from error


def phantom_json(settings: PhantomSettings) -> str:
    """What a `*.phantom.json` file holds; the same settings always give the same text."""
    return json.dumps(asdict(settings), indent=2, sort_keys=True) + "\n"


def canonical_phantom(settings: PhantomSettings) -> dict[str, Any]:
    """The settings that decide the voxels: what has no meaning is left out."""
    values = asdict(settings)
    if settings.label == "healthy":
        del values["severity"]
    return values


def _unfit(found: str) -> ReadError:
    return ReadError(
        found,
        expected="PhantomSettings as JSON, label and seed at least",
        action="Make it again with `groundglass cohort phantom`.",
    )
