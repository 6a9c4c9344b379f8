"""Files that are whole or not there: written under another name first, then given their own."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` to write to; on leaving, that file takes the place of `path`.

    When anything is raised within, it is removed instead. Any number of threads and processes may
    do this with one path: the last to leave wins.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def open_whole(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write to, which is `path` when it is left."""
    with replacing(path) as unfinished, unfinished.open("xb") as file:
        yield file


def write_whole(path: Path, content: str | bytes, *, synced: bool = False) -> None:
    """Write a file, in the place of one of that name.

    Parameters
    ----------
    path : Path
        In a folder that is there.
    content : str or bytes
        All of it; a text is written as UTF-8 with the line ends it has.
    synced : bool
        Whether it shall survive a power cut from the moment it has its name.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as unfinished:
        if synced:
            write_synced(unfinished, data)
        else:
            unfinished.write_bytes(data)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file; when this returns, its content survives a power cut."""
    with path.open("xb") as file:
        file.write(content)
        sync(file)


def append_synced(path: Path, text: str) -> None:
    """Add to the end of a file; when this returns, it survives a power cut."""
    with path.open("ab") as file:
        file.write(text.encode())
        sync(file)


def sync(file: IO[bytes]) -> None:
    """Make what was written to an open file durable."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def out_of_room(error: BaseException) -> bool:
    """Whether something failed because the disk, or the user's share of it, is full."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__
    return False


def clear_unfinished(path: Path) -> None:
    """Remove what interrupted writes of `path` left; only for who alone writes it."""
    for unfinished in path.parent.glob(f".{path.name}.*.part"):
        unfinished.unlink(missing_ok=True)
