"""Made containers for tests: TIFF by its fields, NIfTI by its header, the ways bits are turned."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from made_ct import SPACING_MM

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 16: 8}
_FORMS = {1: "B", 3: "H", 4: "I", 16: "Q"}
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
DESCRIPTION, OFFSETS, ORIENTATION, SAMPLES, COUNTS, SAMPLE_FORMAT = 270, 273, 274, 277, 279, 339
#: RAS affine of an array indexed (toward left, toward back, toward head).
LPS_IN_RAS = np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0])


def tiff(
    pixels: NDArray[np.generic],
    fields: dict[int, object] | None = None,
    *,
    order: str = "<",
    big: bool = False,
    without: Sequence[int] = (),
) -> bytes:
    """A TIFF file of one page, one strip; `fields` replace or add what it says of itself."""
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    said: dict[int, object] = {
        WIDTH: pixels.shape[1], LENGTH: pixels.shape[0], BITS: pixels.dtype.itemsize * 8,
        COMPRESSION: 1, PHOTOMETRIC: 1, OFFSETS: 0, SAMPLES: 1, COUNTS: len(data),
        SAMPLE_FORMAT: {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind],
    }  # fmt: skip
    said = {**said, **(fields or {})}
    for tag in without:
        said.pop(tag, None)
    word, head = ("Q", 16) if big else ("I", 8)
    if said.get(OFFSETS) == 0:
        said[OFFSETS] = head
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    magic += struct.pack(order + "HH", 8, 0) if big else b""
    entries, extra = [], b""
    at_extra = head + len(data)
    for tag, value in sorted(said.items()):
        kind, raw, count = _field(value, order, tag)
        if len(raw) > struct.calcsize(word):
            entries.append((tag, kind, count, struct.pack(order + word, at_extra + len(extra))))
            extra += raw
        else:
            entries.append((tag, kind, count, raw.ljust(struct.calcsize(word), b"\0")))
    directory = struct.pack(order + ("Q" if big else "H"), len(entries))
    for tag, kind, count, raw in entries:
        directory += struct.pack(order + "HH" + word, tag, kind, count) + raw
    directory += struct.pack(order + word, 0)
    start = struct.pack(order + word, at_extra + len(extra))
    return magic + start + data + extra + directory


def _field(value: object, order: str, tag: int) -> tuple[int, bytes, int]:
    if isinstance(value, str):
        raw = value.encode() + b"\0"
        return 2, raw, len(raw)
    values = value if isinstance(value, tuple) else (value,)
    kind = 3 if tag not in (WIDTH, LENGTH, OFFSETS, COUNTS) else 4
    raw = b"".join(struct.pack(order + _FORMS[kind], one) for one in values)
    return kind, raw, len(values)


def nifti_bytes(hu: NDArray[np.generic], affine: NDArray[np.float64] = LPS_IN_RAS) -> bytearray:
    """A NIfTI-1 file with sform and qform of (slice, row, column) HU."""
    image = nibabel.Nifti1Image(np.ascontiguousarray(hu.transpose(2, 1, 0)), affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    return bytearray(image.to_bytes())


def metaimage(hu: NDArray[np.generic], packed: bytes | None = None, **changes: str) -> bytes:
    """A MetaImage file of (slice, row, column) HU, its voxels plain unless given packed."""
    slices, rows, columns = hu.shape
    header = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False", "CompressedData": str(packed is not None),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "0 0 0",
        "ElementSpacing": f"{SPACING_MM[2]} {SPACING_MM[1]} {SPACING_MM[0]}",
        "DimSize": f"{columns} {rows} {slices}", "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL", **changes,
    }  # fmt: skip
    last = header.pop("ElementDataFile")
    text = "".join(f"{key} = {value}\n" for key, value in header.items())
    text += f"ElementDataFile = {last}\n"
    voxels = hu.astype("<i2").tobytes() if packed is None else packed
    return text.encode() + (voxels if last == "LOCAL" else b"")


def turn_a_bit(content: bytes, rng: random.Random) -> bytes:
    """The content with one bit turned round."""
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def write(path: Path, content: bytes) -> Path:
    """A file with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
