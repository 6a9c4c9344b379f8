"""A MetaImage volume (.mha, or .mhd with its voxels beside it) as a series.

The clauses cited are those of MetaIO's documentation, "MetaImage", whose own reader ITK's is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Reorientation, Vector
from groundglass.core.study import Instance, SourceKind
from groundglass.errors import ReadError, SettingsError
from groundglass.read.limits import LIMITS
from groundglass.read.packed import ANY_BITS, fill, pieces_of, unpack
from groundglass.read.sources import STREAM_ERRORS, Entry, Sources
from groundglass.read.volume_files import Stored, VolumeFile, VolumeFormat

#: Element types that hold HU ("MET_…"); MET_LONG is four bytes on every machine.
_TYPES = {
    "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4",
    "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_OTHER_MODALITIES = ("MET_MOD_MR", "MET_MOD_NM", "MET_MOD_US")
_MM = {"mm": 1.0, "?": 1.0, "um": 0.001, "cm": 10.0}
#: The last key of the header; what follows is the image.
_LAST_KEY = "ElementDataFile"
_LAST_LINE = re.compile(rb"^[ \t]*ElementDataFile[ \t]*=[^\n]*(?:\n|\Z)", re.MULTILINE)
_FIRST_LINE = re.compile(rb"\s*[A-Za-z]+[ \t]*=")
_unfit = partial(
    ReadError,
    expected="a complete MetaImage file (.mha, or .mhd with its .raw) of a CT in HU",
    action="Fetch or convert it again.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaImageFile(VolumeFile):
    """A MetaImage by its header's keys; `skip` bytes lie before its voxels, or -1: at the end."""

    header: Mapping[str, str]
    skip: int


class MetaImageFormat(VolumeFormat[MetaImageFile]):
    """`.mha`, or `.mhd` with its voxels beside it."""

    kind = SourceKind.METAIMAGE
    description = "MetaImage volume"

    def recognises(self, head: bytes) -> bool:
        """Whether a file's first bytes are a MetaImage header: its keys, whatever its name."""
        keys = head[:8192]
        return bool(_FIRST_LINE.match(head) and b"NDims" in keys and b"DimSize" in keys)

    def read(self, entry: Entry, sources: Sources, head: bytes) -> MetaImageFile:
        """A file by its header, which all its first bytes hold."""
        header, start = _header(head)
        name = header[_LAST_KEY]
        voxels, skip = Instance(entry.path, entry.member), _whole(header, "HeaderSize", 0)
        if name.upper() != "LOCAL":
            voxels = _beside(entry, sources, name)
        elif skip == 0:
            skip = start
        else:
            raise _unfit(f"a HeaderSize of {skip} with the voxels in the same file")
        if skip < -1 or skip > LIMITS.volume_bytes:
            raise _unfit(f"a HeaderSize of {skip}")
        geometry = _geometry(header)
        if _bytes_needed(header) > LIMITS.volume_bytes:
            raise _unfit(f"a MetaImage of {geometry.shape} voxels")
        _truth(header, "CompressedData")
        _rescale(header)
        return MetaImageFile(entry.path, entry.member, voxels=voxels, header=header, skip=skip)

    def geometry(self, file: MetaImageFile) -> tuple[Geometry, tuple[int, int, int]]:
        """Its grid; stored axes are counted from the slowest, the one nearest to the body's first.

        Its coordinates are LPS mm, as DICOM's; row i of `TransformMatrix` is the direction of the
        i-th stored axis, the fastest first. `AnatomicalOrientation` is not looked at, nor is it by
        ITK: several writers put RAI, whatever the matrix says.
        """
        stored = _geometry(file.header)
        slice_axis = int(np.argmax(np.abs(np.asarray(stored.directions)[:, 2])))
        first, second = (axis for axis in range(3) if axis != slice_axis)
        order = (slice_axis, first, second)
        return Reorientation(order, (False, False, False)).apply_geometry(stored), order

    def stored(self, file: MetaImageFile, order: tuple[int, int, int]) -> Stored:
        """Its voxels, as many as the header states."""
        return Stored(np.transpose(_voxels(file), order), *_rescale(file.header))


def _header(head: bytes) -> tuple[dict[str, str], int]:
    """Keys and values, and where the image begins."""
    last = _LAST_LINE.search(head)
    if last is None:
        raise _unfit("a MetaImage header without ElementDataFile")
    header: dict[str, str] = {}
    for line in head[: last.end()].decode("latin-1").splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if header.setdefault(key, value) != value:
            raise _unfit("a MetaImage header that says one thing twice, in two ways")
    if header.get("ObjectType", "Image") != "Image":
        raise _unfit("a MetaImage header of something else than an image")
    if header.get("NDims") != "3" or header.get("ElementNumberOfChannels", "1") != "1":
        raise _unfit("a MetaImage that is no volume of one value per voxel")
    if not _truth(header, "BinaryData", absent=True):
        raise _unfit("a MetaImage whose voxels are written as text")
    if header.get("Modality", "") in _OTHER_MODALITIES:
        raise _unfit(f"a MetaImage of modality {header['Modality']}, not CT")
    return header, last.end()


def _beside(entry: Entry, sources: Sources, name: str) -> Instance:
    """The file that holds the voxels, in the same folder and nowhere else."""
    if name.split()[:1] == ["LIST"] or "%" in name or len(name.split()) > 1:
        raise _unfit("a MetaImage whose slices lie in files of their own")
    if not name or "/" in name or "\\" in name or name in (".", ".."):
        raise _unfit("a MetaImage header whose voxels lie in another folder")
    found = sources.beside(entry, name)
    if found is None:
        raise _unfit("a MetaImage header whose voxels do not lie beside it")
    return found


def _geometry(header: Mapping[str, str]) -> Geometry:
    """The grid, stored axes reversed into (slice, row, column)."""
    columns, rows, slices = (int(n) for n in _numbers(header, ("DimSize",), 3))
    unit = _MM.get(header.get("DistanceUnits", "mm"))
    if unit is None:
        raise _unfit("a MetaImage in a unit of length that is not known")
    sizes = ("ElementSpacing",) if "ElementSpacing" in header else ("ElementSize",)
    spacing = [unit * size for size in _numbers(header, sizes, 3)]
    origin = [unit * place for place in _numbers(header, ("Offset", "Position", "Origin"), 3)]
    axes = np.reshape(_numbers(header, ("TransformMatrix", "Rotation", "Orientation"), 9), (3, 3))
    try:
        return Geometry(
            shape=(slices, rows, columns),
            spacing_mm=(spacing[2], spacing[1], spacing[0]),
            origin_mm=cast(Vector, tuple(origin)),
            directions=cast(
                "tuple[Vector, Vector, Vector]",
                tuple(tuple(map(float, axis)) for axis in axes[::-1]),
            ),
        )
    except SettingsError as error:
        raise _unfit(f"a MetaImage with {error.found}") from error


def _numbers(header: Mapping[str, str], names: tuple[str, ...], count: int) -> tuple[float, ...]:
    """The numbers under these keys, which are names for one thing."""
    said = {tuple(_parsed(header[name])) for name in names if name in header}
    if len(said) > 1:
        raise _unfit(f"a MetaImage header that says {names[0]} in two ways")
    values = said.pop() if said else ()
    if len(values) != count or not np.isfinite(values).all():
        raise _unfit(f"a MetaImage header without {count} numbers as {names[0]}")
    return values


def _parsed(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return []


def _whole(header: Mapping[str, str], name: str, absent: int) -> int:
    (value,) = _numbers(header, (name,), 1) if name in header else (absent,)
    if value != int(value):
        raise _unfit(f"{name} {value:g}")
    return int(value)


def _truth(header: Mapping[str, str], name: str, *, absent: bool = False) -> bool:
    if name not in header:
        return absent
    value = _TRUTHS.get(header[name].lower())
    if value is None:
        raise _unfit(f"a MetaImage header whose {name} is neither True nor False")
    return value


def _type(header: Mapping[str, str]) -> np.dtype[Any]:
    kind = _TYPES.get(header.get("ElementType", ""))
    if kind is None:
        raise _unfit(f"MetaImage voxels of type {header.get('ElementType', '(none)')[:32]!r}")
    big = _truth(
        header,
        "BinaryDataByteOrderMSB" if "BinaryDataByteOrderMSB" in header else "ElementByteOrderMSB",
    )
    return np.dtype((">" if big else "<") + kind)


def _rescale(header: Mapping[str, str]) -> tuple[float, float]:
    """What the header says stored values are to be multiplied by, and what is added."""
    slope = _numbers({"ElementToIntensityFunctionSlope": "1", **header},
                     ("ElementToIntensityFunctionSlope",), 1)[0]  # fmt: skip
    intercept = _numbers({"ElementToIntensityFunctionOffset": "0", **header},
                         ("ElementToIntensityFunctionOffset",), 1)[0]  # fmt: skip
    if slope == 0:
        raise _unfit("a MetaImage whose values are to be multiplied by 0")
    return slope, intercept


def _bytes_needed(header: Mapping[str, str]) -> int:
    return int(np.prod(_geometry(header).shape, dtype=object)) * _type(header).itemsize


def _voxels(file: MetaImageFile) -> NDArray[np.generic]:
    """Stored values, whose number must be the header's: nothing else would show a damaged one."""
    header, voxels, skip = file.header, file.voxels, file.skip
    packed, needed = _truth(header, "CompressedData"), _bytes_needed(header)
    data = np.empty(needed, np.uint8)
    try:
        with Sources() as sources, sources.stream(voxels) as stream:
            if skip == -1:  # the voxels lie at the file's end
                skip = max(0, sources.size(voxels) - needed)
            found = fill(_content(stream, skip, packed=packed), 0, data.data)
    except STREAM_ERRORS as error:
        raise _unfit(f"a MetaImage file that cannot be read ({type(error).__name__})") from error
    except ReadError as error:
        raise _unfit(f"a MetaImage file with {error.found}") from error
    if found != needed:
        raise _unfit(f"{found} bytes of voxels where the header states {needed}")
    return data.view(_type(header)).reshape(_geometry(header).shape)


def _content(stream: BinaryIO, skip: int, *, packed: bool) -> Iterator[bytes]:
    stream.seek(skip)
    return unpack(stream, ANY_BITS) if packed else pieces_of(stream)
