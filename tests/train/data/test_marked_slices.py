"""Slices with marked lesions: each on its own scale, all front up."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")

from groundglass.train.data.marked_slices import lesion_slices, volume_slices
from made_marked import write_marked


def test_lungs_come_to_air_and_walls_to_tissue(tmp_path: Path) -> None:
    write_marked(tmp_path)
    for one in [
        *volume_slices(tmp_path / "lung-volumes"),
        *lesion_slices(tmp_path / "lesion-slices"),
    ]:
        aerated = one.lung & ~one.lesion
        assert abs(np.median(one.hu[aerated]) + 850) < 60, one.name
        assert abs(np.median(one.hu[100:120, 40:90]) - 40) < 40, one.name
        assert not (one.lesion & ~one.lung).any()


def test_slices_without_lung_are_left_out_and_two_volumes_of_one_are_one_patient(
    tmp_path: Path,
) -> None:
    write_marked(tmp_path)
    found = list(volume_slices(tmp_path / "lung-volumes"))
    by = {
        name: [one for one in found if one.name.startswith(name)]
        for name in ("medseg-2", "medseg-3")
    }
    assert len(by["medseg-2"]) == 4
    assert 0 < len(by["medseg-3"]) < 4
    assert {one.patient for one in found} == {"medseg/medseg-2"}
    assert len({one.name for one in found}) == len(found)


def test_upside_down_slices_are_turned_with_their_marks_and_patients_of_volumes_left_out(
    tmp_path: Path,
) -> None:
    write_marked(tmp_path)
    upright, turned = lesion_slices(tmp_path / "lesion-slices")
    assert (upright.patient, turned.patient) == ("covid-19-ct-seg/cs-01", "covid-19-ct-seg/cs-13")
    assert np.array_equal(upright.grey, turned.grey)
    assert np.array_equal(upright.lesion, turned.lesion)


def test_real_slices_lie_front_up_on_a_plausible_scale(shared_data: Path) -> None:
    found = list(lesion_slices(shared_data / "lesion-slices"))
    assert len(found) > 400
    for one in found[::40]:
        aerated = one.lung & ~one.lesion
        if aerated.sum() < 2000:
            continue
        assert -950 < np.median(one.hu[aerated]) < -600, one.name
        # The spine lies behind the lungs' middle: bone there, none before it.
        rows, columns = np.nonzero(one.lung)
        middle = int(columns.mean())
        bone = cv2.blur((one.hu > 150).astype(np.float32), (5, 5))[:, middle - 12 : middle + 12]
        front, back = (bone[: int(rows.mean())], bone[int(rows.mean()) :])
        assert back.sum() > front.sum(), one.name
