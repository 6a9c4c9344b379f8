"""Sets of single slices in the layout of the public ones, all drawn from one made patient."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from groundglass.phantom import PhantomSettings, Slices, make_patient, render_slices
from groundglass.prepare.intensity import window_to_uint8
from made_marked import write_marked

#: Slices of each severity among MosMedData's.
SEVERITIES = {"CT-0": 12, "CT-1": 12, "CT-2": 6, "CT-3": 6}
#: Where MedSeg's volumes have room air and soft tissue, as centre and width in HU.
_WINDOW = (-452, 1434)
_SPACING_MM = 6.0
_COVID_CT = {"covid": 12, "noncovid": 12}


def write_slice_sets(folder: Path, matrix: int) -> None:
    """Write mosmed-slices, covid-ct-slices, lung-masks, LUNA16's and marked slices.

    Parameters
    ----------
    folder : Path
        Gets a folder for each.
    matrix : int
        Rows and columns of a slice.
    """
    patient = make_patient(PhantomSettings(seed=3, matrix=matrix))
    made = render_slices(patient, [0.5 * patient.person.lung_height_mm])
    grey = window_to_uint8(made.hu[0], -600, 1500)
    mosmed = [
        [f"{severity}-{k}.jpg", f"{severity}-{k}", "x", severity]
        for severity, count in SEVERITIES.items()
        for k in range(count)
    ]
    columns = ["file", "patient_id", "label", "severity"]
    _write_set(folder / "mosmed-slices", columns, mosmed, grey)
    printed = [
        [f"{label}-{k}.png", label, f"{label}-{k}", "x.png"]
        for label, count in _COVID_CT.items()
        for k in range(count)
    ]
    columns = ["file", "label", "patient_id", "source_name"]
    _write_set(folder / "covid-ct-slices", columns, printed, grey)
    _write_luna(folder, grey)
    write_marked(folder)
    for part, count in (("train", 6), ("val", 2), ("test", 2)):
        place = folder / "lung-masks" / part
        for kind in ("images", "masks"):
            (place / kind).mkdir(parents=True)
        for k in range(count):
            cv2.imwrite(str(place / "images" / f"{part}{k}.tif"), made.hu[0])
            cv2.imwrite(str(place / "masks" / f"{part}{k}.png"), made.lung[0] * np.uint8(255))
    _write_volumes(folder / "lung-volumes", made)


def write_whole_studies(folder: Path, matrix: int) -> None:
    """Put a volume with marked lesions and a healthy one, whole enough to be judged, beside them.

    Parameters
    ----------
    folder : Path
        Holds what `write_slice_sets` writes.
    matrix : int
        Rows and columns of a slice.
    """
    ill, well = (
        _whole(PhantomSettings(label, 0.9, 5, matrix=matrix)) for label in ("CP", "healthy")
    )
    volumes = folder / "lung-volumes"
    image = window_to_uint8(ill.hu[::-1], *_WINDOW)
    for name in ("medseg-2.npz", "medseg-3.npz"):
        np.savez(volumes / name, image=image, lung=ill.lung[::-1], lesion=ill.lesion[::-1],
                 spacing_mm=np.array([_SPACING_MM, 1.4, 1.4]))  # fmt: skip
    with (volumes / "labels.csv").open("a", newline="") as file:
        csv.writer(file).writerow(["medseg-2.npz", "medseg-2", "CP", "yes"])
    for k, grey in enumerate(window_to_uint8(well.hu, -600, 1500)):
        cv2.imwrite(str(folder / "luna-volumes" / "luna-volume-1" / f"{k:02}.jpg"), grey)


def _whole(settings: PhantomSettings) -> Slices:
    patient = make_patient(settings)
    return render_slices(patient, np.arange(0, patient.person.lung_height_mm, _SPACING_MM).tolist())


def _write_volumes(folder: Path, made: Slices) -> None:
    """Four patients' volumes, two of each class, all of the same slice between empty ones."""
    empty = np.full_like(made.hu[0], -1000)
    hu, lung = np.stack([empty, *[made.hu[0]] * 4, empty]), np.zeros((6, *empty.shape), bool)
    lung[1:5] = made.lung[0]
    rows = [["file", "patient", "class", "lesion mask"]]
    for k in range(4):
        name = f"made-{k}.npz"
        np.savez(folder / name, hu=hu, lung=lung, spacing_mm=np.array([6.0, 1.5, 1.5]))
        rows.append([name, f"made-{k}", ("CP", "lung cancer")[k % 2], "no"])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def _write_luna(folder: Path, grey: np.ndarray[tuple[int, int]]) -> None:
    """Single slices of twenty patients and a volume of nine slices."""
    slices, volume = folder / "luna-slices", folder / "luna-volumes" / "luna-volume-1"
    (slices / "images").mkdir(parents=True)
    volume.mkdir(parents=True)
    rows = [[f"images/luna-{k:03d}.jpg", f"luna-{k:03d}", "no pneumonia label"] for k in range(20)]
    with (slices / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "patient", "class"], *rows])
    for path in (*(slices / name for name, *_ in rows), *(volume / f"{k}.jpg" for k in range(9))):
        cv2.imwrite(str(path), grey)


def _write_set(
    folder: Path, columns: list[str], rows: list[list[str]], grey: np.ndarray[tuple[int, int]]
) -> None:
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    for name, *_ in rows:
        cv2.imwrite(str(folder / "images" / name), grey)
