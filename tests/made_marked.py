"""Marked slices in the layout of the real sets, all drawn."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

_SIZE = 128


def write_marked(folder: Path) -> None:
    """Write lung-volumes, two of one patient, and lesion-slices, one upside down."""
    volumes, slices = folder / "lung-volumes", folder / "lesion-slices"
    volumes.mkdir(parents=True)
    lung, lesion, grey = _drawn()
    for name in ("medseg-2", "medseg-3"):
        stack = [np.stack([one] * 5) for one in (grey, lung, lesion)]
        # The last slice shows no lung, the first no lesion.
        stack[1][-1] = stack[2][-1] = stack[2][0] = 0
        np.savez(volumes / f"{name}.npz", image=stack[0], lung=stack[1], lesion=stack[2])
    np.savez(volumes / "lung1-001.npz", hu=stack[0].astype(np.int16), lung=stack[1])
    rows = []
    for name, guess, up in (("0000", "cs-01", 1), ("0003", "cs-13", -1), ("0006", "cs-12", 1)):
        row = []
        for kind, end, image in (("ct", "png", grey), ("lungs", "png", lung * np.uint8(255)),
                                 ("lesions", "png", lesion * np.uint8(255))):  # fmt: skip
            (slices / kind).mkdir(parents=True, exist_ok=True)
            path = f"{kind}/{name}.{end}"
            cv2.imwrite(str(slices / path), np.ascontiguousarray(image[::up]))
            row.append(path)
        rows.append([*row, guess, "CP"])
    with (slices / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["image", "lungs", "lesions", "patient_guess", "class"], *rows])


def _drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lung, lesion and grey values: air 40, lungs 60, tissue 210."""
    rng = np.random.default_rng(1)
    lung, lesion = np.zeros((2, _SIZE, _SIZE), dtype=np.uint8)
    lung[30:90, 25:55] = lung[30:90, 70:100] = 1
    lesion[70:85, 30:45] = 1
    grey = np.full((_SIZE, _SIZE), 40.0)
    grey[15:122, 10:118] = 210
    grey[lung > 0] = 64
    grey[lesion > 0] = 140
    return lung, lesion, np.clip(grey + rng.normal(0, 2, grey.shape), 0, 255).astype(np.uint8)
