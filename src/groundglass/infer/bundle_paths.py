"""Where bundles lie: those that ship with the package, and the user's own store."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

#: A bundle's manifest; a folder without it is no bundle.
MANIFEST = "bundle.json"


def shipped_folder() -> Path:
    """The folder of the bundles that ship with the package."""
    return Path(str(files("groundglass"))) / "weights"


def store_folder() -> Path:
    """The user's store: `$XDG_DATA_HOME/groundglass/models`, by default under `~/.local/share`.

    Source: XDG Base Directory Specification 0.8; a relative path in the variable is ignored.
    """
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    base = given if given.is_absolute() else Path.home() / ".local" / "share"
    return base / "groundglass" / "models"


def bundles_in(folder: Path) -> tuple[str, ...]:
    """Names of the bundles in a folder of bundles; none where there is no such folder."""
    return tuple(
        sorted(
            path.parent.name
            for path in folder.glob(f"*/{MANIFEST}")
            if not path.parent.name.startswith(".")
        )
    )


def is_name(source: str) -> bool:
    """Whether a word names a bundle, rather than a folder (`./folder`, `~/folder`)."""
    return bool(source) and "/" not in source and "\\" not in source and source[0] not in ".~"


def folder_of(source: str | Path) -> Path:
    """The folder a name or a path means; a shipped bundle goes before one in the store."""
    if not (isinstance(source, str) and is_name(source)):
        return Path(source).expanduser()
    shipped = shipped_folder() / source
    return shipped if os.path.exists(shipped / MANIFEST) else store_folder() / source  # noqa: PTH110


def ncnn_files(network: Path) -> tuple[Path, Path]:
    """Parameters and weights for ncnn, beside a network's ONNX file where it has them."""
    return network.with_suffix(".ncnn.param"), network.with_suffix(".ncnn.bin")
