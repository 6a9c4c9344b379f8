"""A NIfTI-1 or -2 volume as a series, if its header says where it is and its voxels are HU."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Vector
from groundglass.core.study import Instance, Series
from groundglass.core.volume import Volume
from groundglass.dicom.hounsfield import refuse_other_units, store_hu
from groundglass.dicom.limits import LIMITS
from groundglass.dicom.sources import Entry
from groundglass.errors import AssemblyError, ReadError, SettingsError

_MAGICS = (b"n+1\0", b"n+2\0", b"ni1\0")
#: Millimetres per unit (NIfTI-1 xyzt_units). Most writers leave it out and mean mm.
_UNITS = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}


def is_nifti(entry: Entry, head: bytes) -> bool:
    """Whether a file is NIfTI, by its magic, or by its name when gzip hides the magic."""
    return head[344:348] in _MAGICS or head[4:8] == b"n+2\0" or entry.name.endswith(".nii.gz")


def read_nifti_header(entry: Entry) -> Instance:
    """A NIfTI file as an `Instance` whose attributes are named as DICOM's.

    Raises
    ------
    ReadError
        It lies in an archive, is damaged, or is no volume of one real number per voxel.
    """
    if entry.member is not None:
        raise ReadError(
            "a NIfTI file in a zip archive",
            expected="the file itself",
            action="Unpack it and give the file.",
        )
    try:
        image = _load(entry.path)
        shape = tuple(int(n) for n in image.shape)
        stored = image.get_data_dtype()
    except _read_errors() as error:
        raise ReadError(
            f"a NIfTI file that cannot be read ({type(error).__name__})",
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
    if len(solid) != 3 or min(solid) < 1 or bytes_needed > LIMITS.volume_bytes:
        raise ReadError(
            f"a NIfTI image of shape {shape}",
            expected=f"one three-dimensional volume of at most {LIMITS.volume_bytes >> 20} MiB",
            action="Give one volume, without time or channel axis.",
        )
    return Instance(path=entry.path, attributes={"shape": solid})


def _load(path: Path) -> Any:
    """A file's header; its voxels stay where they are."""
    import nibabel  # noqa: PLC0415  (slow to import; only who reads NIfTI pays)

    return nibabel.load(path)


def _read_errors() -> tuple[type[Exception], ...]:
    """What a damaged file makes nibabel raise."""
    from nibabel.filebasedimages import ImageFileError  # noqa: PLC0415
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415

    return (
        ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error, MemoryError,
        OverflowError, KeyError, TypeError,
    )  # fmt: skip


def read_nifti_geometry(series: Series) -> tuple[Geometry, tuple[int, int, int]]:
    """Grid of a NIfTI series, and the stored axis behind each of (slice, row, column).

    NIfTI's coordinates are RAS+; DICOM's are LPS+: x and y change sign.

    Raises
    ------
    AssemblyError
        The header places the voxels nowhere, in two ways, or on a sheared grid.
    """
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ _affine_mm(series)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    shape = cast("tuple[int, int, int]", series.instances[0].attributes["shape"])
    try:
        axes = affine[:3, :3] / spacing
        slice_axis = int(np.argmax(np.abs(axes[2])))
        rest = [axis for axis in (2, 1, 0) if axis != slice_axis]
        order = (slice_axis, rest[0], rest[1])
        geometry = Geometry(
            shape=tuple(shape[axis] for axis in order),  # type: ignore[arg-type]
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


def _affine_mm(series: Series) -> NDArray[np.float64]:
    """(4, 4) matrix from stored index to RAS mm, if the header says it in one way."""
    image = _load(series.instances[0].path)
    header = image.header
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if sform == 0 and qform == 0:
        raise AssemblyError(
            "a NIfTI file without sform or qform",
            expected="a header that says which side is left and where the head is",
            action="Convert the DICOM files again with a tool that writes the orientation.",
        )
    try:
        with np.errstate(all="ignore"):  # what is no number is refused below
            agree = not (sform and qform) or (
                _sides(header.get_sform()) == _sides(header.get_qform())
            )
        unit = header.get_xyzt_units()[0]
    except _read_errors() as error:  # no rotation in the quaternion, not a number, no such unit
        raise AssemblyError(
            f"a NIfTI orientation or unit that cannot be read ({type(error).__name__})",
            expected="an sform or qform of finite numbers, and a unit of length",
            action="Convert the DICOM files again; nothing is made up in its place.",
        ) from error
    if not agree:
        raise AssemblyError(
            "a NIfTI file whose sform and qform disagree about which side is which",
            expected="one orientation",
            action="Convert the DICOM files again; a flipped lung is worse than none.",
        )
    if unit not in _UNITS:
        raise AssemblyError(
            f"the length unit {unit!r}", expected="mm, m or µm", action="Set xyzt_units."
        )
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _UNITS[unit]
    return affine


def _sides(affine: NDArray[np.float64]) -> tuple[str, ...]:
    import nibabel  # noqa: PLC0415  (slow to import; only who reads NIfTI pays)

    return tuple(nibabel.aff2axcodes(affine))  # type: ignore[no-untyped-call]


def read_nifti(series: Series) -> Volume:
    """A NIfTI series as a `Volume`.

    Raises
    ------
    AssemblyError
        No orientation, sheared, or voxels that are not HU; nothing is rescaled by guess.
    """
    geometry, order = read_nifti_geometry(series)
    image = _load(series.instances[0].path)
    proxy = image.dataobj
    try:
        shape = cast("tuple[int, int, int]", series.instances[0].attributes["shape"])
        stored = np.asarray(proxy.get_unscaled()).reshape(shape)
    except _read_errors() as error:
        raise AssemblyError(
            f"voxels that cannot be read ({type(error).__name__})",
            expected="a complete NIfTI file",
            action="Copy or convert it again.",
        ) from error
    stored = np.transpose(stored, order)
    slope, intercept = float(proxy.slope), float(proxy.inter)
    whole = stored.dtype.kind in "iu" and slope == 1.0 and intercept.is_integer()
    hu = np.empty(geometry.shape, np.int16 if whole else np.float32)
    notes: set[str] = set()
    if image.header.get_xyzt_units()[0] == "unknown":
        notes.add("The file states no unit of length; taken as mm.")
    for target, plane in zip(hu, stored, strict=True):
        notes |= store_hu(plane, slope, intercept, target)
    refuse_other_units(hu)
    return Volume(hu, geometry, series, tuple(sorted(notes)))
