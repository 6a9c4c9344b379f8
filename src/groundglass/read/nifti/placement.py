"""Where a NIfTI header places its voxels, if all that it says of it is one thing.

It may say it three times: an affine (sform), a rotation with an offset (qform), and the voxels'
sizes (pixdim), which the qform uses (nifti1.h, "3D image orientation and location in space").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import AssemblyError

#: Relative difference of voxel sizes that rounding may leave: headers hold float32 (1e-7), but
#: writers pass sizes on with four or five digits. Our choice: over 500 voxels half of one.
_SIZE_TOLERANCE = 1e-3
#: Angle between axes that rounding may leave, in radians. The qform's fourth number is the root of
#: 1 minus the others' squares; near 0, as for axes along the body, float32 leaves it uncertain by
#: sqrt(3 × 1.2e-7), and the angle by twice that (1.2e-3).
_ANGLE_TOLERANCE = 2e-3
#: Distance between the two places of the first voxel, as a part of the smallest voxel side.
_PLACE_TOLERANCE = 0.5


def one_affine(header: Any, unit_mm: float) -> NDArray[np.float64]:
    """The matrix (4, 4) from stored index to RAS mm.

    Parameters
    ----------
    header : nibabel Nifti1Header or Nifti2Header
        Unchecked: as the file has it.
    unit_mm : float
        Millimetres per unit of the header.

    Raises ------ AssemblyError It says nothing, or two things. ValueError, HeaderDataError What it
    says is no number or no rotation.
    """
    sizes = np.array(header["pixdim"][1:4], np.float64)
    if not np.isfinite(sizes).all():
        raise ValueError("pixdim is not a number")
    said = _said(header, sizes)
    if not said:
        raise AssemblyError(
            "a NIfTI file without sform or qform",
            expected="a header that says which side is left and where the head is",
            action="Convert the DICOM files again with a tool that writes the orientation.",
        )
    for affine in said.values():
        if not np.isfinite(affine).all():
            raise ValueError("an affine that is not a number")
        affine[:3] *= unit_mm
    if len(said) == 2:
        _refuse(_difference(*said.values()), "sform and qform")
    (name, first), *_ = said.items()
    if name == "sform" and (sizes != 0).any():  # all zero: not stated
        own = np.linalg.norm(first[:3, :3], axis=0)
        _refuse(_sizes_differ(own, np.abs(sizes) * unit_mm), "sform and pixdim")
    return first


def _said(header: Any, sizes: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The transforms that are said to hold (their code is not 0), the sform first."""
    said: dict[str, NDArray[np.float64]] = {}
    if int(header["sform_code"]) != 0:
        said["sform"] = np.array(header.get_sform(), np.float64)
    if int(header["qform_code"]) == 0:
        return said
    hand = float(header["pixdim"][0])
    if (sizes <= 0).any() or hand not in (-1.0, 0.0, 1.0):
        raise AssemblyError(
            f"a NIfTI qform with voxel sizes of {_times(sizes)} and a qfac of {hand:g}",
            expected="sizes above 0 and a qfac of 1 or -1",
            action="Convert the DICOM files again.",
        )
    whole = header.copy()
    whole["pixdim"][0] = hand or 1.0  # 0 means 1 (nifti1.h)
    said["qform"] = np.array(whole.get_qform(), np.float64)
    return said


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> str | None:
    """In what two affines in mm differ beyond rounding."""
    axes, sizes = [], []
    for affine in (one, other):
        sizes.append(np.linalg.norm(affine[:3, :3], axis=0))
        with np.errstate(all="ignore"):  # an axis of no length is refused as no grid
            axes.append(affine[:3, :3] / sizes[-1])
    cosines = np.sum(axes[0] * axes[1], axis=0)
    sines = np.linalg.norm(np.cross(axes[0], axes[1], axis=0), axis=0)
    angle = float(np.max(np.arctan2(sines, cosines)))
    if angle > np.pi / 4:
        return "which side is which"
    if angle > _ANGLE_TOLERANCE:
        return f"the directions of the axes ({np.degrees(angle):.1f}° apart)"
    differ = _sizes_differ(*sizes)
    if differ is not None:
        return differ
    distance = float(np.linalg.norm(one[:3, 3] - other[:3, 3]))
    if distance > _PLACE_TOLERANCE * float(sizes[0].min()):
        return f"the place of the first voxel ({distance:.1f} mm apart)"
    return None


def _sizes_differ(one: NDArray[np.float64], other: NDArray[np.float64]) -> str | None:
    if (np.abs(one - other) <= _SIZE_TOLERANCE * np.maximum(one, other)).all():
        return None
    return f"the voxels' size ({_times(one)} and {_times(other)} mm)"


def _times(sizes: NDArray[np.float64]) -> str:
    return " × ".join(f"{size:.4g}" for size in sizes)


def _refuse(difference: str | None, names: str) -> None:
    if difference is not None:
        raise AssemblyError(
            f"a NIfTI file whose {names} disagree about {difference}",
            expected="one placement",
            action="Convert the DICOM files again; a flipped or stretched lung is worse than none.",
        )
