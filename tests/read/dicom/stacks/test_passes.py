"""Passes over the body in one series are told apart, and one pass in pieces stays one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from groundglass.core.study import Instance
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, GroundglassError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.dicom.frames import Frame, frames_of
from groundglass.read.dicom.stacks.passes import passes_of
from made_ct import SLICES, SPACING_MM, STUDY_UID, ct_series, thorax, write


def read(datasets: list[Dataset], folder: Path) -> Volume:
    return read_volume(select_chest_ct(read_study(write(datasets, folder))))


def again(up_mm: float = 0.0, **header: object) -> list[Dataset]:
    """Another pass: other voxels, its slices this much further towards the head."""
    datasets = ct_series(thorax(seed=1), **header)
    for index, data in enumerate(datasets):
        data.SOPInstanceUID = f"{STUDY_UID}.88.{index}"
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [x, y, float(z) + up_mm]
    return datasets


def timed(datasets: list[Dataset], number: int) -> list[Dataset]:
    for index, data in enumerate(datasets):
        data.AcquisitionTime = f"1{number}00{index:02d}.5"
    return datasets


def numbered(datasets: list[Dataset], number: int) -> list[Dataset]:
    for index, data in enumerate(datasets):
        data.InstanceNumber = 100 * number + index
    return datasets


TELLING = {
    "AcquisitionNumber": (1, 2),
    "TemporalPositionIdentifier": (1, 2),
    "AcquisitionDate": ("20200101", "20200102"),
    "IrradiationEventUID": ("1.2.3", "1.2.4"),
    "KVP": (80, 140),
    "Exposure": (90, 120),
    "XRayTubeCurrent": (90, 120),
    "SliceThickness": (10, 5),
    "ContrastBolusAgent": ("", "Iohexol"),
    "ConvolutionKernel": ("B40f", "B70f"),
    "SeriesDescription": ("chest native", "chest venous"),
}


@pytest.mark.parametrize("keyword", TELLING)
@pytest.mark.parametrize("up_mm", [0.0, 1.3, 5.0])
def test_two_passes_are_never_mixed(tmp_path: Path, keyword: str, up_mm: float) -> None:
    first, second = TELLING[keyword]
    datasets = ct_series(**{keyword: first}) + again(up_mm, **{keyword: second})
    for data in datasets:
        del data.InstanceNumber  # which would tell as well
    found = read(datasets, tmp_path).hu
    assert np.array_equal(found, thorax()) or np.array_equal(found, thorax(seed=1))


@pytest.mark.parametrize("up_mm", [0.0, 5.0])
@pytest.mark.parametrize("count", [timed, numbered], ids=lambda f: f.__name__)
def test_two_passes_are_told_by_the_order_in_which_they_were_made(
    tmp_path: Path, up_mm: float, count: object
) -> None:
    datasets = count(ct_series(), 1) + count(again(up_mm), 2)  # type: ignore[operator]
    found = read(datasets, tmp_path).hu
    assert np.array_equal(found, thorax()) or np.array_equal(found, thorax(seed=1))


def test_three_passes_a_third_of_a_step_apart(tmp_path: Path) -> None:
    datasets = ct_series(AcquisitionNumber=1)
    for number in (2, 3):
        for data in again((number - 1) * SPACING_MM[0] / 3, AcquisitionNumber=number):
            data.SOPInstanceUID = f"{data.SOPInstanceUID}.{number}"
            datasets.append(data)
    assert read(datasets, tmp_path).geometry.shape[0] == SLICES


def test_a_raw_series_of_two_passes_makes_no_volume(tmp_path: Path) -> None:
    datasets = ct_series(AcquisitionNumber=1) + again(5.0, AcquisitionNumber=2)
    (series,) = read_study(write(datasets, tmp_path)).series
    with pytest.raises(AssemblyError, match="2 passes"):
        read_volume(series)


@pytest.mark.parametrize("twice", [0, 1, 3])
def test_one_pass_in_two_helices_is_one_volume(tmp_path: Path, twice: int) -> None:
    """The places at the join are there once, and what was left out is told."""
    lower, upper = ct_series(AcquisitionNumber=2)[:14], ct_series(AcquisitionNumber=3)
    upper = upper[14 - twice :]
    for index, data in enumerate(upper):
        data.SOPInstanceUID = f"{STUDY_UID}.88.{index}"
    chosen = select_chest_ct(read_study(write(lower + upper, tmp_path)))
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())
    told = [rejection for rejection in chosen.rejected if "join" in rejection.what]
    assert [rejection.what.split()[0] for rejection in told] == ([str(twice)] if twice else [])


def test_two_passes_of_two_helices_each(tmp_path: Path) -> None:
    """Pieces are put together with the one before them in time."""
    first = [*ct_series(AcquisitionNumber=1)[12:], *ct_series(AcquisitionNumber=2)[:12]]
    second = [*again(AcquisitionNumber=3)[12:], *again(AcquisitionNumber=4)[:12]]
    found = read(first + second, tmp_path).hu
    assert np.array_equal(found, thorax()) or np.array_equal(found, thorax(seed=1))


def test_an_overlap_of_two_scans_is_refused(tmp_path: Path) -> None:
    """Chest and abdomen in one series: neither is the whole."""
    lower, upper = ct_series(AcquisitionNumber=1)[:18], again(AcquisitionNumber=2)[8:]
    with pytest.raises(AssemblyError, match="comes apart into 2 stacks"):
        read(lower + upper, tmp_path)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(80, 300), min_size=SLICES, max_size=SLICES))
def test_a_modulated_tube_current_splits_nothing(currents: list[int]) -> None:
    frames = _frames(XRayTubeCurrent=currents)
    (whole,) = passes_of(frames)
    assert len(whole.frames) == SLICES


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(SLICES)))
def test_numbers_in_any_order_split_nothing_unless_in_two_whole_passes(order: list[int]) -> None:
    passes = passes_of(_frames(InstanceNumber=order))
    assert sum(len(one.frames) for one in passes) == SLICES
    if len(passes) > 1:
        assert len({len(one.frames) for one in passes}) == 1


def _frames(**values: list[int]) -> list[Frame]:
    frames: list[Frame] = []
    for index in range(SLICES):
        header = {
            "ImagePositionPatient": (0.0, 0.0, 10.0 * index),
            "ImageOrientationPatient": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            **{keyword: numbers[index] for keyword, numbers in values.items()},
        }
        frames += frames_of(Instance(Path("x"), None, "1", f"1.{index}", header))
    return frames


ANY_TAG = {
    "AcquisitionNumber": (1, 2),
    "TemporalPositionIdentifier": (1, 2),
    "AcquisitionTime": ("101010", "102020"),
    "AcquisitionDate": ("20200101", "20200102"),
    "AcquisitionDateTime": ("20200101101010", "20200101102020"),
    "IrradiationEventUID": ("1.2.3", "1.2.4"),
    "InstanceNumber": (1, 2),
    "KVP": (80, 140),
    "Exposure": (90, 120),
    "SliceThickness": (10, 5),
    "ContrastBolusAgent": ("", "Iohexol"),
    "ConvolutionKernel": ("B40f", "B70f"),
    "ImageType": (["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"]),
    "SOPClassUID": ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"),
    "FrameOfReferenceUID": ("1.2.3", "1.2.4"),
    "SeriesInstanceUID": ("1.2.3", "1.2.4"),
    "StudyInstanceUID": ("1.2.3", "1.2.4"),
    "Modality": ("CT", "OT"),
    "PatientPosition": ("HFS", "HFP"),
    "Manufacturer": ("one", "other"),
    "PixelSpacing": ([5, 5], [5.02, 5.02]),
    "ImageOrientationPatient": ([1, 0, 0, 0, 1, 0], [0.998, 0.063246, 0, -0.063246, 0.998, 0]),
    "SeriesDescription": ("chest a", "chest b"),
    "SeriesNumber": (1, 2),
    "PatientID": ("A", "B"),
    "PatientSex": ("F", "M"),
    "RescaleType": ("HU", ""),
    "BitsStored": (12, 16),
}
PARTS = st.one_of(
    st.integers(1, SLICES - 1).map(lambda at: [index >= at for index in range(SLICES)]),
    st.just([index % 2 == 0 for index in range(SLICES)]),
    st.integers(0, SLICES - 1).map(lambda at: [index == at for index in range(SLICES)]),
    st.lists(st.booleans(), min_size=SLICES, max_size=SLICES),
)


@settings(max_examples=80, deadline=None)
@given(keyword=st.sampled_from(sorted(ANY_TAG)), part=PARTS)
def test_any_split_by_any_tag_gives_all_places_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, keyword: str, part: list[bool]
) -> None:
    """No part of a stack is judged unless it covers what the whole did."""
    datasets = ct_series()
    for data, second in zip(datasets, part, strict=True):
        setattr(data, keyword, ANY_TAG[keyword][second])
        if keyword == "BitsStored":
            data.HighBit = data.BitsStored - 1
    try:
        volume = read(datasets, tmp_path_factory.mktemp("split"))
    except GroundglassError:
        return
    if volume.geometry.shape[0] == SLICES:
        np.testing.assert_array_equal(volume.hu, thorax())
        return
    step = volume.geometry.spacing_mm[0]
    assert volume.geometry.shape[0] * step >= SLICES * SPACING_MM[0] - step / 2
    assert any(np.array_equal(volume.hu, thorax()[first::2]) for first in (0, 1))
