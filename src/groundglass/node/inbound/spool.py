"""Received instances on disk: whole and synced before they are acknowledged, or not there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import NonNegativeInt

from groundglass.core.atomic_files import out_of_room, sync_folder
from groundglass.errors import GroundglassError
from groundglass.node.logs import Pseudonyms
from groundglass.node.private_files import own_folder
from groundglass.node.queue.states import StoredInstance
from groundglass.settings.toml import settings

#: Free bytes of the file system that holds a folder; a Protocol would say no more.
FreeSpace = Callable[[Path], int]

_SHA_DIGITS = 32
#: Where files lie that no table knows, under the path they had.
QUARANTINE = "quarantine"


class SpoolFull(GroundglassError):  # noqa: N818  (reads as what it says)
    """There is no room for another instance; nothing of it was kept (C-STORE: 0xA700)."""


@settings
class SpoolSettings:
    """How received instances are kept."""

    free_floor_mb: NonNegativeInt = 4096
    """Free space in MB below which nothing more is taken in. 4096: results, database and logs share
    the disk and must still be written when the senders are told to wait."""


def free_bytes(folder: Path) -> int:
    """Free bytes an unprivileged user may still take."""
    return shutil.disk_usage(folder).free


class Spool:
    """A folder of received instances; on several machines one of a shared file system.

    A file's name is made from hashes of its UIDs and of its content; no text from the network
    becomes part of a path. Files never change: other bytes under the same UID are another file.
    """

    def __init__(
        self,
        root: Path,
        settings: SpoolSettings | None = None,
        free: FreeSpace = free_bytes,
    ) -> None:
        self.root = root
        self._settings = settings or SpoolSettings()
        self._free = free
        self._incoming = root / "incoming"
        own_folder(root)
        for folder in (self._incoming, root / "studies", root / "jobs", root / "locks"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.pseudonyms = Pseudonyms.at(root)
        self._known: set[Path] = set()
        self._locks: set[Path] = set()

    def store(
        self, study_instance_uid: str, sop_instance_uid: str, content: bytes | Iterable[bytes]
    ) -> StoredInstance:
        """Write one instance's file (PS3.10); when this returns, it survives a power cut.

        Raises
        ------
        SpoolFull
            The disk is full, or would have less room than the floor.
        """
        pieces = (content,) if isinstance(content, bytes) else content
        self.refuse_when_full()
        temporary = self._incoming / f"{secrets.token_hex(16)}.part"
        try:
            sha256, size = _write_synced(temporary, pieces)
            folder = self.study_folder(study_instance_uid)
            name = f"{self.pseudonyms.of(sop_instance_uid)}-{sha256[:_SHA_DIGITS]}.dcm"
            self._move_in(temporary, folder / name)
        except OSError as error:
            if out_of_room(error):
                raise _full(error.strerror or "") from error
            raise
        finally:
            temporary.unlink(missing_ok=True)
        file = (folder / name).relative_to(self.root).as_posix()
        return StoredInstance(study_instance_uid, sop_instance_uid, file, sha256, size)

    def refuse_when_full(self) -> None:
        """Raise `SpoolFull` when there is less room than the floor: ask before accepting work."""
        free, floor = self.free(), self._settings.free_floor_mb * 10**6
        if free < floor:
            raise _full(f"{free / 1e6:.0f} MB free, the floor is {floor / 1e6:.0f} MB")

    def free(self) -> int:
        """Free bytes of its disk."""
        return self._free(self.root)

    def study_folder(self, study_instance_uid: str) -> Path:
        """Where the instances of a study lie, whether or not there are any."""
        name = self.pseudonyms.of(study_instance_uid)
        return self.root / "studies" / name[:2] / name

    def job_folder(self, study_instance_uid: str, revision: int) -> Path:
        """Where the work on one revision of a study lies, whether or not there is any."""
        return self.root / "jobs" / f"{self.pseudonyms.of(study_instance_uid)}-r{revision}"

    @contextmanager
    def holding(self, study_instance_uid: str) -> Iterator[None]:
        """Within, no file of the study is deleted; any number of threads and processes may hold."""
        with self._lock(self.study_folder(study_instance_uid)).open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    @contextmanager
    def clearing(self, study_folder: Path) -> Iterator[bool]:
        """Within, if it gives True, nobody else holds or clears the study of this folder."""
        with self._lock(study_folder).open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def gather(self, files: Sequence[str], folder: Path) -> Path:
        """Put exactly these files into a new folder, as links, for reading; what was there goes.

        The folder is on the spool's file system.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            source = self.root / file
            (folder / source.name).hardlink_to(source)
        return folder

    def set_aside(self, files: Iterable[str]) -> None:
        """Move files that no table knows out of the way, into `QUARANTINE`; nothing is deleted."""
        for file in files:
            path, place = self.root / file, self.root / QUARANTINE / file
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
            sync_folder(place.parent)
            with suppress(OSError):  # not empty
                path.parent.rmdir()
                self._known.discard(path.parent)

    def remove(self, files: Iterable[str]) -> None:
        """Delete stored files, and the study's folder when nothing is left in it."""
        for file in files:
            path = self.root / file
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty, or gone
                path.parent.rmdir()
                self._known.discard(path.parent)

    def clear_leftovers(self, older_than_s: float) -> int:
        """Delete the halves of files that interrupted writes left behind; how many.

        Younger ones may still be being written by another process.
        """
        before = time.time() - older_than_s
        cleared = 0
        for path in self._incoming.glob("*.part"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    cleared += 1
        return cleared

    def _lock(self, study_folder: Path) -> Path:
        """A file to lock; several studies share one, and none is ever deleted."""
        path = self.root / "locks" / study_folder.name[:2]
        if path not in self._locks:
            path.touch()
            self._locks.add(path)
        return path

    def _move_in(self, temporary: Path, place: Path) -> None:
        """Give a synced file its name, durably."""
        folder = place.parent
        while True:
            try:
                temporary.replace(place)
            except FileNotFoundError:  # of a new study, or retention has just removed it
                if not temporary.exists():
                    raise
                self._known.discard(folder)
                folder.mkdir(parents=True, exist_ok=True)
                continue
            break
        sync_folder(folder)
        if folder not in self._known:  # its own name, and that of the folder above, may be new
            sync_folder(folder.parent)
            sync_folder(folder.parent.parent)
            self._known.add(folder)


def _write_synced(path: Path, pieces: Iterable[bytes]) -> tuple[str, int]:
    """Write and sync; SHA-256 and size of what was written."""
    digest, size = hashlib.sha256(), 0
    with path.open("xb", buffering=0) as file:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
            digest.update(piece)
            size += len(piece)
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _full(found: str) -> SpoolFull:
    return SpoolFull(
        f"no room for another instance ({found})",
        expected="free space above the floor",
        action="Free space or lower the retention; the sender keeps the instance and tries again.",
    )
