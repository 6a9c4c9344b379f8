"""Adding a bundle to the user's store, so that its name finds it everywhere."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from groundglass.errors import BundleError
from groundglass.infer.bundle import Bundle, load_bundle, sha256_of
from groundglass.infer.bundle_paths import MANIFEST, is_name, shipped_folder, store_folder

#: What a name may be made of, so that it is a folder's name on every file system.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STAGING = ".adding-"


def add_bundle(folder: Path, *, replace: bool = False) -> Bundle:
    """Copy a bundle into the user's store under its own name: all of it, or nothing.

    Every file is checked against its hash before and after copying. Adding the same bundle again
    changes nothing.

    Parameters
    ----------
    folder : Path
        The bundle.
    replace : bool
        Whether another bundle of that name in the store gives way.

    Returns
    -------
    Bundle
        The copy.

    Raises
    ------
    BundleError
        It is not whole, its name cannot be a folder's, a bundle that ships or another one in the
        store has its name, or the store cannot be written.
    """
    bundle = load_bundle(folder)
    refuse_name(bundle.name)
    place = store_folder() / bundle.name
    if (place / MANIFEST).is_file():
        if _same(place, folder):
            return load_bundle(place)
        if not replace:
            raise _another_there(bundle, place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _copy(bundle, place)
    except OSError as error:
        raise BundleError(
            f"the store {place.parent} not writable ({error.strerror or error})",
            expected="a folder this user may write to, with room for the bundle",
            action="Mend its permissions, or set XDG_DATA_HOME to another folder.",
        ) from error
    return load_bundle(place)


def refuse_name(name: str) -> None:
    """Refuse what cannot be the name of a bundle in the store.

    Raises
    ------
    BundleError
        It cannot be a folder's name everywhere, or a bundle that ships has it.
    """
    if not (is_name(name) and _NAME.fullmatch(name)):
        raise BundleError(
            f"a bundle called {name!r}",
            expected="a name of letters, digits, '.', '_' and '-', at most 64",
            action=f"Change the name in {MANIFEST}; the hashes are of the networks only.",
        )
    if (shipped_folder() / name / MANIFEST).is_file():
        raise BundleError(
            f"a bundle called '{name}', as one that ships",
            expected="another name: one name must not mean two things",
            action=f"Change the name in {MANIFEST}; the hashes are of the networks only.",
        )


def _another_there(bundle: Bundle, place: Path) -> BundleError:
    try:
        there = f"version {load_bundle(place).version}"
    except BundleError:
        there = "a version that is not whole"
    return BundleError(
        f"another '{bundle.name}' in the store ({there}; this is version {bundle.version})",
        expected="a name that is free, or that very bundle",
        action="Add it with --replace if it shall take that one's place.",
    )


def _same(place: Path, folder: Path) -> bool:
    """Whether two manifests are the same bytes; they hold the hashes of the rest."""
    return sha256_of(place / MANIFEST) == sha256_of(folder / MANIFEST) and _whole(place)


def _whole(place: Path) -> bool:
    try:
        load_bundle(place)
    except BundleError:
        return False
    return True


def _copy(bundle: Bundle, place: Path) -> None:
    """Copy beside the place, check, then exchange by renaming."""
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=place.parent))
    try:
        fresh, old = staging / "new", staging / "old"
        fresh.mkdir()
        for file in (*sorted(bundle.hashes), MANIFEST):
            shutil.copyfile(bundle.path(file), fresh / file)
        load_bundle(fresh)
        if place.exists():
            place.rename(old)
        try:
            fresh.rename(place)
        except BaseException:
            with suppress(FileNotFoundError):
                old.rename(place)
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
