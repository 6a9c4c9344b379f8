"""A bundle: networks, the recipe they were trained with, and what a reader must know of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.core.result import KIND_NOT_TOLD
from groundglass.errors import BundleError, SettingsError
from groundglass.infer.bundle_metadata import BundleMetadata, parse_metadata
from groundglass.infer.bundle_paths import MANIFEST as MANIFEST  # noqa: PLC0414  (part of the form below)
from groundglass.infer.bundle_paths import (
    bundles_in,
    folder_of,
    ncnn_files,
    shipped_folder,
    store_folder,
)
from groundglass.prepare import Recipe

SEGMENTER, ENCODER, HEAD = "segmenter.onnx", "encoder.onnx", "head.onnx"
#: What a bundle holds beside its manifest.
FILES = frozenset((SEGMENTER, ENCODER, HEAD))
#: What it may hold too: the encoder for ncnn.
NCNN_FILES = frozenset(path.name for path in ncnn_files(Path(ENCODER)))
#: Output of the encoder that the head reads.
FEATURES = "features"
#: Version of the manifest's form; another one is refused.
SCHEMA = 2
_RESTORE = "Restore the bundle from where it came."
_ANOTHER = "Use a bundle made for this version of groundglass."


@dataclass(frozen=True, slots=True)
class Bundle:
    """Weights with everything needed to use and to judge them."""

    folder: Path
    """Where the files lie."""
    name: str
    version: str
    """`name`, `version`: what it is called."""
    labels: tuple[str, ...]
    """Classes in the networks' order."""
    healthy: str
    """The class that means "no pneumonia"; the 0.9 rule treats it apart."""
    statement: str
    """What the weights were trained on and what that means for a verdict; shown in every output."""
    recipe: Recipe
    """How to prepare for them."""
    sha256: Mapping[str, str]
    """Hash of each of `FILES`."""
    training: Mapping[str, Any]
    """Data, licences, settings and metrics, as written by training."""
    ncnn_sha256: Mapping[str, str] = field(default_factory=dict)
    """Hash of each of `NCNN_FILES`; empty where the bundle has none."""
    metadata: BundleMetadata = field(default_factory=BundleMetadata)
    """Calibration, operating point, hashes of whom it learnt from, self-test: where it has them."""

    @property
    def hashes(self) -> dict[str, str]:
        """Hash of every file beside the manifest."""
        return {**self.sha256, **self.ncnn_sha256}

    def path(self, file: str) -> Path:
        """Where one of the bundle's files lies."""
        return self.folder / file

    @property
    def explainable(self) -> tuple[str, ...]:
        """What evidence can be shown for: the classes; by the share rule findings as such too."""
        return (*self.labels, KIND_NOT_TOLD) if self.metadata.share_rule else self.labels

    def refuse_unknown(self, label: str | None) -> None:
        """Refuse a class to explain that the bundle does not have.

        Raises
        ------
        SettingsError
            If there is no such class; None is the verdict's, whatever it will be.
        """
        if label is not None and label not in self.explainable:
            raise SettingsError(
                f"the class {label!r} to explain",
                expected=f"one of {', '.join(self.explainable)}",
                action="Name a class of the bundle.",
            )


def load_bundle(source: str | Path = DEFAULT_BUNDLE) -> Bundle:
    """Read a bundle and check every file against its hash.

    Parameters
    ----------
    source : str or Path
        Name of a bundle that ships with the package or was added to the user's store, or a
        bundle's folder.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        If there is no such bundle, its form is not known, or a file is missing or altered.
    """
    folder = folder_of(source)
    if not os.path.exists(folder / MANIFEST):  # noqa: PTH110  (Path's raises where it may not look)
        known = ", ".join(known_bundles()) or "none"
        raise BundleError(
            f"no {MANIFEST} for bundle '{source}'",
            expected=f"a bundle's folder or the name of a known one ({known})",
            action="Check the name; `groundglass models` lists what there is.",
        )
    bundle = _parse(folder)
    _refuse_contradictions(bundle)
    for file, expected in bundle.hashes.items():
        _check_file(bundle.path(file), expected)
    return bundle


def map_names(layers: int) -> tuple[str, ...]:
    """Names of the encoder's outputs that hold each layer's activations, the finest first."""
    return tuple(f"maps{layer + 1}" for layer in range(layers))


def shipped_bundles() -> tuple[str, ...]:
    """Names of the bundles that ship with the package."""
    return bundles_in(shipped_folder())


def known_bundles() -> tuple[str, ...]:
    """Names that `load_bundle` takes: shipped bundles first, then those in the user's store."""
    shipped = shipped_bundles()
    return (*shipped, *(name for name in bundles_in(store_folder()) if name not in shipped))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parse(folder: Path) -> Bundle:
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if values["schema"] != SCHEMA:
            raise BundleError(
                f"bundle form {values['schema']}",
                expected=f"form {SCHEMA}",
                action=_ANOTHER,
            )
        labels = tuple(values["labels"])
        return Bundle(
            folder=folder,
            name=values["name"],
            version=values["version"],
            labels=labels,
            healthy=values["healthy"],
            statement=values["statement"],
            recipe=Recipe.from_dict(values["recipe"]),
            sha256=dict(values["sha256"]),
            training=values["training"],
            ncnn_sha256=dict(values.get("ncnn_sha256", {})),
            metadata=parse_metadata(values, labels),
        )
    except SettingsError as error:
        raise BundleError(error.found, expected=error.expected, action=_ANOTHER) from error
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(
            f"a {MANIFEST} that cannot be understood ({error})",
            expected="the manifest that training wrote",
            action=_RESTORE,
        ) from error


def _refuse_contradictions(bundle: Bundle) -> None:
    """A file without hash would be believed unseen; without healthy class the 0.9 rule is dead."""
    if bundle.sha256.keys() != FILES:
        raise BundleError(
            f"hashes of {', '.join(sorted(bundle.sha256)) or 'no file'} in {MANIFEST}",
            expected=f"those of {', '.join(sorted(FILES))}",
            action=_RESTORE,
        )
    beside = {name for name in NCNN_FILES if bundle.path(name).exists()}
    if bundle.ncnn_sha256.keys() not in (frozenset(), NCNN_FILES) or beside - bundle.hashes.keys():
        raise BundleError(
            f"{', '.join(sorted(beside))} and hashes of "
            f"{', '.join(sorted(bundle.ncnn_sha256)) or 'none of them'} in {MANIFEST}",
            expected=f"both of {', '.join(sorted(NCNN_FILES))} with their hashes, or neither",
            action=_RESTORE,
        )
    if bundle.healthy not in bundle.labels or len(set(bundle.labels)) != len(bundle.labels):
        raise BundleError(
            f"the healthy class {bundle.healthy!r} among the classes {bundle.labels}",
            expected="different classes, one of them healthy",
            action=_RESTORE,
        )


def _check_file(path: Path, expected: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise BundleError(
            f"no {path.name} in the bundle that can be read ({error.strerror})",
            expected="every file the manifest names",
            action=_RESTORE,
        ) from error
    if found != expected:
        raise BundleError(
            f"{path.name} with SHA-256 {found[:12]}…",
            expected=f"{str(expected)[:12]}… as the manifest says",
            action="The file was altered or cut short: restore the bundle from where it came.",
        )
