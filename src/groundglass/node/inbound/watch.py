"""A watched folder: DICOM files put there are taken in and gone from there."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import NonNegativeFloat, PositiveFloat

from groundglass.errors import GroundglassError, SettingsError
from groundglass.node.inbound.header_scan import Unfit
from groundglass.node.inbound.importing import import_file
from groundglass.node.inbound.instances import InstanceSink
from groundglass.node.logs import node_log
from groundglass.settings.toml import FilePath, settings

_LOG = node_log("watch")
_OWN = ".groundglass"


@settings
class WatchSettings:
    """A folder to take files from."""

    path: FilePath
    """The folder, with all below it but what begins with a dot. Files taken in are deleted from it;
    others are moved to .groundglass/refused in it, each with its reason beside it."""
    source: str = "FOLDER"
    """What rules and the job table call it, in place of an AE title."""
    quiet_s: NonNegativeFloat = 10.0
    """A file that has not changed for so long is whole, in s. 10. Writers that rename a finished
    file into place may use 0."""
    poll_s: PositiveFloat = 5.0
    """How often it is looked at, in s. 5."""


class FolderWatch:
    """Looks at a folder again and again, in a thread of its own.

    A file is first moved aside under a name of ours, which only one process can do, and deleted
    when the sink has it: what is killed between takes it in again, which is harmless.
    """

    def __init__(
        self,
        settings: WatchSettings,
        sink: InstanceSink,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._now = now
        self._taking = settings.path / _OWN / "taking"
        self._refused = settings.path / _OWN / "refused"
        self._seen: dict[Path, tuple[int, int, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="folder watch", daemon=True)

    def start(self) -> None:
        """Begin to watch.

        Raises
        ------
        SettingsError
            The folder cannot be used.
        """
        try:
            for folder in (self._taking, self._refused):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"a folder {self._settings.path} that cannot be watched ({error.strerror})",
                expected="a folder this user may write to",
                action="Correct watch.path, or the folder's permissions.",
            ) from error
        self._thread.start()

    def stop(self) -> None:
        """End after the file in hand."""
        self._stop.set()
        self._thread.join()

    def look_once(self) -> int:
        """Take in every file that is whole; how many there were.

        Raises
        ------
        SpoolFull
            There is no room; what is not taken in stays.
        """
        left = sorted(self._taking.iterdir()) if self._taking.is_dir() else []
        taken = sum(self._take(path) for path in left)
        for path in self._whole():
            if self._stop.is_set():
                break
            aside = self._taking / secrets.token_hex(16)
            with suppress(FileNotFoundError):  # another process was faster
                path.rename(aside)
                self._seen.pop(path, None)
                taken += self._take(aside)
        return taken

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                taken = self.look_once()
                if taken:
                    _LOG.info("files taken in", files=taken)
            except (GroundglassError, OSError) as error:
                _LOG.warning("watched folder not read", error=type(error).__name__)
            except Exception:  # noqa: BLE001  (a defect, or no thread to be had: it goes on)
                _LOG.exception("watched folder not read")
            self._stop.wait(self._settings.poll_s)

    def _whole(self) -> list[Path]:
        """Files that have not changed for the quiet time."""
        now = self._now()
        seen: dict[Path, tuple[int, int, float]] = {}
        whole = []
        for path in self._files():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            known = self._seen.get(path)
            same = known is not None and known[:2] == (status.st_size, status.st_mtime_ns)
            since = known[2] if known is not None and same else now
            seen[path] = (status.st_size, status.st_mtime_ns, since)
            if now - since >= self._settings.quiet_s:
                whole.append(path)
        self._seen = seen
        return whole

    def _files(self) -> Iterator[Path]:
        """Regular files below the folder; links are not followed."""
        for folder, folders, names in os.walk(self._settings.path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                if not name.startswith(".") and path.is_file() and not path.is_symlink():
                    yield path

    def _take(self, path: Path) -> bool:
        """Take one file in that was moved aside; whether it was fit."""
        try:
            with path.open("rb") as file:
                import_file(file, self._settings.source, self._sink)
        except Unfit as error:
            path.rename(self._refused / path.name)
            (self._refused / f"{path.name}.txt").write_text(f"{error}\n", "utf-8")
            _LOG.info("file refused", reason=str(error))
            return False
        path.unlink()
        return True
