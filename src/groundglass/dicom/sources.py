"""Where the bytes of an input lie: files of a folder, members of a zip archive.

Nothing is ever extracted to disk, so a member's name can do no harm.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import BinaryIO, Self

from groundglass.core.study import Rejection
from groundglass.dicom.limits import LIMITS
from groundglass.errors import ReadError

_ENCRYPTED = 0x1  # general purpose bit 0 (PKWARE APPNOTE 4.4.4)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file of an input.

    Parameters
    ----------
    path : Path
        The file, or the zip archive that holds it.
    member : str or None
        Name inside the archive.
    name : str
        How messages call it: its path relative to the input.
    size : int
        Bytes, as the file system or the archive's directory says.
    """

    path: Path
    member: str | None
    name: str
    size: int


class Sources:
    """Opens entries; keeps each zip archive's directory parsed while in use.

    A context manager, safe to use from several threads.
    """

    def __init__(self) -> None:
        self._archives: dict[Path, zipfile.ZipFile] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()

    def read(self, path: Path, member: str | None, *, start: int = 0, limit: int) -> bytes:
        """At most `limit` bytes from `start`.

        Raises
        ------
        ReadError
            The file cannot be read.
        """
        try:
            with self._open(path, member) as stream:
                if start:
                    stream.seek(start)
                if member is None:  # read() sets aside all it is asked for
                    limit = min(limit, max(os.fstat(stream.fileno()).st_size - start, 0))
                return stream.read(limit)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError,
                RuntimeError, KeyError, ValueError, MemoryError) as error:  # fmt: skip
            # zipfile raises each of these on a damaged or encrypted member.
            raise ReadError(
                f"a file that cannot be read ({type(error).__name__})",
                expected="a readable, undamaged file",
                action="Copy or export it again.",
            ) from error

    def _open(self, path: Path, member: str | None) -> BinaryIO:
        if member is None:
            return path.open("rb")
        with self._lock:
            if path not in self._archives:
                self._archives[path] = zipfile.ZipFile(path)
            archive = self._archives[path]
        return archive.open(member)  # type: ignore[return-value]


def list_entries(root: Path, *, most: int = LIMITS.files) -> tuple[list[Entry], list[Rejection]]:
    """Every file of an input, sorted by name, and what was left out at once.

    Parameters
    ----------
    root : Path
        A folder, a zip archive or a file.
    most : int
        Files it may hold.

    Raises
    ------
    ReadError
        There is nothing there, nothing that can be read, or more than `most`.
    """
    try:
        status = root.stat()
    except OSError as error:
        raise ReadError(
            f"no file or folder of that name that can be reached ({error.strerror})",
            expected="a folder, zip archive or file",
            action="Check the path.",
        ) from error
    if stat.S_ISDIR(status.st_mode):
        entries, rejected = _list_folder(root)
    elif not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
        raise ReadError(
            "neither a folder nor a regular file",
            expected="a folder, zip archive or file",
            action="Save the data to a file first.",
        )
    elif zipfile.is_zipfile(root):
        entries, rejected = _list_archive(root)
    else:
        entries, rejected = [Entry(root, None, root.name, status.st_size)], []
    if len(entries) > most:
        raise ReadError(
            f"{len(entries)} files",
            expected=f"at most {most}",
            action="Give fewer studies at a time.",
        )
    entries = [replace(entry, name=_printable(entry.name)) for entry in entries]
    rejected = [Rejection(_printable(item.what), item.reason) for item in rejected]
    return sorted(entries, key=lambda entry: entry.name), rejected


def without_file_names(text: str, names: Iterable[str]) -> str:
    """Text with each name of a file replaced: names of files may be names of people.

    Parameters
    ----------
    text : str
        A message.
    names : iterable of str
        As `Entry.name` has them; of a path its last part is replaced as well.
    """
    known = {part for name in names for part in (name, PurePosixPath(name).name)}
    if not known:
        return text
    pattern = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", "a file", text)


def _printable(name: str) -> str:
    """A file name without characters that would disturb a terminal or a log."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _list_folder(root: Path) -> tuple[list[Entry], list[Rejection]]:
    entries: list[Entry] = []
    rejected: list[Rejection] = []

    def pass_over(error: OSError) -> None:
        relative = Path(error.filename).relative_to(root).as_posix()
        rejected.append(Rejection(relative, f"a folder that cannot be read ({error.strerror})"))

    for folder, folders, names in os.walk(root, onerror=pass_over):
        for name in folders:
            if Path(folder, name).is_symlink():  # following might never end
                relative = Path(folder, name).relative_to(root).as_posix()
                rejected.append(Rejection(relative, "a link to a folder, which is not followed"))
        for name in names:
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            try:
                status = path.stat()
            except OSError:
                rejected.append(Rejection(relative, "a link that leads nowhere"))
                continue
            if stat.S_ISREG(status.st_mode):
                entries.append(Entry(path, None, relative, status.st_size))
            else:  # reading a pipe or a device might never end
                rejected.append(Rejection(relative, "not a regular file"))
    return entries, rejected


def _list_archive(root: Path) -> tuple[list[Entry], list[Rejection]]:
    entries: list[Entry] = []
    rejected: list[Rejection] = []
    try:
        with zipfile.ZipFile(root) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ReadError(
            "a damaged zip archive",
            expected="a zip archive whose directory can be read",
            action="Make the archive again.",
        ) from error
    for member in members:
        if member.is_dir():
            continue
        if member.flag_bits & _ENCRYPTED:
            rejected.append(Rejection(member.filename, "encrypted in the archive"))
        else:
            entries.append(Entry(root, member.filename, member.filename, member.file_size))
    return entries, rejected
