"""Streams packed by deflate, unpacked in pieces to their very end, where their checksums are.

A stream is believed only after its end: what lies before a damaged checksum may be anything.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from typing import BinaryIO

from groundglass.errors import ReadError

GZIP = b"\x1f\x8b"
#: What `zlib` calls the wrapper of gzip (RFC 1952: CRC-32 and length at the end), and either that
#: or its own (RFC 1950: Adler-32).
GZIP_BITS, ANY_BITS = 31, 47
_PIECE = 2**20


def start_of_gzip(head: bytes, most: int = 2**16) -> bytes:
    """As much of a gzip file's content as its first bytes give, and no more than `most`."""
    try:
        return zlib.decompressobj(GZIP_BITS).decompress(head, most)
    except zlib.error:
        return b""


def unpack_gzip(stream: BinaryIO) -> Iterator[bytes]:
    """The content of a gzip file of one or more members (RFC 1952 section 2.2).

    Raises
    ------
    ReadError
        A checksum or length does not match, it is cut off, or other bytes follow its last member;
        zeros, which tapes and copies by block leave, may.
    """
    rest = yield from unpack(stream, GZIP_BITS)
    while rest := rest.lstrip(b"\0") or _not_zero(stream):
        rest = yield from unpack(stream, GZIP_BITS, rest)


def _not_zero(stream: BinaryIO) -> bytes:
    """The bytes of the rest of a stream from the first that is not zero."""
    while piece := stream.read(_PIECE):
        if piece := piece.lstrip(b"\0"):
            return piece
    return b""


def unpack(stream: BinaryIO, bits: int, packed: bytes = b"") -> Generator[bytes, None, bytes]:
    """The content of one deflated stream; returns the bytes read beyond its end.

    `bits` is its wrapper, `GZIP_BITS` or `ANY_BITS`; `packed` what has been read of it before. A
    ReadError where its checksum does not match, or it is cut off.
    """
    inflater = zlib.decompressobj(bits)
    while not inflater.eof:
        packed = packed or stream.read(_PIECE)
        if not packed:
            raise damaged_stream("it is cut off")
        try:
            piece = inflater.decompress(packed, _PIECE)
        except zlib.error as error:
            raise damaged_stream(_cause(error)) from error
        packed = inflater.unconsumed_tail
        if piece:
            yield piece
    return inflater.unused_data


def fill(pieces: Iterator[bytes], skip: int, target: memoryview) -> int:
    """Write content without its first `skip` bytes into `target`, and run on to its end.

    Returns how many bytes there were after `skip`: fewer than the target's where it is not full.
    """
    count = -skip
    for piece in pieces:
        start = max(0, -count)
        at = count + start
        part = memoryview(piece)[start : start + max(0, len(target) - at)]
        target[at : at + len(part)] = part
        count += len(piece)
    return count


def drain(pieces: Iterator[bytes]) -> None:
    """Run through content to its end, where a damaged stream says so."""
    for _ in pieces:
        pass


def pieces_of(stream: BinaryIO) -> Iterator[bytes]:
    """A stream that is not packed, in pieces."""
    while piece := stream.read(_PIECE):
        yield piece


def _cause(error: zlib.error) -> str:
    text = str(error)
    if "incorrect data check" in text or "incorrect length check" in text:
        return "its checksum does not match"
    return "its data make no sense"


def damaged_stream(cause: str) -> ReadError:
    """That packed data are damaged, and how."""
    return ReadError(
        f"compressed data that are damaged: {cause}",
        expected="a file as it was written",
        action="Fetch, copy or export it again.",
    )
