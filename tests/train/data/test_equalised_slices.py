"""Equalised slices come near Hounsfield units, disease inside the lungs' truth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.errors import ReadError
from groundglass.train.data.equalised_slices import read_equalised_slice


def write(folder: Path, **arrays: np.ndarray) -> list[Path]:
    paths = []
    for name, array in arrays.items():
        paths.append(folder / f"{name}.png")
        cv2.imwrite(str(paths[-1]), array)
    return paths


def made(folder: Path, lung_px: int = 30) -> tuple[list[Path], np.ndarray, np.ndarray]:
    image = np.full((96, 96), 180, np.uint8)
    lung, lesion = np.zeros((2, 96, 96), bool)
    lung[20 : 20 + lung_px, 20 : 20 + lung_px] = True
    image[lung] = 60
    lesion[18:26, 20:30] = True
    image[lesion] = 170
    masks = (one.astype(np.uint8) * 255 for one in (lung, lesion))
    return (
        write(folder, image=image, **dict(zip(("lungs", "lesions"), masks, strict=True))),
        lung,
        lesion,
    )


def test_lung_and_tissue_get_their_usual_values_and_disease_is_lung(tmp_path: Path) -> None:
    paths, lung, lesion = made(tmp_path)
    found = read_equalised_slice(*paths)
    assert np.array_equal(found.lung, lung | lesion)
    assert np.array_equal(found.lesion, lesion)
    assert found.hu[45, 45] == pytest.approx(-860, abs=1)
    assert found.hu[80, 80] == pytest.approx(40, abs=25)
    assert found.hu[22, 22] > -200


def test_a_slice_that_cannot_tell_the_grey_of_lung_is_refused(tmp_path: Path) -> None:
    paths, _, _ = made(tmp_path, lung_px=8)
    with pytest.raises(ReadError, match="pixels of lung"):
        read_equalised_slice(*paths)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    paths, _, _ = made(tmp_path)
    cv2.imwrite(str(paths[2]), np.zeros((10, 10), np.uint8))
    with pytest.raises(ReadError, match="masks of lungs and lesions"):
        read_equalised_slice(*paths)
