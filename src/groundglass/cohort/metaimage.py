"""A MetaImage file (.mha), the format STOIC2021 comes in, as a volume."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Vector
from groundglass.core.volume import Volume
from groundglass.dicom.hounsfield import refuse_other_units, store_hu
from groundglass.dicom.limits import LIMITS
from groundglass.errors import ReadError, SettingsError

METAIMAGE_SUFFIX = ".mha"

#: Element types of integers that hold HU (MetaIO's documentation, "MET_…").
_TYPES = {"MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_FLOAT": "f4"}
#: The last key of the header; what follows is the image.
_LAST_KEY = b"ElementDataFile"
_HEADER_BYTES = 64 * 1024


def read_metaimage(path: Path) -> Volume:
    """A MetaImage file as a `Volume`.

    Its coordinates are LPS mm, as DICOM's; row i of `TransformMatrix` is the direction of the
    i-th stored axis, the fastest first.

    Parameters
    ----------
    path : Path
        `.mha`: header and image in one file.

    Raises
    ------
    ReadError
        It is damaged, or no three-dimensional image of one real number per voxel.
    AssemblyError
        Its values are not HU.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LIMITS.encoded_bytes)
    except OSError as error:
        raise _unfit(f"a MetaImage file that cannot be read ({error.strerror})") from error
    header, start = _header(data)
    geometry = _geometry(header)
    stored = _voxels(data[start:], header, geometry.shape)
    whole = stored.dtype.kind in "iu"
    hu = np.empty(geometry.shape, np.int16 if whole else np.float32)
    notes: set[str] = set()
    for target, plane in zip(hu, stored, strict=True):
        notes |= store_hu(plane, 1.0, 0.0, target)
    refuse_other_units(hu)
    return Volume(hu, geometry, notes=tuple(sorted(notes)))


def _header(data: bytes) -> tuple[dict[str, str], int]:
    """Keys and values, and where the image begins."""
    at = data.find(_LAST_KEY, 0, _HEADER_BYTES)
    end = data.find(b"\n", at) + 1
    if at < 0 or end == 0:
        raise _unfit("a file without a MetaImage header")
    lines = data[:end].decode("latin-1").splitlines()
    pairs = (line.partition("=") for line in lines)
    header = {key.strip(): value.strip() for key, _, value in pairs}
    if header.get("ObjectType", "Image") != "Image" or header[_LAST_KEY.decode()] != "LOCAL":
        raise _unfit("a MetaImage header whose image is not in the same file")
    if header.get("NDims") != "3" or header.get("ElementNumberOfChannels", "1") != "1":
        raise _unfit("a MetaImage that is no volume of one value per voxel")
    return header, end


def _geometry(header: Mapping[str, str]) -> Geometry:
    """The grid, stored axes reversed into (slice, row, column)."""
    columns, rows, slices = (int(n) for n in _numbers(header, ("DimSize",), 3))
    spacing = _numbers(header, ("ElementSpacing",), 3)
    origin = _numbers(header, ("Offset", "Position", "Origin"), 3)
    axes = np.reshape(_numbers(header, ("TransformMatrix", "Rotation", "Orientation"), 9), (3, 3))
    try:
        return Geometry(
            shape=(slices, rows, columns),
            spacing_mm=(spacing[2], spacing[1], spacing[0]),
            origin_mm=cast(Vector, origin),
            directions=cast(
                "tuple[Vector, Vector, Vector]",
                tuple(tuple(map(float, axis)) for axis in axes[::-1]),
            ),
        )
    except SettingsError as error:
        raise _unfit(f"a MetaImage with {error.found}") from error


def _numbers(header: Mapping[str, str], names: tuple[str, ...], count: int) -> tuple[float, ...]:
    """The numbers under the first of these keys that is there."""
    text = next((header[name] for name in names if name in header), "")
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        values = ()
    if len(values) != count or not np.isfinite(values).all():
        raise _unfit(f"a MetaImage header without {count} numbers as {names[0]}")
    return values


def _voxels(
    data: bytes, header: Mapping[str, str], shape: tuple[int, int, int]
) -> NDArray[np.generic]:
    kind = _TYPES.get(header.get("ElementType", ""))
    if kind is None:
        raise _unfit(f"MetaImage voxels of type {header.get('ElementType', '(none)')!r}")
    big = header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False"))
    dtype = np.dtype((">" if big == "True" else "<") + kind)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if needed > LIMITS.volume_bytes:
        raise _unfit(f"a MetaImage of {shape} voxels")
    if header.get("CompressedData", "False") == "True":
        data = _inflated(data, needed)
    if len(data) < needed:
        raise _unfit(f"{len(data)} of {needed} bytes of voxels")
    stored: NDArray[Any] = np.frombuffer(data, dtype, count=needed // dtype.itemsize)
    return stored.reshape(shape)


def _inflated(data: bytes, needed: int) -> bytes:
    """At most as many bytes as the header promises, whatever the stream claims."""
    try:
        return zlib.decompressobj().decompress(data, needed)
    except zlib.error as error:
        raise _unfit("compressed voxels that are damaged") from error


def _unfit(found: str) -> ReadError:
    return ReadError(
        found,
        expected="a complete MetaImage file (.mha) of a CT in HU",
        action="Download or convert it again.",
    )
