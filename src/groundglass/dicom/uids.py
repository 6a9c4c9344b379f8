"""UIDs as files have them, valid or not, and those that stand in for them (PS3.5 section 9)."""

from __future__ import annotations

import re
import uuid

from pydicom import config
from pydicom.uid import UID

#: Never changes: a file without a UID gets the same one for ever.
_NAMESPACE = uuid.UUID("0e0b3f6c-3e0c-5f0e-9a27-6d1f2c8b5a41")
_VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_LONGEST = 64


def as_uid(text: str) -> UID:
    """A UID of a file, which pydicom would warn of, quoting it, where it is not valid."""
    return UID(text, validation_mode=config.IGNORE)


def is_valid(text: str) -> bool:
    """Whether a text is a UID that other systems will take: numbers and dots, at most 64."""
    return len(text) <= _LONGEST and _VALID.fullmatch(text) is not None


def named(text: str, what: str) -> str:
    """How messages call a UID of the standard: by name; one that is not valid is not quoted.

    Parameters
    ----------
    text : str
        The UID.
    what : str
        What it is a UID of.
    """
    return as_uid(text).name if is_valid(text) else f"{what} without a valid UID"


def derived(what: str, content: bytes) -> str:
    """A UID of form 2.25 (PS3.5 B.2) that depends on some content and on nothing else."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{what} {content.hex()}').int}"
