"""The annotated slices' grey values become Hounsfield units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundglass.errors import ReadError
from groundglass.train.data.annotated_slices import calibrate, read_annotated_slices


def body(air: float, tissue: float, lung: float) -> np.ndarray:
    y, x = np.mgrid[:256, :256] - 128
    image = np.full((256, 256), air, np.float32)
    image[np.hypot(y, x) < 90] = tissue
    image[np.hypot(y, x - 40) < 30] = lung
    return image


@pytest.mark.parametrize("air", [-796.0, -770.0, -820.0])
def test_room_air_and_tissue_go_where_hounsfield_units_have_them(air: float) -> None:
    hu = calibrate(body(air, 5.0, -650.0))
    assert hu[0, 0] == pytest.approx(-1000, abs=1)
    assert hu[128, 60] == pytest.approx(40, abs=1)
    assert -900 < hu[128, 168] < -700


def test_fill_outside_the_view_is_air() -> None:
    image = body(-796.0, 5.0, -650.0)
    image[:20] = -2600
    assert set(np.unique(calibrate(image)[:20])) == {-1024}


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="images"):
        read_annotated_slices(tmp_path)


def test_the_real_slices_look_like_hounsfield_units(shared_data: Path) -> None:
    slices = read_annotated_slices(shared_data / "lung-masks" / "val")
    medians = [float(np.median(one.hu[one.lung])) for one in slices if 0.02 < one.lung.mean() < 0.5]
    assert len(medians) >= 20
    assert all(-960 < median < -600 for median in medians)
