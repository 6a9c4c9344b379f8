"""Frames written as bytes are what a library that writes every frame itself would write."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

import groundglass as gg
from groundglass.core.result import TriageResult
from groundglass.core.volume import Volume
from groundglass.report.dicom.results import dicom_results
from groundglass.report.dicom.saliency_map import HOTTEST
from made_ct import ct_series, enhanced_ct, thorax, write
from made_result import made_result

KEYS = (3, 5)
SLICES, SIDE = 13, 62


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return _read(
        write(ct_series(thorax(SLICES, SIDE)), tmp_path_factory.mktemp("made") / "classic")
    )


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    folder = write(
        [enhanced_ct(thorax(SLICES, SIDE))], tmp_path_factory.mktemp("made") / "enhanced"
    )
    return _read(folder)


def _read(folder: Path) -> Volume:
    return gg.read_volume(gg.select_chest_ct(gg.read_study(folder)))


def _judged(volume: Volume) -> TriageResult:
    """A mask without its outer slices, of an odd number of frames and of odd bytes."""
    result = made_result(volume, KEYS)
    mask = np.random.default_rng(2).random(volume.hu.shape) < 0.5
    mask[[0, -1]] = False
    return replace(result, mask=mask)


def _written(volume: Volume, result: TriageResult) -> dict[str, Dataset]:
    made = dicom_results(result, volume)
    return {one.kind.value: pydicom.dcmread(BytesIO(one.content)) for one in made}


def _frame(data: Dataset, number: int) -> tuple[list[float], Dataset]:
    group = data.PerFrameFunctionalGroupsSequence[number]
    reference = group.DerivationImageSequence[0].SourceImageSequence[0]
    position = [float(value) for value in group.PlanePositionSequence[0].ImagePositionPatient]
    return position, reference


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_every_frame_lies_on_its_image(kind: str, request: pytest.FixtureRequest) -> None:
    volume: Volume = request.getfixturevalue(kind)
    result = _judged(volume)
    written = _written(volume, result)
    for name in ("segmentation", "saliency"):
        data = written[name]
        assert len(data.PerFrameFunctionalGroupsSequence) == data.NumberOfFrames
        for number in range(data.NumberOfFrames):
            position, reference = _frame(data, number)
            below = position[2] - volume.geometry.origin_mm[2]
            index = round(below / volume.geometry.spacing_mm[0])
            assert position == pytest.approx(volume.geometry.position_mm((index, 0, 0)))
            group = data.PerFrameFunctionalGroupsSequence[number]
            place = group.FrameContentSequence[0].DimensionIndexValues
            assert np.atleast_1d(place)[-1] == number + 1
            assert ("ReferencedFrameNumber" in reference) == (kind == "enhanced")
            if name == "segmentation":
                assert np.array_equal(data.pixel_array[number], result.mask[index])
        assert data.DimensionOrganizationType == "3D" or name == "saliency"


def test_heat_is_read_back(classic: Volume) -> None:
    result = _judged(classic)
    data = _written(classic, replace(result, coarse_heat=None))["saliency"]
    heat = {one.slice_index: one.heat for one in result.heatmaps}
    for frame, index in zip(data.pixel_array, sorted(heat), strict=True):
        assert np.array_equal(frame, np.rint(heat[index] * HOTTEST))


def test_frames_with_a_gap_claim_no_regular_grid(classic: Volume) -> None:
    result = _judged(classic)
    mask = result.mask.copy()
    mask[4] = False
    data = _written(classic, replace(result, mask=mask))["segmentation"]
    assert data.NumberOfFrames == 10
    assert "DimensionOrganizationType" not in data
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert "SpacingBetweenSlices" not in measures
    assert np.array_equal(data.pixel_array, mask[[11, 10, 9, 8, 7, 6, 5, 3, 2, 1]])


def test_the_bytes_are_those_of_pydicom(classic: Volume) -> None:
    """Read and written again by pydicom, every element of it, nothing changes."""
    for made in dicom_results(_judged(classic), classic):
        data = pydicom.dcmread(BytesIO(made.content))
        _ = str(data)  # converts every value from its bytes
        again = BytesIO()
        data.save_as(again, enforce_file_format=True)
        assert again.getvalue() == made.content
