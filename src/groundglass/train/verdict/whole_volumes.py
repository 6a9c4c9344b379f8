"""The public whole volumes that the default bundle's verdict is fitted on, in HU and axial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort.image_files import read_image
from groundglass.cohort.importers.dataset import read_rows
from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.train.data.marked_slices import volume_window
from groundglass.train.slice_cohort import LUNA_WINDOW

#: LUNA16's volumes state no spacing; this is usual for them, at 256 × 256.
_LUNA_SPACING_MM = (1.25, 1.4, 1.4)
#: Share of the lung that marks must cover for a study to be ill; less is a slip of the pen.
_LEAST_LESION = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class WholeVolume:
    """One study."""

    name: str
    patient: str
    """As `groundglass.train.slice_cohort` calls the patient."""
    source: str
    ill: bool | None
    """Whether lesions are marked in it; None where nobody looked for any, and another disease is
    known."""
    volume: Volume


def whole_volumes(data: Path) -> Iterator[WholeVolume]:
    """MedSeg's and lung cancer's, which begin at the head, then LUNA16's, which do at the feet.

    `data` holds lung-volumes and luna-volumes.
    """
    folder = data / "lung-volumes"
    for row in read_rows(folder / "labels.csv", "file", "patient", "lesion mask"):
        marked = row["lesion mask"] == "yes"
        source = "medseg" if marked else "lung-volumes"
        with np.load(folder / row["file"]) as file:
            found = {name: file[name] for name in file.files}
        yield WholeVolume(
            Path(row["file"]).stem,
            f"{source}/{row['patient']}",
            source,
            _is_ill(found) if marked else None,
            _volume(_hu(found), tuple(map(float, found["spacing_mm"])), headward=-1.0),
        )
    for study in sorted((data / "luna-volumes").glob("luna-volume-*")):
        grey = np.stack([read_image(one) for one in sorted(study.glob("*.jpg"))])
        volume = _volume(_in_hu(grey, LUNA_WINDOW), _LUNA_SPACING_MM, headward=1.0)
        yield WholeVolume(
            study.name, f"luna16/{study.name}", "luna-volumes", ill=False, volume=volume
        )


def _is_ill(found: dict[str, NDArray[Any]]) -> bool:
    lesion = found["lesion"] > 0
    return bool(lesion.sum() > _LEAST_LESION * (lesion | (found["lung"] > 0)).sum())


def _hu(found: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    if "hu" in found:
        return found["hu"].astype(np.float32)
    return _in_hu(found["image"], volume_window(found["image"], found["lung"] > 0))


def _in_hu(grey: NDArray[Any], window: tuple[float, float]) -> NDArray[np.float32]:
    center, width = window
    return np.asarray(center - width / 2 + grey * (width / 255), dtype=np.float32)


def _volume(hu: NDArray[np.float32], spacing_mm: tuple[float, ...], headward: float) -> Volume:
    directions = ((0.0, 0.0, headward), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    slices, rows, columns = hu.shape
    between, down, across = spacing_mm
    return Volume(
        hu, Geometry((slices, rows, columns), (between, down, across), (0.0, 0.0, 0.0), directions)
    )
