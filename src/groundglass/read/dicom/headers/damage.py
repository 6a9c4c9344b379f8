"""What damaged DICOM files make readers raise, and what is said of them."""

from __future__ import annotations

import struct
from functools import partial

from groundglass.read.sources import DamagedFile

#: What a damaged header makes pydicom raise; RecursionError comes from endless nesting.
PARSE_ERRORS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, LookupError, EOFError, OSError,
    OverflowError, NotImplementedError, RecursionError, MemoryError, AssertionError, struct.error,
)  # fmt: skip
#: The error for a file of which something was found.
damaged = partial(
    DamagedFile,
    expected="a complete DICOM image file (PS3.10)",
    action="Export it again from the archive.",
)
