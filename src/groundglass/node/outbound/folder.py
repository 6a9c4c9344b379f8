"""A folder as destination."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from groundglass.core.atomic_files import open_whole, sync
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryError,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
)
from groundglass.node.outbound.identity import identify, report_of
from groundglass.node.uids import is_uid
from groundglass.settings.toml import FilePath, settings

_CHUNK = 2**20
_NAME_DIGITS = 16


@settings
class FolderSettings:
    """A folder, for example one that another program watches."""

    name: str
    """What rules and the log call it."""
    path: FilePath
    """Where results go: a folder per study, named by its Study Instance UID, and in it one per
    report. It must exist, so that a missing network drive is noticed. Who may read it may read the
    results in it."""
    kind: Literal["folder"] = "folder"
    dicom_only: bool = False
    """Only the DICOM objects; else the page and the JSON too."""


class FolderDestination:
    """Copies into a folder; each file appears there whole, where it lies in the report."""

    knows_what_it_has = True

    def __init__(self, settings: FolderSettings) -> None:
        self.name = settings.name
        self.dicom_only = settings.dicom_only
        self._root = settings.path

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """Copy, file by file, each synced before it gets its name."""
        receipts = []
        places = self._places(files)
        mode = stat.S_IMODE(self._root.stat().st_mode)
        for path, target in places.items():
            try:
                _copy(path, target, mode)
            except OSError as error:
                detail = f"not written ({error.strerror or type(error).__name__})"
                receipts.append(FileReceipt.of(path, FileStatus.REFUSED, detail))
            else:
                receipts.append(FileReceipt.of(path, FileStatus.ACCEPTED, ""))
        return DeliveryReceipt(self.name, tuple(receipts))

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Read every copy back and compare."""
        places = self._places([file.path for file in receipt.files])
        same = frozenset(path for path, target in places.items() if _same(path, target))
        return Confirmation(same, f"read back: {len(same)} of {len(places)}")

    def check(self) -> CheckResult:
        """Write a file and take it away again."""
        probe = self._root / f".groundglass-{secrets.token_hex(8)}"
        try:
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as error:
            detail = f"{self._root}: {error.strerror}"
            return CheckResult(works=False, detail=detail, here=True)
        return CheckResult(works=True, detail=f"{self._root} can be written", here=True)

    def _places(self, files: Sequence[Path]) -> dict[Path, Path]:
        """Where each file of a report goes: the same report always to the same place."""
        if not self._root.is_dir():
            raise DeliveryError(
                f"no folder {self._root}",
                expected="the folder that the settings name",
                action="Mount or make it.",
            )
        if not files:
            return {}
        report = report_of(files[0])
        objects = [one for path in report.rglob("*.dcm") if (one := identify(path)) is not None]
        studies = {one.study_instance_uid for one in objects}
        study = studies.pop() if len(studies) == 1 else ""
        if not is_uid(study):
            raise DeliveryError(
                "a report that does not say which study it is of",
                expected="DICOM objects of one study among its files",
                action="Report it as a defect.",
            )
        uids = "\n".join(sorted(one.sop_instance_uid for one in objects))
        name = hashlib.sha256(uids.encode()).hexdigest()[:_NAME_DIGITS]
        return {path: self._root / study / name / path.relative_to(report) for path in files}


def _copy(source: Path, target: Path, mode: int) -> None:
    """A copy that is whole and synced, or not there; `mode` is for folders made for it."""
    _make_folders(target.parent, mode)
    with source.open("rb") as reading, open_whole(target) as writing:
        with suppress(OSError):  # a network drive decides itself who may read
            os.fchmod(writing.fileno(), mode & 0o666)
        shutil.copyfileobj(reading, writing, _CHUNK)
        sync(writing)


def _make_folders(folder: Path, mode: int) -> None:
    """Make what there is not yet, open to whom the destination is; our own files are to nobody."""
    if not folder.is_dir():
        _make_folders(folder.parent, mode)
        folder.mkdir(exist_ok=True)
        with suppress(OSError):
            folder.chmod(mode)


def _same(one: Path, other: Path) -> bool:
    try:
        return _digest(one) == _digest(other)
    except OSError:
        return False


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
