"""UIDs: what may be one, and the one by which other systems know this program."""

from __future__ import annotations

import re

from pydicom.uid import UID

from groundglass import __version__
from groundglass.node.dimse.associations import Implementation
from groundglass.node.dimse.clients import ClientSettings

#: PS3.5 section 9.1 forbids leading zeros too; some scanners write them, and they harm nobody.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_UID_LENGTH = 64
#: Root of this program's own UIDs: derived from a UUID (PS3.5 annex B.2), registered with nobody.
IMPLEMENTATION_CLASS_UID = UID("2.25.337758995833039673905998093499085564576")
#: Its version name has at most 16 characters (PS3.7 D.3.3.2.4).
OURS = Implementation(IMPLEMENTATION_CLASS_UID, f"GROUNDGLASS {__version__}"[:16])


def is_uid(text: str) -> bool:
    """Whether a text is a UID: digits and dots, nothing that could lead a file name elsewhere."""
    return len(text) <= _UID_LENGTH and _UID.fullmatch(text) is not None


def ourselves(ae_title: str = "GROUNDGLASS") -> ClientSettings:
    """Who we say we are to other systems.

    Raises
    ------
    SettingsError
        The AE title is none.
    """
    return ClientSettings(ae_title, OURS)
