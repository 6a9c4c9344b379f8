"""Files into a directory, all or nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from groundglass.core.atomic_files import sync_folder, write_synced
from groundglass.errors import ReportError

#: Written last: a directory without it holds no report. It lists the report's other files.
MANIFEST = "result.json"

_STAGING_PREFIX = ".groundglass-writing-"
#: Folders of the staging folder.
_NEW, _OLD = "new", "old"


def refuse_unusable(directory: Path, manifest: str = MANIFEST) -> None:
    """Raise what `write_all` would raise, before the work of an analysis; changes nothing.

    Parameters
    ----------
    directory : Path
        Where a report is to go.
    manifest : str
        Name of the file that speaks for an earlier one.

    Raises
    ------
    ReportError
        When the directory holds other things than a report, or this user may not write there.
    """
    with refusing_unwritable(directory):
        if directory.is_dir():
            _report_there(directory, manifest)
        there = next(path for path in (directory, *directory.parents) if path.exists())
        if not there.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def write_all(files: Mapping[str, bytes], directory: Path, manifest: str = MANIFEST) -> None:
    """Write `files` into `directory`, so that either all of them are there or none.

    Everything is first written and synced in a hidden folder inside `directory`, then moved into
    place, the manifest last. The folder is inside, not beside: an orchestrator hands out the
    directory as a mount point, which can be neither renamed nor replaced. A report already there
    is put back when anything fails; leftovers of a killed run are cleared. One at a time writes
    into a directory: the system keeps the others out, and lets them in when a writer is killed.

    Parameters
    ----------
    files : mapping of str to bytes
        Content per file name, in sub-folders or not ("dicom/capture.dcm"); must hold the manifest.
    directory : Path
        Made, with its parents, when missing.
    manifest : str
        Name of the file that lists the others under `files`; written last.

    Raises
    ------
    ReportError
        When the directory holds other things than a report, is being written by another, or cannot
        be written.
    """
    with refusing_unwritable(directory):
        made = _make_directory(directory)
        try:
            with exclusive_lock(directory):
                old = _report_there(directory, manifest)
                names = sorted(files, key=lambda name: name == manifest)
                _stage_and_swap({name: files[name] for name in names}, old, directory)
        except BaseException:
            _remove_empty(made)
            raise


@contextmanager
def refusing_unwritable(directory: Path) -> Iterator[None]:
    """Within, what the file system refuses becomes a `ReportError` about the directory."""
    try:
        yield
    except OSError as error:
        raise ReportError(
            f"the directory {directory} not writable ({error.strerror or error})",
            expected="a directory with enough room that this user may write to",
            action="Free space, mend the permissions, or give another directory.",
        ) from error


@contextmanager
def exclusive_lock(directory: Path) -> Iterator[None]:
    """Within, nobody else writes into the directory.

    The lock is the directory's own (flock): it leaves no file behind and ends with its holder.

    Raises
    ------
    ReportError
        Another run holds it.
    """
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ReportError(
                f"another run writing into {directory} at this moment",
                expected="one run at a time for a directory",
                action="Give another directory, or try again when the other run has ended.",
            ) from error
        yield
    finally:
        os.close(handle)


def _make_directory(directory: Path) -> list[Path]:
    """Make the directory; the folders made, innermost first."""
    if directory.exists() and not directory.is_dir():
        raise ReportError(
            f"the file {directory} in the report's place",
            expected="a directory, or a name not yet taken",
            action="Give another directory for the report.",
        )
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(made: list[Path]) -> None:
    """Take away the folders we made, as far as nobody has put anything into them."""
    with suppress(OSError):
        for path in made:
            path.rmdir()


def _report_there(directory: Path, manifest: str) -> set[str]:
    """Names at the top of a report already in the directory; refuses anything else."""
    top = {p.name for p in directory.iterdir() if not p.name.startswith(_STAGING_PREFIX)}
    if not top:
        return set()
    listed = _listed(directory / manifest)
    folders = {str(folder) for name in listed for folder in PurePosixPath(name).parents}
    others = sorted(_others(directory, top, listed, folders))
    if others:
        raise ReportError(
            f"{len(others)} other things in {directory}, such as {others[0]!r}",
            expected="an empty directory, or one that holds an earlier report and nothing else",
            action="Give another directory for the report.",
        )
    return top


def _others(
    directory: Path, names: Iterable[str], listed: set[str], folders: set[str]
) -> Iterator[str]:
    """What is neither a listed file nor a folder of listed files."""
    for name in names:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            if name in folders:
                inside = [f"{name}/{entry.name}" for entry in path.iterdir()]
                yield from _others(directory, inside, listed, folders)
            else:
                yield name
        elif name not in listed:
            yield name


def _listed(manifest: Path) -> set[str]:
    """The files a manifest speaks for, itself included; none when it is not a manifest."""
    try:
        document = json.loads(manifest.read_text("utf-8"))
        return {manifest.name, *document["files"]}
    except (FileNotFoundError, IsADirectoryError, ValueError, KeyError, TypeError):
        return set()


def _stage_and_swap(files: Mapping[str, bytes], old: set[str], directory: Path) -> None:
    """Write beside the old files, then exchange; the last of `files` is the manifest."""
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=directory))
    try:
        for name, content in files.items():
            (staging / _NEW / name).parent.mkdir(parents=True, exist_ok=True)
            write_synced(staging / _NEW / name, content)
        for folder in {(staging / _NEW / name).parent for name in files}:
            _sync_names(folder)
        top = list(dict.fromkeys(PurePosixPath(name).parts[0] for name in files))
        _swap(top, old, staging, directory)
        _sync_names(directory)
    finally:
        for leftover in directory.glob(f"{_STAGING_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _swap(names: list[str], old: set[str], staging: Path, directory: Path) -> None:
    """Move the old files and folders out, manifest first, and the new ones in, manifest last."""
    kept, new = staging / _OLD, staging / _NEW
    kept.mkdir()
    try:
        for name in sorted(old, key=lambda name: name != names[-1]):
            (directory / name).replace(kept / name)
        for name in names:
            (new / name).replace(directory / name)
    except BaseException:
        for name in names:
            if name not in old or (kept / name).exists():
                _remove(directory / name)
        for path in kept.iterdir():
            path.replace(directory / path.name)
        raise


def _remove(path: Path) -> None:
    """A file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_names(directory: Path) -> None:
    """Make the renames durable; file systems that cannot sync a directory order them anyway."""
    with suppress(OSError):
        sync_folder(directory)
