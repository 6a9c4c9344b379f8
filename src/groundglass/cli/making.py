"""The whole of `groundglass phantom`: make a synthetic study and write it."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from groundglass.cli.console import Terminal, spinner
from groundglass.cli.writing import filling
from groundglass.core.geometry import Geometry
from groundglass.phantom import Phantom, PhantomSettings, make_phantom, write_dicom_series

#: NIfTI's patient axes are RAS+, DICOM's are LPS+.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def make(settings: PhantomSettings, out: Path, truth: Path | None) -> None:
    """Write a synthetic study and its truth, both or neither, and say what it is.

    Parameters
    ----------
    settings : PhantomSettings
        What to make.
    out : Path
        Folder for the DICOM files.
    truth : Path or None
        Folder for the true masks.

    Raises
    ------
    ReportError
        A folder is not empty or cannot be written.
    """
    with filling(out):
        with spinner("Making a synthetic patient"):
            phantom = make_phantom(settings)
            files = write_dicom_series(phantom, out)
        if truth is not None:
            with filling(truth):
                write_truth(phantom, truth)
    terminal = Terminal()
    what = settings.label + ("" if settings.label == "healthy" else f" of {settings.severity:g}")
    terminal.print(f"{len(files)} DICOM files of a synthetic study in {out}")
    terminal.print(f"{phantom.volume!r}: {what}, seed {settings.seed}")
    if truth is not None:
        terminal.print(f"True masks in {truth}")


def write_truth(phantom: Phantom, directory: Path) -> None:
    """Lung and lesion masks as NIfTI, on the grid of the DICOM series."""
    for name, mask in (("lung", phantom.lung), ("lesion", phantom.lesion)):
        image = _nifti(mask, phantom.volume.geometry)
        nibabel.save(image, directory / f"{name}.nii.gz")


def _nifti(mask: NDArray[np.bool_], geometry: Geometry) -> nibabel.Nifti1Image:
    """A mask as NIfTI stores it: (column, row, slice)."""
    affine = _LPS_TO_RAS @ geometry.affine[:, [2, 1, 0, 3]]
    voxels = mask.transpose(2, 1, 0).astype(np.uint8)
    return nibabel.Nifti1Image(voxels, affine)  # type: ignore[no-untyped-call]
