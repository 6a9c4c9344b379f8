"""The whole phantom as a volume with its truth, and slices for training a segmenter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.phantom.patient import make_patient
from groundglass.phantom.render import Slices, render_slices
from groundglass.phantom.scanner import Scan
from groundglass.phantom.settings import PhantomSettings, stream


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic chest CT and everything that is known about it."""

    volume: Volume
    """int16 HU, feet to head, front to back, right to left."""
    lung: NDArray[np.bool_]
    lesion: NDArray[np.bool_]
    """`lung`, `lesion`: shape of the volume, as in `Slices`."""
    label: str
    """"CP", "NCP" or "healthy"."""
    severity: float
    """0 to 1; 0 for healthy."""
    scan: Scan
    """How it was scanned."""
    settings: PhantomSettings
    """What it was made from."""


def make_phantom(settings: PhantomSettings) -> Phantom:
    """A whole synthetic chest CT.

    Parameters
    ----------
    settings : PhantomSettings
        What to show; the same settings always give the same voxels.

    Returns
    -------
    Phantom
    """
    patient = make_patient(settings)
    scan, grid = patient.scan, patient.scan.grid
    slices = render_slices(patient, scan.z_mm)
    geometry = Geometry(
        shape=(len(scan.z_mm), grid.rows, grid.columns),
        spacing_mm=(scan.spacing_mm, grid.pixel_mm, grid.pixel_mm),
        origin_mm=(*grid.first_mm, scan.z_mm[0]),
        directions=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return Phantom(
        volume=Volume(slices.hu, geometry),
        lung=slices.lung,
        lesion=slices.lesion,
        label=settings.label,
        severity=0.0 if settings.label == "healthy" else settings.severity,
        scan=scan,
        settings=settings,
    )


def training_slices(settings: PhantomSettings, count: int) -> Slices:
    """Slices from anywhere between neck and abdomen of one patient, for training a segmenter.

    Parameters
    ----------
    settings : PhantomSettings
        Whom; slice count and spacing are not used.
    count : int
        How many slices. About two in three cut the lungs.

    Returns
    -------
    Slices
    """
    patient = make_patient(settings)
    rng = stream(settings.seed, "training slices")
    height = patient.person.lung_height_mm
    low, lungs, high = -220.0, height, height + 130.0
    place = rng.random(count)
    inside = rng.uniform(0, lungs, count)
    under, over = rng.uniform(low, 0, count), rng.uniform(lungs, high, count)
    z_mm = np.where(place < 0.67, inside, np.where(place < 0.87, under, over))
    return render_slices(patient, z_mm.tolist())
