"""A NIfTI-1 or -2 volume as a series, if its header says where it is and its voxels are HU.

What a file is, its content says: names and endings mean nothing, but for the two files of a pair.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Vector
from groundglass.core.study import Instance, SourceKind
from groundglass.errors import AssemblyError, InputError, ReadError, SettingsError
from groundglass.read.limits import LIMITS
from groundglass.read.nifti.placement import one_affine
from groundglass.read.packed import GZIP, drain, fill, pieces_of, start_of_gzip, unpack_gzip
from groundglass.read.sources import STREAM_ERRORS, Entry, Sources
from groundglass.read.volume_files import Stored, VolumeFile, VolumeFormat

_SINGLE, _PAIR = (b"n+1\0", b"n+2\0"), (b"ni1\0", b"ni2\0")
_HEADER_BYTES = {1: 348, 2: 540}
#: Millimetres per unit (NIfTI-1 xyzt_units). Most writers leave it out and mean mm.
_UNITS = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
#: What nibabel would tell of a header goes into a refusal, not to whoever listens.
_UNHEARD = logging.Logger("groundglass.nifti")
_UNHEARD.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiFile(VolumeFile):
    """A NIfTI volume by its header: its stored shape, and the header's bytes."""

    shape: tuple[int, int, int]
    header: bytes


class NiftiFormat(VolumeFormat[NiftiFile]):
    """NIfTI-1 and -2, in one file or two, packed or not."""

    kind = SourceKind.NIFTI
    description = "NIfTI volume"

    def recognises(self, head: bytes) -> bool:
        """Whether a file, or what a gzip file holds, is NIfTI, by its magic."""
        return _version(_unpacked(head)) is not None

    def read(self, entry: Entry, sources: Sources, head: bytes) -> NiftiFile:
        """A file by its header; of a pair, the header with its voxels beside it."""
        start = _unpacked(head)
        whole = Instance(entry.path, entry.member)
        with _blaming_damage(whole, sources):
            version = _version(start) or 1
            header = start[: _HEADER_BYTES[version]]
            shape = _shape(header)
            voxels = _beside(entry, sources) if _is_pair(start) else whole
        return NiftiFile(entry.path, entry.member, voxels=voxels, shape=shape, header=header)

    def geometry(self, file: NiftiFile) -> tuple[Geometry, tuple[int, int, int]]:
        """Its grid; NIfTI's coordinates are RAS+, DICOM's are LPS+: x and y change sign."""
        with Sources() as sources, _blaming_damage(file, sources):
            return _geometry(file)

    def stored(self, file: NiftiFile, order: tuple[int, int, int]) -> Stored:
        """Its voxels, and their scale (scl_slope and scl_inter)."""
        header = _parse(file.header)
        try:
            values = np.transpose(_stored(file, header), order)
            slope, intercept = header.get_slope_inter()
            unit = header.get_xyzt_units()[0]
        except _header_errors() as error:
            raise AssemblyError(
                f"a NIfTI scale that cannot be read ({type(error).__name__})",
                expected="finite numbers as scl_slope and scl_inter",
                action="Convert the DICOM files again.",
            ) from error
        if slope is None:  # 0: not to be scaled (nifti1.h)
            slope, intercept = 1.0, 0.0
        note = "The file states no unit of length; taken as mm."
        return Stored(values, slope, intercept, frozenset((note,) if unit == "unknown" else ()))


def _unpacked(head: bytes) -> bytes:
    return start_of_gzip(head) if head.startswith(GZIP) else head


def _version(start: bytes) -> int | None:
    """1 or 2 by the magic (NIfTI-1: byte 344; NIfTI-2: byte 4)."""
    if start[4:8] in (_SINGLE[1], _PAIR[1]):
        return 2
    return 1 if start[344:348] in (_SINGLE[0], _PAIR[0]) else None


def _is_pair(start: bytes) -> bool:
    """Whether the voxels lie in a file of their own, by the magic."""
    return start[344:348] == _PAIR[0] or start[4:8] == _PAIR[1]


def _beside(entry: Entry, sources: Sources) -> Instance:
    """The file with the voxels of a pair: .img beside .hdr, either of them packed or not."""
    name = sources.name(entry)
    stem = PurePosixPath(name.removesuffix(".gz").removesuffix(".GZ")).stem
    for ending in (".img", ".IMG", ".img.gz", ".IMG.GZ"):
        found = sources.beside(entry, stem + ending)
        if found is not None:
            return found
    raise ReadError(
        "a NIfTI header whose voxels (.img) do not lie beside it",
        expected="both files of the pair, in one folder",
        action="Give the folder with both.",
    )


def _shape(header: bytes) -> tuple[int, int, int]:
    """Stored shape, if it is one volume of numbers within the limits."""
    try:
        parsed = _parse(header)
        shape = tuple(int(n) for n in parsed.get_data_shape())
        stored = parsed.get_data_dtype()
        offset = int(parsed.get_data_offset())
    except _header_errors() as error:
        raise ReadError(
            f"a NIfTI header that cannot be read ({type(error).__name__})",
            expected="a complete NIfTI-1 or NIfTI-2 file",
            action="Convert the study again, or give its DICOM files.",
        ) from error
    if stored.kind not in "iuf":
        raise ReadError(
            f"a NIfTI image whose voxels are {stored}",
            expected="one real number per voxel",
            action="Give the CT itself, not a colour or complex image.",
        )
    solid = shape[:3] + tuple(n for n in shape[3:] if n != 1)
    bytes_needed = int(np.prod(shape, dtype=object)) * stored.itemsize
    in_limits = bytes_needed <= LIMITS.volume_bytes and 0 <= offset <= LIMITS.volume_bytes
    if len(solid) != 3 or min(solid) < 1 or not in_limits:
        raise ReadError(
            f"a NIfTI image of shape {shape}",
            expected=f"one three-dimensional volume of at most {LIMITS.volume_bytes >> 20} MiB",
            action="Give one volume, without time or channel axis.",
        )
    return solid


def _parse(header: bytes) -> Any:
    """A header as nibabel reads it, its faults neither mended nor told."""
    import nibabel  # noqa: PLC0415  (slow to import; only who reads NIfTI pays)

    pair = _is_pair(header)
    kinds: dict[tuple[int, bool], Any] = {
        (1, False): nibabel.Nifti1Header,
        (1, True): nibabel.nifti1.Nifti1PairHeader,
        (2, False): nibabel.Nifti2Header,
        (2, True): nibabel.nifti2.Nifti2PairHeader,
    }
    kind = kinds[_version(header) or 1, pair]
    kind(header, check=False).check_fix(logger=_UNHEARD)  # raises where it makes no sense at all
    return kind(header, check=False)


def _header_errors() -> tuple[type[Exception], ...]:
    """What a damaged header makes nibabel raise."""
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415
    from nibabel.wrapstruct import WrapStructError  # noqa: PLC0415

    return (HeaderDataError, WrapStructError, ValueError, OverflowError, KeyError, TypeError)


@contextmanager
def _blaming_damage(voxels: Instance, sources: Sources) -> Iterator[None]:
    """Whatever is wrong with a damaged file, the damage is the reason."""
    try:
        yield
    except InputError as error:
        try:
            with sources.stream(voxels) as stream:
                drain(_content(stream))
        except (ReadError, *STREAM_ERRORS) as damage:
            cause = _damaged(damage)
            kind = AssemblyError if isinstance(error, AssemblyError) else ReadError
            raise kind(cause.found, expected=cause.expected, action=cause.action) from error
        raise


def _content(stream: Any) -> Iterator[bytes]:
    """A file's content, unpacked where it is gzip."""
    packed = stream.read(2) == GZIP
    stream.seek(0)
    return unpack_gzip(stream) if packed else pieces_of(stream)


def _damaged(damage: Exception) -> ReadError:
    if isinstance(damage, ReadError):
        return ReadError(
            f"a NIfTI file with {damage.found}", expected=damage.expected, action=damage.action
        )
    return ReadError(
        f"a NIfTI file that cannot be read ({type(damage).__name__})",
        expected="a complete NIfTI-1 or NIfTI-2 file",
        action="Fetch, copy or convert it again.",
    )


def _geometry(file: NiftiFile) -> tuple[Geometry, tuple[int, int, int]]:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ _affine_mm(file)
    with np.errstate(all="ignore"):  # what is no number is refused below
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
    try:
        axes = affine[:3, :3] / spacing
        slice_axis = int(np.argmax(np.abs(axes[2])))
        rest = [axis for axis in (2, 1, 0) if axis != slice_axis]
        order = (slice_axis, rest[0], rest[1])
        geometry = Geometry(
            shape=tuple(file.shape[axis] for axis in order),  # type: ignore[arg-type]
            spacing_mm=cast(Vector, tuple(float(spacing[axis]) for axis in order)),
            origin_mm=cast(Vector, tuple(float(v) for v in affine[:3, 3])),
            directions=tuple(tuple(float(c) for c in axes[:, axis]) for axis in order),  # type: ignore[arg-type]
        )
    except (SettingsError, ValueError) as error:
        raise AssemblyError(
            "a NIfTI affine that is no regular right-angled grid",
            expected="axes at right angles with a positive spacing",
            action="Resample the volume without shear, or give the DICOM files.",
        ) from error
    return geometry, order


def _affine_mm(file: NiftiFile) -> NDArray[np.float64]:
    """(4, 4) matrix from stored index to RAS mm, if the header says it in one way."""
    header = _parse(file.header)
    try:
        unit = header.get_xyzt_units()[0]
        if unit in _UNITS:
            return one_affine(header, _UNITS[unit])
    except _header_errors() as error:  # no such unit, no rotation in the quaternion, not a number
        raise AssemblyError(
            f"a NIfTI orientation or unit that cannot be read ({type(error).__name__})",
            expected="an sform or qform of finite numbers, and a unit of length",
            action="Convert the DICOM files again; nothing is made up in its place.",
        ) from error
    raise AssemblyError(
        f"the length unit {unit!r}", expected="mm, m or µm", action="Set xyzt_units."
    )


def _stored(file: NiftiFile, header: Any) -> NDArray[Any]:
    """Stored values in stored order of axes; mapped where they lie plain in a file."""
    shape, voxels = file.shape, file.voxels
    dtype, offset = header.get_data_dtype(), int(header.get_data_offset())
    if not file.used:  # after the header and four more bytes
        offset = max(offset, header.sizeof_hdr + 4)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    try:
        with Sources() as sources, sources.stream(voxels) as stream:
            packed = stream.read(2) == GZIP
            stream.seek(0)
            if voxels.member is None and not packed:
                found = sources.size(voxels) - offset
                if found < needed:
                    raise _cut_off(found, needed)
                return np.memmap(stream, dtype, "r", offset, shape, order="F")
            data = np.empty(needed, np.uint8)
            found = fill(_content(stream), offset, data.data)
            if found < needed:
                raise _cut_off(found, needed)
    except (ReadError, *STREAM_ERRORS) as error:
        raise _damaged(error) from error
    return np.reshape(data.view(dtype), shape, order="F")


def _cut_off(found: int, needed: int) -> ReadError:
    return ReadError(
        f"{max(found, 0)} of {needed} bytes of voxels",
        expected="a complete NIfTI file",
        action="Fetch, copy or convert it again.",
    )
