"""A DICOM file that cannot be used, as an error that still tells what it may have been."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from groundglass.errors import ReadError

#: What a damaged header makes pydicom raise; RecursionError comes from endless nesting.
PARSE_ERRORS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, LookupError, EOFError, OSError,
    OverflowError, NotImplementedError, RecursionError, MemoryError, AssertionError, struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Uids:
    """Which object a file holds, and whose; each empty where the file does not say.

    Parameters
    ----------
    object_class, instance, study, series : str
        SOP Class UID, SOP Instance UID, Study Instance UID, Series Instance UID.
    """

    object_class: str
    instance: str
    study: str
    series: str


class DamagedFile(ReadError):  # noqa: N818  (reads as what it says)
    """A DICOM file that cannot be used though it should: an image may be missing without it.

    Its `uids` say which, as far as they could be read.
    """

    uids: Uids | None = None


def damaged(found: str) -> DamagedFile:
    """The error for a file of which this was found.

    Parameters
    ----------
    found : str
        What is wrong with it.
    """
    return DamagedFile(
        found,
        expected="a complete DICOM image file (PS3.10)",
        action="Export it again from the archive.",
    )
