"""Files into a directory, all or nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from groundglass.errors import ReportError

#: Written last: a directory without it holds no report. It lists the report's other files.
MANIFEST = "result.json"

_STAGING_PREFIX = ".groundglass-writing-"


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
    is put back when anything fails; leftovers of a killed run are cleared.

    Parameters
    ----------
    files : mapping of str to bytes
        Content per plain file name; must hold the manifest.
    directory : Path
        Made, with its parents, when missing.
    manifest : str
        Name of the file that lists the others under `files`; written last.

    Raises
    ------
    ReportError
        When the directory holds other things than a report, or cannot be written.
    """
    with refusing_unwritable(directory):
        made = _make_directory(directory)
        try:
            old = _report_there(directory, manifest)
            names = sorted(files, key=lambda name: name == manifest)
            _stage_and_swap({name: files[name] for name in names}, old, directory)
        except BaseException:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)
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


def _make_directory(directory: Path) -> Path | None:
    """Make the directory; the topmost folder made, None when it was there."""
    if directory.exists() and not directory.is_dir():
        raise ReportError(
            f"the file {directory} in the report's place",
            expected="a directory, or a name not yet taken",
            action="Give another directory for the report.",
        )
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    return missing[-1] if missing else None


def _report_there(directory: Path, manifest: str) -> set[str]:
    """Names of the report's files already in the directory; refuses anything else."""
    names = {p.name for p in directory.iterdir() if not p.name.startswith(_STAGING_PREFIX)}
    if not names:
        return set()
    others = names - _listed(directory / manifest)
    if others:
        raise ReportError(
            f"{len(others)} other things in {directory}, such as {sorted(others)[0]!r}",
            expected="an empty directory, or one that holds an earlier report and nothing else",
            action="Give another directory for the report.",
        )
    return names


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
            _write_synced(staging / name, content)
        _swap(list(files), old, staging, directory)
        _sync_directory(directory)
    finally:
        for leftover in directory.glob(f"{_STAGING_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _swap(names: list[str], old: set[str], staging: Path, directory: Path) -> None:
    """Move the old files out, manifest first, and the new ones in, manifest last."""
    kept = staging / "old"
    kept.mkdir()
    try:
        for name in sorted(old, key=lambda name: name != names[-1]):
            (directory / name).replace(kept / name)
        for name in names:
            (staging / name).replace(directory / name)
    except BaseException:
        for name in names:
            with suppress(FileNotFoundError):
                if name not in old or (kept / name).exists():
                    (directory / name).unlink()
        for path in kept.iterdir():
            path.replace(directory / path.name)
        raise


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    """Make the renames durable; file systems that cannot sync a directory order them anyway."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
