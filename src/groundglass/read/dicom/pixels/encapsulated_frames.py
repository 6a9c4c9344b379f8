"""Where the compressed frames of an encapsulated Pixel Data lie (PS3.5 annex A.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from groundglass.errors import ReadError

#: (first byte, bytes) of each fragment of one frame.
Fragments = list[tuple[int, int]]

_ITEM = 0xFFFEE000
_DELIMITER = 0xFFFEE0DD
_ITEM_HEADER = 8  # tag and length
_damaged = partial(
    ReadError,
    expected="one or more whole fragments per frame (PS3.5 annex A.4)",
    action="Export the image again from the archive.",
)


def list_fragments(read: Callable[[int, int], bytes], offset: int, frames: int) -> list[Fragments]:
    """Fragments of each frame, found by their item headers; no pixel is read.

    Parameters
    ----------
    read : callable
        Gives the bytes at (start, length), fewer at the end of the file.
    offset : int
        First byte of the Pixel Data value: the Basic Offset Table's item.
    frames : int
        Number of frames the header states.
    """
    items: Fragments = []
    position = offset
    while len(header := read(position, _ITEM_HEADER)) == _ITEM_HEADER:
        group, element, length = struct.unpack("<HHI", header)
        tag = group << 16 | element
        if tag == _DELIMITER:
            break
        if tag != _ITEM:
            raise _damaged(f"a damaged fragment after {len(items)} sound ones")
        items.append((position + _ITEM_HEADER, length))
        position += _ITEM_HEADER + length
    if len(items) < 2:
        raise _damaged("compressed pixel data without a fragment")
    table, fragments = items[0], items[1:]
    if frames == 1:
        return [fragments]
    if table[1] == 4 * frames:
        return _by_table(struct.unpack(f"<{frames}I", read(*table)), fragments)
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    raise _damaged(f"{len(fragments)} fragments for {frames} frames and no table to sort them by")


def _by_table(offsets: tuple[int, ...], fragments: Fragments) -> list[Fragments]:
    """Fragments sorted into frames by the Basic Offset Table (PS3.5 A.4, table A.4-1)."""
    first = fragments[0][0] - _ITEM_HEADER
    starts = [start - _ITEM_HEADER - first for start, _ in fragments]
    if any(offset not in starts for offset in offsets) or list(offsets) != sorted(set(offsets)):
        raise _damaged("an offset table that does not fit its fragments")
    cuts = [starts.index(offset) for offset in offsets] + [len(fragments)]
    return [fragments[low:high] for low, high in pairwise(cuts)]
