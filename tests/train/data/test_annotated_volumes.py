"""Volumes with their lungs: greys of any window become HU; faulty slices are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundglass.errors import ReadError
from groundglass.train.data.annotated_volumes import calibrate_volume, read_annotated_volume

SHAPE = (4, 64, 64)


def greys(air: int, tissue: int) -> tuple[np.ndarray, np.ndarray]:
    """A body of one tissue with a lung in it, in air, with fill in the first rows; and the lung."""
    image = np.full(SHAPE, air, np.uint8)
    image[:, :8] = 0
    image[:, 16:60, 8:56] = tissue
    lung = np.zeros(SHAPE, bool)
    lung[:, 24:48, 16:40] = True
    image[lung] = air + 15
    return image, lung


@pytest.mark.parametrize(("air", "tissue"), [(59, 220), (29, 200), (70, 235)])
def test_air_and_tissue_go_where_hounsfield_units_have_them(air: int, tissue: int) -> None:
    image, lung = greys(air, tissue)
    hu = calibrate_volume(image, lung)
    assert hu[0, 12, 0] == pytest.approx(-1000, abs=15)
    assert hu[0, 20, 50] == pytest.approx(40, abs=15)
    assert -1000 < hu[0, 30, 30] < -850
    assert set(np.unique(hu[:, :8])) == {-1024}


def test_truth_is_lung_with_disease_and_knows_its_faulty_slices(tmp_path: Path) -> None:
    image, lung = greys(59, 220)
    lesion = np.zeros(SHAPE, bool)
    lesion[1, 50:55, 16:40] = True
    path = tmp_path / "v.npz"
    np.savez(path, image=image, lung=lung, lesion=lesion, spacing_mm=np.array([6.0, 1.5, 1.5]))
    found = read_annotated_volume(path, [2])
    assert np.array_equal(found.lung, lung | lesion)
    assert np.array_equal(found.lesion, lesion)
    assert found.trusted.tolist() == [True, True, False, True]
    assert found.spacing_mm == (6.0, 1.5, 1.5)


def test_hu_is_taken_as_it_is(tmp_path: Path) -> None:
    _, lung = greys(59, 220)
    hu = np.full(SHAPE, -777, np.int16)
    np.savez(tmp_path / "v.npz", hu=hu, lung=lung, spacing_mm=np.ones(3))
    found = read_annotated_volume(tmp_path / "v.npz")
    assert np.array_equal(found.hu, hu)
    assert not found.lesion.any()


def test_another_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", lung=np.zeros(SHAPE, bool))
    with pytest.raises(ReadError, match="no volume with its lungs"):
        read_annotated_volume(tmp_path / "v.npz")
    with pytest.raises(ReadError, match="no volume with its lungs"):
        read_annotated_volume(tmp_path / "gone.npz")
