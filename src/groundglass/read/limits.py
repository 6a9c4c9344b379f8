"""How much of an input is believed before it is looked at.

An input comes from outside and may be hostile: a 2 MB deflate stream can claim 4 GB, a header can
ask for a picture of 65535 × 65535. Every size is compared with these limits before memory is
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Upper bounds on what one input may ask for."""

    files: int = 50_000
    """Files or zip members looked at. A whole-body thin-slice study with several reconstructions is
    near 10 000."""
    files_of_studies: int = 1_000_000
    """Files looked at where an input may hold many studies: two thousand of 500 slices."""
    header_bytes: int = 32 * 2**20
    """Bytes of a file, after inflating, within which the header must end. An enhanced CT of 2 000
    frames has a header of some 10 MiB."""
    side_pixels: int = 4096
    """Rows or columns of one image. CT matrices end at 2048."""
    frames: int = 10_000
    """Frames of one multi-frame object."""
    volume_bytes: int = 3 * 2**30
    """Bytes of one decoded series. 1 600 slices of 1024 × 1024 at 16 bit."""
    encoded_bytes: int = 2**30
    """Bytes of one stored file that is read whole (an image, a compressed frame)."""


#: The limits in force. They protect the machine; they are no matter of taste.
LIMITS = ReadLimits()
