"""A MetaImage volume (.mha, or .mhd with its voxels beside it) as a series.

The clauses cited are those of MetaIO's documentation, "MetaImage", whose own reader ITK's is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Reorientation, Vector
from groundglass.core.study import Instance, Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, ReadError, SettingsError
from groundglass.read.hounsfield import MissingVoxels, is_exact, refuse_other_units, store_hu
from groundglass.read.limits import LIMITS
from groundglass.read.packed import ANY_BITS, fill, pieces_of, unpack
from groundglass.read.sources import STREAM_ERRORS, Entry, Sources

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


def is_metaimage(head: bytes) -> bool:
    """Whether a file's first bytes are a MetaImage header: its keys, whatever its name."""
    return bool(_FIRST_LINE.match(head) and b"NDims" in head[:8192] and b"DimSize" in head[:8192])


def read_metaimage_header(entry: Entry, sources: Sources, head: bytes) -> Instance:
    """A MetaImage file as an `Instance` whose attributes are its header and where its voxels lie.

    Parameters
    ----------
    entry : Entry
        `.mha`, or the header of a pair.
    sources : Sources
        Opens what lies beside it.
    head : bytes
        Its first 64 KiB.

    Raises
    ------
    ReadError
        It is damaged, lacks its voxels, or is no volume of one real number per voxel.
    """
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
    needed = int(np.prod(geometry.shape, dtype=object)) * _type(header).itemsize
    if needed > LIMITS.volume_bytes:
        raise _unfit(f"a MetaImage of {geometry.shape} voxels")
    _truth(header, "CompressedData")
    _rescale(header)
    return Instance(
        path=entry.path,
        member=entry.member,
        attributes={"kind": SourceKind.METAIMAGE, "header": header, "voxels": voxels,
                    "skip": skip},
    )  # fmt: skip


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
    found = sources.beside(entry.path, entry.member, name)
    if found is None:
        raise _unfit("a MetaImage header whose voxels do not lie beside it")
    return Instance(*found)


def read_metaimage_geometry(series: Series) -> tuple[Geometry, tuple[int, int, int]]:
    """Grid of a MetaImage series, and the stored axis behind each of (slice, row, column).

    Stored axes are counted from the slowest; the one nearest to the body's is the slices'.

    Its coordinates are LPS mm, as DICOM's; row i of `TransformMatrix` is the direction of the
    i-th stored axis, the fastest first. `AnatomicalOrientation` is not looked at, nor is it by
    ITK: several writers put RAI, whatever the matrix says.
    """
    stored = _geometry(cast("Mapping[str, str]", series.instances[0].attributes["header"]))
    slice_axis = int(np.argmax(np.abs(np.asarray(stored.directions)[:, 2])))
    first, second = (axis for axis in range(3) if axis != slice_axis)
    order = (slice_axis, first, second)
    return Reorientation(order, (False, False, False)).apply_geometry(stored), order


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


def read_metaimage(series: Series) -> Volume:
    """A MetaImage series as a `Volume`.

    Raises
    ------
    AssemblyError
        Its voxels are cut off, their checksum does not match, or they are not HU.
    """
    instance = series.instances[0]
    header = cast("Mapping[str, str]", instance.attributes["header"])
    geometry, order = read_metaimage_geometry(series)
    try:
        stored = np.transpose(_voxels(instance, header), order)
    except ReadError as error:
        raise AssemblyError(error.found, expected=error.expected, action=error.action) from error
    slope, intercept = _rescale(header)
    whole = stored.dtype.kind in "iu" and slope == 1.0 and is_exact(slope, intercept)
    hu = np.empty(geometry.shape, np.int16 if whole else np.float32)
    missing = MissingVoxels()
    notes: set[str] = set()
    for target, plane in zip(hu, stored, strict=True):
        missing.look(plane)
        notes |= store_hu(plane, slope, intercept, target)
    notes |= missing.notes()
    refuse_other_units(hu)
    return Volume(hu, geometry, series, tuple(sorted(notes)))


def _voxels(instance: Instance, header: Mapping[str, str]) -> NDArray[np.generic]:
    """Stored values, whose number must be the header's: nothing else would show a damaged one."""
    voxels = cast(Instance, instance.attributes["voxels"])
    skip = cast(int, instance.attributes["skip"])
    packed, dtype = _truth(header, "CompressedData"), _type(header)
    shape = _geometry(header).shape
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    data = np.empty(needed, np.uint8)
    try:
        with Sources() as sources, sources.stream(voxels.path, voxels.member) as stream:
            if skip == -1:  # the voxels lie at the file's end
                skip = max(0, sources.size(voxels.path, voxels.member) - needed)
            found = fill(_content(stream, skip, packed=packed), 0, data.data)
    except STREAM_ERRORS as error:
        raise _unfit(f"a MetaImage file that cannot be read ({type(error).__name__})") from error
    except ReadError as error:
        raise _unfit(f"a MetaImage file with {error.found}") from error
    if found != needed:
        raise _unfit(f"{found} bytes of voxels where the header states {needed}")
    return data.view(dtype).reshape(shape)


def _content(stream: BinaryIO, skip: int, *, packed: bool) -> Iterator[bytes]:
    stream.seek(skip)
    return unpack(stream, ANY_BITS) if packed else pieces_of(stream)


def _unfit(found: str) -> ReadError:
    return ReadError(
        found,
        expected="a complete MetaImage file (.mha, or .mhd with its .raw) of a CT in HU",
        action="Fetch or convert it again.",
    )
