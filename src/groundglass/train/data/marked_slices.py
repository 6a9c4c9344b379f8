"""Slices on which somebody marked lungs and lesions, brought to one form.

`lung-volumes` holds whole volumes of COVID-19 patients (MedSeg set 2), `lesion-slices` single ones
(COVID-19-CT-Seg). Neither states HU: both are grey values of some window, the second equalised as
well, so the tissues in them give a window back. The second's last patients are the first's again,
but for cs-13, who lies upside down.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort.image_files import read_image
from groundglass.cohort.importers.lesion_slices import IN_LUNG_VOLUMES
from groundglass.train.data.annotated_volumes import volume_greys
from groundglass.train.data.equalised_slices import LUNG_HU, TISSUE_HU, equalised_greys

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_AIR_HU = -1000.0
#: Who of the single slices lies upside down.
_TURNED = ("cs-13",)
#: Two volumes of one patient, thick and thin slices; every so many-th of the thin ones is enough.
_SAME_PATIENT = {"medseg-3": "medseg-2"}
_THIN_STEP = {"medseg-3": 3}


@dataclass(frozen=True, slots=True, eq=False)
class MarkedSlice:
    """One slice with its marks."""

    name: str
    """Unique among all; the image's file is called so."""
    patient: str
    source: str
    grey: Grey
    """Shape (rows, columns). As published, front of the body up."""
    window: tuple[float, float]
    """Centre and width in HU of the window that fits it."""
    lung: Mask
    lesion: Mask
    """`lung`, `lesion`: of the same shape; lesions are part of the lung."""

    @property
    def hu(self) -> NDArray[np.float32]:
        """The slice in estimated HU."""
        center, width = self.window
        return np.asarray(center - width / 2 + self.grey * (width / 255), dtype=np.float32)


def volume_slices(folder: Path) -> Iterator[MarkedSlice]:
    """The slices with lung of the volumes in which lesions are marked."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as found:
            if "lesion" not in found:
                continue
            grey, lung, lesion = (found[name] for name in ("image", "lung", "lesion"))
        window = volume_window(grey, lung > 0)
        patient = f"medseg/{_SAME_PATIENT.get(path.stem, path.stem)}"
        whole = (lung > 0) | (lesion > 0)
        for index in range(0, len(grey), _THIN_STEP.get(path.stem, 1)):
            if whole[index].any():
                yield MarkedSlice(
                    f"{path.stem}-{index:03d}", patient, "medseg", grey[index], window,
                    whole[index], lesion[index] > 0,
                )  # fmt: skip


def volume_window(grey: Grey, lung: Mask) -> tuple[float, float]:
    """The window that brings a volume's room air to −1000 HU and soft tissue to 40."""
    air, tissue = volume_greys(grey, lung)
    return _window((air, _AIR_HU), (tissue, TISSUE_HU))


def lesion_slices(folder: Path) -> Iterator[MarkedSlice]:
    """The single slices of patients of whom there is no volume, turned front up."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        guess = row["patient_guess"]
        if guess in IN_LUNG_VOLUMES:
            continue
        up = -1 if guess in _TURNED else 1
        grey, lungs, lesions = (
            np.ascontiguousarray(read_image(folder / row[name])[::up])
            for name in ("image", "lungs", "lesions")
        )
        lesion = lesions > 0
        lung = (lungs > 0) | lesion
        yield MarkedSlice(
            f"lesions-{Path(row['image']).stem}", f"covid-19-ct-seg/{guess}", "covid-19-ct-seg",
            grey, _equalised_window(grey, lung, lesion), lung, lesion,
        )  # fmt: skip


def _equalised_window(grey: Grey, lung: Mask, lesion: Mask) -> tuple[float, float]:
    dark, tissue = equalised_greys(grey, lung, lesion)
    return _window((dark, LUNG_HU), (tissue, TISSUE_HU))


def _window(low: tuple[float, float], high: tuple[float, float]) -> tuple[float, float]:
    """Centre and width of the window in which two grey values show two HU."""
    slope = (high[1] - low[1]) / (high[0] - low[0])
    width = 255 * slope
    return round(low[1] - low[0] * slope + width / 2, 1), round(width, 1)
