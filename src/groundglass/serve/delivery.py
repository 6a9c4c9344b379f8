"""Results to where they are wanted: taken file by file, then confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from groundglass.errors import GroundglassError


class DeliveryError(GroundglassError):
    """A destination could not be reached or spoke no sense; worth another try later."""


class FileStatus(StrEnum):
    """What became of one file at one destination."""

    ACCEPTED = "accepted"  # taken (C-STORE 0x0000, HTTP 200), not yet confirmed
    WARNING = "warning"  # taken with a remark (0xBxxx, HTTP 202); counts as taken
    REFUSED = "refused"  # not taken; tried again
    CONFIRMED = "confirmed"  # committed to, or read back


#: Taken, whether or not confirmed yet.
TAKEN = frozenset({FileStatus.ACCEPTED, FileStatus.WARNING, FileStatus.CONFIRMED})


@dataclass(frozen=True, slots=True)
class FileReceipt:
    """What a destination said of one file.

    Parameters
    ----------
    path : Path
        The file.
    status : FileStatus
        Accepted, warning or refused.
    detail : str
        The status in the destination's words (`0xB000`, `HTTP 409`), without patient identifiers.
    sop_class_uid, sop_instance_uid : str
        What it is; empty for what is not DICOM.
    """

    path: Path
    status: FileStatus
    detail: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """What a destination said of each file it was given, in their order.

    Parameters
    ----------
    destination : str
        Its name.
    files : tuple of FileReceipt
        One per file; also for those that an association cut short left unsent (refused).
    """

    destination: str
    files: tuple[FileReceipt, ...]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Which of the files taken are there for certain.

    Parameters
    ----------
    confirmed : frozenset of Path
        Committed to by the destination, or read back from it.
    detail : str
        How that was found out, and what was wrong with the others.
    """

    confirmed: frozenset[Path]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether a destination works.

    Parameters
    ----------
    works : bool
        Everything needed for delivering and confirming was tried and worked.
    detail : str
        What was tried and seen.
    """

    works: bool
    detail: str


class Destination(Protocol):
    """Where results go: a PACS, a DICOMweb server, a folder, a webhook.

    Implementations never delete anything and never change what is there. Delivering a file twice
    is harmless, since its UIDs come from its content.
    """

    @property
    def name(self) -> str:
        """As the settings call it."""
        ...

    @property
    def dicom_only(self) -> bool:
        """Whether it takes DICOM files only; else it gets the page and the JSON too."""
        ...

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """Send files; some may be taken and others not.

        Raises
        ------
        DeliveryError
            None could be sent.
        """
        ...

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Ask whether what was taken is there (storage commitment, C-FIND, QIDO, reading back).

        Raises
        ------
        DeliveryError
            It could not be asked.
        """
        ...

    def check(self) -> CheckResult:
        """Try whether it works, without sending a result; raises nothing."""
        ...
