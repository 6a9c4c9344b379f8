"""Passes over the body in one series are told apart, and one pass in pieces stays one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, GroundglassError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.dicom.frames import Frame, frames_of
from groundglass.read.dicom.headers.ct_header import DicomInstance
from groundglass.read.dicom.stacks.passes import passes_of
from made_ct import SLICES, SPACING_MM, STUDY_UID, ct_header, ct_series, thorax, write


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
    return lying([10.0 * index for index in range(SLICES)], **values)


def lying(places: Sequence[float], **values: Sequence[object]) -> list[Frame]:
    """Axial frames at these heights, with a value of each keyword."""
    frames: list[Frame] = []
    for index, z in enumerate(places):
        header = {
            "ImagePositionPatient": (0.0, 0.0, z),
            "ImageOrientationPatient": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            **{keyword: numbers[index] for keyword, numbers in values.items()},
        }
        frames += frames_of(DicomInstance(Path("x"), None, "1", f"1.{index}", ct_header(header)))
    return frames


def told_apart(frames: Sequence[Frame]) -> list[list[int]]:
    """Which frames each pass has, and after them those left out; by their place in the list."""
    number = {id(frame): index for index, frame in enumerate(frames)}
    passes = passes_of(frames)
    kept = sorted(sorted(number[id(frame)] for frame in one.frames) for one in passes)
    doubled = sorted(number[id(frame)] for one in passes for frame in one.doubled)
    assert sorted([*chain(*kept), *doubled]) == list(range(len(frames)))
    return [*kept, *([doubled] if doubled else [])]


def pieces(*spans: tuple[float, int], step: float = 5.0) -> tuple[list[float], list[int]]:
    """Places of pieces that begin at a height and have so many, and the number of their piece."""
    places = [first + step * k for first, count in spans for k in range(count)]
    return places, [number + 1 for number, (_, count) in enumerate(spans) for _ in range(count)]


@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "StackID", "FrameAcquisitionNumber"])
@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_acquisitions_that_follow_one_another_are_one_pass(
    keyword: str, numbers: tuple[int, int]
) -> None:
    for gap in (0.02, 5.0, 30.0):
        places, which = pieces((0.0, 12), (55.0 + gap, 8))
        values = [numbers[one - 1] for one in which]
        assert told_apart(lying(places, **{keyword: values})) == [list(range(20))]


@pytest.mark.parametrize(
    ("lower", "upper", "overlap", "joined"),
    # At most three places, and at most a quarter of the shorter piece.
    [(12, 30, 3, True), (30, 30, 4, False), (30, 8, 2, True), (8, 30, 3, False), (30, 3, 1, False)],
)
def test_pieces_may_meet_in_a_few_places(
    lower: int, upper: int, overlap: int, joined: bool
) -> None:
    places, which = pieces((0.0, lower), (5.0 * (lower - overlap), upper))
    first, second = list(range(lower)), list(range(lower, lower + upper))
    found = told_apart(lying(places, AcquisitionNumber=which))
    if joined:
        assert found == [first + second[overlap:], second[:overlap]]
    else:
        assert found == [first, second]
    # Half a step off no place is taken: they meet, and no image is left out.
    shifted = [z + 2.5 * (one == 2) for z, one in zip(places, which, strict=True)]
    found = told_apart(lying(shifted, AcquisitionNumber=which))
    assert found == [first + second]


def test_what_joins_left_out_is_told_of_every_join() -> None:
    places, which = pieces((0.0, 12), (55.0, 12), (110.0, 12))
    found = told_apart(lying(places, AcquisitionNumber=which))
    assert found == [[*range(12), *range(13, 24), *range(25, 36)], [12, 24]]


def test_pieces_go_on_where_the_one_before_in_time_ended() -> None:
    """Two passes of two helices each, the second a little higher; whatever order they come in."""
    places, which = pieces((0.0, 12), (60.0, 12), (1.0, 12), (61.0, 12))
    frames = lying(places, AcquisitionNumber=which)
    assert told_apart(frames) == [list(range(24)), list(range(24, 48))]
    assert told_apart(frames[::-1]) == [list(range(24)), list(range(24, 48))]
    # From head to feet the lower helix is the later one.
    turned = lying(places, AcquisitionNumber=[{1: 2, 2: 1, 3: 4, 4: 3}[one] for one in which])
    assert [len(one) for one in told_apart(turned)] == [24, 24]


def test_a_number_that_some_frames_lack_is_a_hint_only() -> None:
    places = [5.0 * k for k in range(24)]
    lower = [1] * 12 + [None] * 12
    assert told_apart(lying(places, AcquisitionNumber=lower)) == [list(range(24))]
    in_turn = [1, None] * 12
    expected = [list(range(0, 24, 2)), list(range(1, 24, 2))]
    assert told_apart(lying(places, AcquisitionNumber=in_turn)) == expected


@pytest.mark.parametrize("passes", [2, 3, 8, 9])
def test_hints_are_believed_of_up_to_eight_whole_passes(passes: int) -> None:
    places = [1.0 * k for k in range(passes * 5)]
    values = [100 + k % passes for k in range(passes * 5)]
    found = told_apart(lying(places, Exposure=values))
    assert len(found) == (passes if passes <= 8 else 1)


@pytest.mark.parametrize(
    ("left_out", "whole"),
    [([], True), ([0], True), ([0, 2], True), ([0, 2, 4], False), ([20, 22], False), ([10], False)],
)
@pytest.mark.parametrize("lowest", [0.0, -700.0, 700.0])
def test_a_hint_is_believed_where_each_part_is_even_and_reaches_both_ends(
    left_out: list[int], whole: bool, lowest: float
) -> None:
    kept = [k for k in range(24) if k not in left_out]
    places = [lowest + 5.0 * k for k in kept]
    found = told_apart(lying(places, XRayTubeCurrent=[80 + k % 2 for k in kept]))
    assert len(found) == (2 if whole else 1)


def test_two_places_are_no_pass() -> None:
    assert len(told_apart(lying([0.0, 1.0, 5.0, 6.0], Exposure=[1, 2, 1, 2]))) == 1
    six = [0.0, 1.0, 5.0, 6.0, 10.0, 11.0]
    assert len(told_apart(lying(six, Exposure=[1, 2, 1, 2, 1, 2]))) == 2
    # Nor are frames that lie at one place twice.
    assert len(told_apart(lying([0.0, 1.0] * 3, Exposure=[1, 2] * 3))) == 1


@pytest.mark.parametrize(("off", "even"), [(0.9, True), (1.1, False)])
@pytest.mark.parametrize("step", [5.0, 0.5])
def test_steps_of_a_pass_are_equal_within_a_fifth_or_rounding(
    off: float, even: bool, step: float
) -> None:
    places = [step * k for k in range(24)]
    # An end further out makes one step that much longer: of 2 steps, or of 0.15 mm.
    places[0] -= off * max(0.2 * 2 * step, 0.15)
    found = told_apart(lying(places, Exposure=[80 + k % 2 for k in range(24)]))
    assert len(found) == (2 if even else 1)


@pytest.mark.parametrize("keyword", ["InstanceNumber", "AcquisitionTime", "AcquisitionDateTime"])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("overlap", [0.0, 2.5])
def test_a_count_that_falls_back_begins_a_pass(keyword: str, down: bool, overlap: float) -> None:
    heights = [5.0 * k for k in range(12)]
    places = [*heights, *(z + overlap for z in heights)]
    if down:
        places = [-z for z in places]
    found = told_apart(lying(places, **{keyword: list(range(24))}))
    assert found == [list(range(12)), list(range(12, 24))]
    # One count for the images of one moment, which lie beside one another.
    twice = [k // 2 for k in range(24)]
    assert told_apart(lying(places, **{keyword: twice})) == found


def test_a_count_that_some_frames_lack_tells_nothing() -> None:
    places = [5.0 * k for k in range(12)] * 2
    assert len(told_apart(lying(places, InstanceNumber=[None, *range(1, 24)]))) == 1


def test_a_count_that_turns_in_the_middle_is_one_pass() -> None:
    places = [*(5.0 * k for k in range(12, 24)), *(5.0 * k for k in range(11, -1, -1))]
    assert len(told_apart(lying(places, InstanceNumber=list(range(24))))) == 1


def test_without_a_place_or_alone_frames_are_one_pass() -> None:
    frames = lying([0.0, 5.0, 10.0], AcquisitionNumber=[1, 2, 3])
    assert told_apart(frames[:1]) == [[0]]
    assert told_apart([*frames, *lying([0.0], ImagePositionPatient=[None])]) == [[0, 1, 2, 3]]


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
