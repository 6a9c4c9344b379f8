"""Where the bytes of an input lie: files of a folder, members of a zip archive.

Nothing is ever extracted to disk, so a member's name can do no harm. A member is known by its
place in the archive's directory, for two may have one name, and is believed only after its
checksum.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import IO, BinaryIO, Protocol, Self, cast

import imagecodecs

from groundglass.core.study import ANY_SERIES, Instance, Rejection
from groundglass.errors import ReadError
from groundglass.read.limits import LIMITS

#: Bytes that tell what a file is and hold nearly every header; more is read where they do not.
FIRST_LOOK = 64 * 1024
_ENCRYPTED = 0x1  # general purpose bit 0 (PKWARE APPNOTE 4.4.4)
_UTF_8 = 0x800  # bit 11
_LOCAL_HEADER = 30  # bytes before a member's name and extra field (APPNOTE 4.3.7)
#: How members may be packed. Others are rare; LZMA's dictionary may ask for 4 GB.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
#: Members up to this size are unpacked in one go, which is several times faster; larger ones pass
#: by in pieces.
_SMALL = 32 * 2**20
_PIECE = 2**20
_END_RECORD = 22  # bytes of the end of central directory record without comment (APPNOTE 4.3.16)
_IN_ZIP64 = 0xFFFF  # its count, where the true one stands in the zip64 record
#: What a damaged member makes zipfile, or a damaged stream its decompressor, raise.
STREAM_ERRORS = (
    OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError,
    ValueError, MemoryError, IndexError, struct.error,
)  # fmt: skip


class UnreadableMember(ReadError):  # noqa: N818  (says what it is, as all here do)
    """A file in a zip archive that is damaged, or packed in a way that cannot be unpacked."""


class DamagedFile(ReadError):  # noqa: N818  (likewise)
    """A file that cannot be used though it should: an image may be missing without it.

    `sop_instance_uid` says which, where it could be read; `missing_from` of which series it is.
    """

    sop_instance_uid = ""
    missing_from = ANY_SERIES


_unpackable = partial(
    UnreadableMember,
    expected=f"files up to {LIMITS.volume_bytes >> 20} MiB, packed by deflate or bzip2",
    action="Unpack the archive and give the folder.",
)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file of an input, or the archive that holds it and its place in the directory, from 0.

    The name is how messages call it, its path relative to the input; the size in bytes is what the
    file system or the archive's directory says.
    """

    path: Path
    member: int | None
    name: str
    size: int


class File(Protocol):
    """What says where a file's bytes lie: an `Entry`, an `Instance`."""

    @property
    def path(self) -> Path:
        """The file, or the zip archive that holds it."""

    @property
    def member(self) -> int | None:
        """Its place in the archive's directory, from 0."""


@dataclass(frozen=True, slots=True)
class _Archive:
    """An open zip archive."""

    zip: zipfile.ZipFile
    members: list[zipfile.ZipInfo] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> Self:
        archive = zipfile.ZipFile(path)
        return cls(archive, archive.infolist())

    def stored(self, member: zipfile.ZipInfo) -> bytes:
        """A member's bytes as they lie in the archive."""
        handle = cast("BinaryIO", self.zip.fp).fileno()
        local = os.pread(handle, _LOCAL_HEADER, member.header_offset)
        if local[:4] != b"PK\3\4" or len(local) < _LOCAL_HEADER:
            raise zipfile.BadZipFile("no member where the directory says")
        name_bytes, extra_bytes = struct.unpack_from("<HH", local, 26)
        at = member.header_offset + _LOCAL_HEADER
        encoding = "utf-8" if member.flag_bits & _UTF_8 else "cp437"
        if os.pread(handle, name_bytes, at).decode(encoding) != member.orig_filename:
            raise zipfile.BadZipFile("another name than the directory says")
        return os.pread(handle, member.compress_size, at + name_bytes + extra_bytes)


class Sources:
    """Opens entries; keeps each zip archive's directory parsed while in use.

    A context manager, safe to use from several threads.
    """

    def __init__(self) -> None:
        self._archives: dict[Path, _Archive] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives.values():
            archive.zip.close()
        self._archives.clear()

    def read(self, file: File, *, start: int = 0, limit: int) -> bytes:
        """At most `limit` bytes from `start`.

        Of a zip archive's member all bytes are unpacked, whatever part is asked for, and compared
        with its checksum: no byte of a damaged one is handed out.

        Raises
        ------
        UnreadableMember
            The archive's member is damaged, or cannot be unpacked.
        ReadError
            The file cannot be read.
        """
        if file.member is not None:
            return self._read_member(file.path, file.member, start, limit)
        try:
            with file.path.open("rb") as stream:
                if start:
                    stream.seek(start)
                # read() sets aside all it is asked for
                limit = min(limit, max(os.fstat(stream.fileno()).st_size - start, 0))
                return stream.read(limit)
        except (OSError, ValueError, MemoryError) as error:
            raise _unreadable(error) from error

    def stream(self, file: File) -> BinaryIO:
        """A file or member as a stream, whose last byte brings an error if a member is damaged.

        Raises
        ------
        ReadError
            It cannot be opened.
        """
        try:
            if file.member is None:
                return file.path.open("rb")
            archive = self._archive(file.path)
            return cast("BinaryIO", archive.zip.open(archive.members[file.member]))
        except STREAM_ERRORS as error:
            raise _unreadable(error) from error

    def size(self, file: File) -> int:
        """Bytes of a file or member, as the file system or the archive's directory says."""
        try:
            if file.member is None:
                return file.path.stat().st_size
            return self._archive(file.path).members[file.member].file_size
        except STREAM_ERRORS as error:
            raise _unreadable(error) from error

    def name(self, file: File) -> str:
        """The bare name of a file or member."""
        if file.member is None:
            return file.path.name
        return PurePosixPath(self._archive(file.path).members[file.member].filename).name

    def beside(self, file: File, name: str) -> Instance | None:
        """The file or member called `name` in the same folder; None without exactly one.

        A bare file name; capitals count.
        """
        if PurePosixPath(name).name != name or "\\" in name:
            return None
        if file.member is None:
            other = file.path.parent / name
            return Instance(other) if other.is_file() else None
        members = self._archive(file.path).members
        wanted = str(PurePosixPath(members[file.member].filename).parent / name)
        found = [k for k, other in enumerate(members) if other.filename == wanted]
        return Instance(file.path, found[0]) if len(found) == 1 else None

    def _archive(self, path: Path) -> _Archive:
        with self._lock:
            if path not in self._archives:
                self._archives[path] = _Archive.open(path)
            return self._archives[path]

    def _read_member(self, path: Path, member: int, start: int, limit: int) -> bytes:
        try:
            archive = self._archive(path)
            about = archive.members[member]
            if about.file_size > LIMITS.volume_bytes:
                raise _unpackable(f"a file of {about.file_size >> 20} MiB in a zip archive")
            if about.compress_type not in _PACKINGS:
                raise _unpackable(f"a file in a zip archive packed by method {about.compress_type}")
            packed_small = about.compress_size <= _SMALL + _PIECE
            if about.file_size <= _SMALL and packed_small and about.compress_type in _UNPACK:
                return _unpacked(archive.stored(about), about)[start : start + limit]
            with archive.zip.open(about) as stream:
                _pass_over(stream, start)
                data = stream.read(limit)
                _pass_over(stream, about.file_size)
                return data
        except STREAM_ERRORS as error:
            cause = "its checksum does not match" if "CRC" in str(error) else type(error).__name__
            raise UnreadableMember(
                f"a file in a zip archive that is damaged ({cause})",
                expected="files that unpack to what their checksums say",
                action="Fetch or make the archive again.",
            ) from error


_UNPACK: dict[int, Callable[[bytes, int], bytes]] = {
    zipfile.ZIP_STORED: lambda packed, _: packed,
    zipfile.ZIP_DEFLATED: lambda packed, size: bytes(
        imagecodecs.deflate_decode(packed, raw=True, out=size)
    ),
}


def _unpacked(packed: bytes, member: zipfile.ZipInfo) -> bytes:
    """A member's content, after its size and checksum (APPNOTE 4.4.7)."""
    if len(packed) != member.compress_size:
        raise EOFError("cut off")
    content = _UNPACK[member.compress_type](packed, member.file_size) if member.file_size else b""
    if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile("Bad CRC-32")
    return content


def _pass_over(stream: IO[bytes], count: int) -> None:
    """Read `count` bytes, or to the end, and let them go."""
    while count > 0 and (piece := stream.read(min(count, _PIECE))):
        count -= len(piece)


def _unreadable(error: Exception) -> ReadError:
    return ReadError(
        f"a file that cannot be read ({type(error).__name__})",
        expected="a readable, undamaged file",
        action="Copy or export it again.",
    )


def list_entries(root: Path, *, most: int = LIMITS.files) -> tuple[list[Entry], list[Rejection]]:
    """Every file of a folder, zip archive or file, sorted by name, and what was left out at once.

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
        entries, rejected = _list_archive(root), []
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
    return sorted(entries, key=lambda entry: (entry.name, entry.member or 0)), rejected


def without_file_names(text: str, names: Iterable[str]) -> str:
    """Text with each name of a file replaced: names of files may be names of people.

    Of a path (as `Entry.name` has it) its last part is replaced as well.
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


def _list_archive(root: Path) -> list[Entry]:
    try:
        with zipfile.ZipFile(root) as archive:
            members = archive.infolist()
        if _count_at_end(root) not in (len(members) & 0xFFFF, _IN_ZIP64):
            raise zipfile.BadZipFile("another count of members")  # noqa: TRY301  (one refusal)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise ReadError(
            "a damaged zip archive",
            expected="a zip archive whose directory can be read",
            action="Fetch or make the archive again.",
        ) from error
    files = [(k, m) for k, m in enumerate(members) if m.file_size or not m.filename.endswith("/")]
    encrypted = sum(bool(member.flag_bits & _ENCRYPTED) for _, member in files)
    if encrypted:  # without them a stack may be cut short, and nothing would show it
        raise ReadError(
            f"a zip archive of which {encrypted} of {len(files)} files are encrypted",
            expected="an archive that can be read whole",
            action="Unpack it with its password and give the folder.",
        )
    return [Entry(root, k, member.filename, member.file_size) for k, member in files]


def _count_at_end(root: Path) -> int:
    """How many members the end of central directory record counts (APPNOTE 4.3.16).

    zipfile does not look at it; a damaged length in the directory can swallow members unseen.
    """
    with root.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_RECORD - 0xFFFF))
        tail = file.read()
    (count,) = struct.unpack_from("<H", tail, tail.rindex(b"PK\5\6") + 10)
    return int(count)
