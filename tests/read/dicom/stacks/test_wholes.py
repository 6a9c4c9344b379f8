"""A part of a stack is never judged, and what tears it is said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from groundglass.core.study import ANY_SERIES, Rejection, Series, SourceKind
from groundglass.errors import AssemblyError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.dicom.headers.ct_header import DicomInstance
from groundglass.read.dicom.stacks.wholes import NamedStack, whole_stacks
from made_ct import SLICES, STUDY_UID, ct_header, ct_series, thorax, write
from made_images import metaimage

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def stack(
    places: Sequence[float], name: str = "one", series: str = "1.1", **header: object
) -> NamedStack:
    """CT slices at these heights, `header` on each of them."""
    study = str(header.pop("study", "1"))
    instances = tuple(
        DicomInstance(
            Path(f"{name}-{index}"),
            None,
            str(CTImageStorage),
            f"{series}.{name}.{index}",
            ct_header(
                {
                    "SOPClassUID": str(CTImageStorage),
                    "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"),
                    "ImagePositionPatient": (0.0, 0.0, float(z)),
                    "ImageOrientationPatient": AXIAL,
                    "PixelSpacing": (0.8, 0.8),
                    "Rows": 512,
                    "Columns": 512,
                    "InstanceNumber": index + 1,
                    "SeriesNumber": 3,
                    **header,
                }
            ),
        )
        for index, z in enumerate(places)
    )
    return NamedStack(name, Series(series, study, SourceKind.DICOM, "CT", "chest", instances))


def judged(*stacks: NamedStack, lost: Sequence[Rejection] = ()) -> tuple[list[str], list[str]]:
    """Names of the whole stacks, and what is said of the others."""
    whole, rejections = whole_stacks(stacks, lost)
    return [one.name for one in whole], [f"{one.what}: {one.reason}" for one in rejections]


def steps(count: int, step: float = 5.0, first: float = 0.0) -> list[float]:
    return [first + step * k for k in range(count)]


def test_one_stack_is_whole_and_so_are_stacks_of_one_extent() -> None:
    assert judged(stack(steps(24))) == (["one"], [])
    fine = stack(steps(48, 2.5), "fine", ConvolutionKernel=("B70f",))
    assert judged(stack(steps(24)), fine) == (["one", "fine"], [])


@pytest.mark.parametrize(("short", "whole"), [(3.7, True), (3.8, False)])
@pytest.mark.parametrize("at_head", [True, False])
def test_a_stack_reaches_as_far_as_all_within_three_quarters_of_its_step(
    short: float, whole: bool, at_head: bool
) -> None:
    places = steps(24)
    places[-1 if at_head else 0] += short if at_head else -short
    found, told = judged(stack(places, "long"), stack(steps(24), "short"))
    assert found == (["long", "short"] if whole else ["long"])
    total = 115 + short
    assert told == (
        [] if whole else [f"short: a part of its series: it covers 115 of {total:.0f} mm"]
    )


def test_a_single_slice_covers_itself_alone() -> None:
    found, told = judged(stack(steps(24), "long"), stack([115.0], "last"))
    assert found == ["long"]
    assert told == ["last: a part of its series: it covers 0 of 115 mm"]


def test_where_no_stack_covers_all_it_is_said_once_with_what_differs() -> None:
    lower = stack(steps(12), "lower", ConvolutionKernel=("B40f",))
    upper = stack(steps(10, first=60.0), "upper", ConvolutionKernel=("B70f",), Rows=256)
    found, (told,) = judged(lower, upper)
    assert found == []
    assert told == (
        "series 3 'chest' (22 images): comes apart into 2 stacks, which differ in size, kernel; "
        "none of them covers what all of them do, and a part is not judged"
    )
    (told,) = judged(lower, stack(steps(10, first=60.0), PixelSpacing=(0.8, 0.7)))[1]
    assert "which differ in kernel, Pixel Spacing; " in told
    # Alike in all that is asked: nothing is said to differ.
    (told,) = judged(stack(steps(12), "lower"), stack(steps(10, first=60.0), "upper"))[1]
    assert "comes apart into 2 stacks; none" in told


@pytest.mark.parametrize(("tilt_deg", "parallel"), [(7.0, True), (9.0, False)])
@pytest.mark.parametrize("turned", [1.0, -1.0])
def test_stacks_run_the_same_way_up_to_eight_degrees(
    tilt_deg: float, parallel: bool, turned: float
) -> None:
    c, s = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    tilted = stack(
        steps(8), "tilted", ImageOrientationPatient=(turned, 0.0, 0.0, 0.0, float(c), float(s))
    )
    found, told = judged(stack(steps(24)), tilted)
    assert found == (["one"] if parallel else ["one", "tilted"])
    assert bool(told) is parallel


def test_a_scout_of_another_size_is_no_part_and_one_alike_is_judged_like_a_slice() -> None:
    scout = {"ImageType": ("ORIGINAL", "PRIMARY", "LOCALIZER")}
    other = stack([0.0], "scout", Rows=888, **scout)
    assert judged(stack(steps(24)), other) == (["one", "scout"], [])
    assert judged(other, stack(steps(24))) == (["scout", "one"], [])
    assert judged(stack(steps(24)), stack([0.0], "scout", **scout))[0] == ["one"]
    # Scouts alone are told elsewhere why they are not taken.
    pair = (stack([0.0], "a", **scout), stack([50.0], "b", **scout))
    assert judged(*pair) == (["a", "b"], [])


def test_a_scout_first_does_not_hide_that_slices_come_apart() -> None:
    scout = stack([0.0], "scout", Rows=888, ImageType=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    found, (told,) = judged(scout, stack(steps(12), "a"), stack(steps(12, first=60.0), "b"))
    assert found == ["scout"]
    assert "comes apart into 2 stacks" in told


def test_single_slices_at_one_place_are_no_parts_of_one_another() -> None:
    assert judged(stack([5.0], "a"), stack([5.0], "b", ConvolutionKernel=("x",)))[0] == ["a", "b"]


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("ImagePositionPatient", "Image Position (Patient)"),
        ("ImageOrientationPatient", "Image Orientation (Patient)"),
        ("PixelSpacing", "Pixel Spacing"),
    ],
)
def test_slices_without_a_place_take_the_series_with_them(keyword: str, words: str) -> None:
    lost = stack(steps(3), "lost", **{keyword: None})
    found, (told,) = judged(stack(steps(24)), lost)
    assert found == ["lost"]  # which other judges refuse
    assert told == (
        f"series 3 'chest' (27 images): no usable {words} in instance number 1 and 2 more; without "
        "its place a slice cannot be put into the stack"
    )
    (told,) = judged(stack(steps(24)), stack([0.0], "lost", **{keyword: None}))[1]
    assert f"no usable {words} in instance number 1; without" in told
    # Of what is no CT slice, no place is asked.
    scout = stack([0.0], "lost", ImageType=("A", "B", "LOCALIZER"), **{keyword: None})
    assert judged(stack(steps(24)), scout)[0] == ["one", "lost"]


def test_a_series_that_lost_images_is_not_judged_and_others_are() -> None:
    other = stack(steps(24), "other", series="1.2", SeriesDescription="other")
    scout = stack([0.0], "scout", ImageType=("ORIGINAL", "PRIMARY", "LOCALIZER"), Rows=888)
    stacks = (stack(steps(24)), scout, other)
    one = Rejection("a file", "damaged", missing_from="1.1")
    found, (told,) = judged(*stacks, lost=[one])
    assert found == ["scout", "other"]
    assert told == (
        "series 3 'chest': 1 image that is or may be of it cannot be used, and a part is not "
        "judged; the first: damaged"
    )
    (told,) = judged(*stacks, lost=[one, Rejection("b", "worse", missing_from="1.1")])[1]
    assert "2 images that are or may be of it" in told
    assert judged(*stacks, lost=[Rejection("a", "b", missing_from=ANY_SERIES)])[0] == ["scout"]
    nowhere = stack([0.0], "nowhere", ImagePositionPatient=None)
    assert judged(nowhere, *stacks, lost=[one])[0] == ["nowhere", "scout", "other"]
    assert judged(*stacks, lost=[Rejection("a", "no image at all")])[0] == ["one", "scout", "other"]


def in_series(*spans: list[float], **header: object) -> list[NamedStack]:
    """A stack in each series."""
    return [
        stack(places, f"s{k}", series=f"1.{k}", SeriesDescription="thorax", **header)
        for k, places in enumerate(spans)
    ]


@pytest.mark.parametrize(
    ("spans", "one"),
    [
        ((steps(12), steps(12, first=60.0)), True),
        ((steps(12, 10.0), steps(12, 10.0, first=5.0)), False),  # each covers what both do
        ((steps(5), steps(5, first=25.0)), True),
        ((steps(5), steps(4, first=25.0)), False),  # nine slices
        ((steps(12), steps(12)), False),  # twice the same
        ((steps(12), steps(12, first=65.0)), False),  # with a gap
        ((steps(12), steps(12, first=61.1)), False),  # a step longer by more than a fifth
        ((steps(12), steps(12, first=60.9)), True),
        ((steps(24), [120.0]), True),
        ((steps(24), [123.0]), False),  # beyond its reach, and not even
    ],
)
def test_series_that_make_one_even_stack_together_are_parts(
    spans: tuple[list[float], ...], one: bool
) -> None:
    found, told = judged(*in_series(*spans))
    assert found == ([] if one else ["s0", "s1"])
    count = sum(map(len, spans))
    assert told == (
        [
            f"s0, s1: make one stack of {count} slices together, though they are several series; a "
            "part is not judged"
        ]
        if one
        else []
    )


def test_of_many_series_three_are_named() -> None:
    many = in_series(*(steps(6, first=30.0 * k) for k in range(5)))
    (told,) = judged(*many)[1]
    assert told.startswith("s0, s1, s2 and 2 more: make one stack of 30 slices together")
    (told,) = judged(*many[:3])[1]
    assert told.startswith("s0, s1, s2: make")


@pytest.mark.parametrize(
    "header",
    [
        {"ConvolutionKernel": ("B70f",)},
        {"SeriesDescription": "abdomen"},
        {"Rows": 256},
        {"PixelSpacing": (0.8, 0.802)},
        {"ImageOrientationPatient": (0.9998, 0.02, 0.0, -0.02, 0.9998, 0.0)},
        {"ImageType": ("DERIVED", "PRIMARY", "AXIAL")},
    ],
    ids=str,
)
def test_what_does_not_look_alike_is_not_put_together(header: dict[str, object]) -> None:
    common = {"SeriesDescription": "thorax", "ConvolutionKernel": ("B40f",)}
    one = stack(steps(12), "s0", series="1.0", **common)
    other = stack(steps(12, first=60.0), "s1", series="1.1", **{**common, **header})
    assert judged(one, other)[0] == ["s0", "s1"]
    fourth = stack(steps(12, first=60.0), "s1", series="1.1", **common,
                   ImageType=("ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5"))  # fmt: skip
    assert judged(one, fourth)[0] == []


@pytest.mark.parametrize(("aside", "one"), [(0.95, True), (1.05, False)])
def test_what_lies_a_millimetre_aside_is_another_stack(aside: float, one: bool) -> None:
    first, second = in_series(steps(12), steps(12, first=60.0))
    moved = [
        replace(image, header=replace(image.header, image_position_mm=(aside, 0.0, z)))
        for image, z in zip(second.series.instances, steps(12, first=60.0), strict=True)
    ]
    second = NamedStack("s1", replace(second.series, instances=tuple(moved)))
    assert judged(first, second)[0] == ([] if one else ["s0", "s1"])


def test_which_uids_set_the_parts_apart_is_told() -> None:
    each = in_series(*([z] for z in steps(12)))
    assert "each image has a Series Instance UID of its own" in judged(*each)[1][0]
    studies = [
        stack(steps(12, first=60.0 * k), f"s{k}", f"1.{k}", study=f"9.{k}") for k in range(2)
    ]
    assert "though they name 2 studies; " in judged(*studies)[1][0]
    first, second = in_series(steps(12), steps(12, first=60.0))
    second = NamedStack("s1", replace(second.series, modality="PT"))
    assert "though they are of several modalities; " in judged(first, second)[1][0]


def refusal(datasets: list[Dataset], folder: Path) -> str:
    with pytest.raises(AssemblyError) as caught:
        select_chest_ct(read_study(write(datasets, folder)))
    return str(caught.value)


def with_its_own(keyword: str) -> list[Dataset]:
    datasets = ct_series()
    for index, data in enumerate(datasets):
        setattr(data, keyword, f"{STUDY_UID}.44.{index}")
    return datasets


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("SeriesInstanceUID", "each image has a Series Instance UID of its own"),
        ("FrameOfReferenceUID", "differ in Frame of Reference UID"),
        ("StudyInstanceUID", "name 24 studies"),
    ],
)
def test_a_uid_of_its_own_in_every_file_is_said_once(
    tmp_path: Path, keyword: str, words: str
) -> None:
    told = refusal(with_its_own(keyword), tmp_path)
    assert told.count(words) == 1
    assert STUDY_UID not in told
    assert len(told) < 500


@pytest.mark.parametrize("at", [1, 12, 23])
def test_one_stack_in_two_series(tmp_path: Path, at: int) -> None:
    datasets = ct_series()
    for data in datasets[at:]:
        data.SeriesInstanceUID, data.SeriesNumber = f"{STUDY_UID}.44", 2
    told = refusal(datasets, tmp_path)
    assert "make one stack of 24 slices together" in told
    assert "several series" in told


def test_another_series_may_go_on_where_this_one_ends(tmp_path: Path) -> None:
    """An abdomen below the chest is described as another thing."""
    abdomen = ct_series(number=2, SeriesDescription="Abdomen")
    for data in abdomen:
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [x, y, float(z) - SLICES * 10.0]
    write(abdomen, tmp_path / "a")
    write(ct_series(), tmp_path / "b")
    chosen = select_chest_ct(read_study(tmp_path))
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())


def test_a_part_loses_against_the_whole_of_its_series(tmp_path: Path) -> None:
    """However much better its kernel is."""
    part = ct_series(ConvolutionKernel="B70f")[:20]
    for index, data in enumerate(part):
        data.SOPInstanceUID = f"{STUDY_UID}.88.{index}"
    chosen = select_chest_ct(read_study(write(ct_series() + part, tmp_path)))
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())
    (rejection,) = chosen.rejected
    assert "covers 190 of 230 mm" in rejection.reason
    assert "kernel" in rejection.reason


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("PixelSpacing", "no usable Pixel Spacing in instance number 13"),
        ("ImageOrientationPatient", "no usable Image Orientation (Patient) in instance number 13"),
        ("ImagePositionPatient", "in instance number 13"),
    ],
)
def test_a_slice_without_a_place_is_no_gap(tmp_path: Path, keyword: str, words: str) -> None:
    datasets = ct_series()
    delattr(datasets[12], keyword)
    with pytest.raises(Exception, match="Found") as caught:
        select_chest_ct(read_study(write(datasets, tmp_path)))
    assert words in str(caught.value)
    assert "missing slices" not in str(caught.value)


def test_a_damaged_file_is_missing_from_its_series(tmp_path: Path) -> None:
    """At the end of the stack nothing else would show it."""
    files = sorted(write(ct_series(), tmp_path).iterdir())
    files[-1].write_bytes(files[-1].read_bytes()[:-1000])
    with pytest.raises(
        AssemblyError, match=r"1 image that is or may be of it cannot.*pixel data of"
    ):
        select_chest_ct(read_study(tmp_path))
    write(ct_series(number=2), tmp_path / "other")
    chosen = select_chest_ct(read_study(tmp_path))
    assert chosen.instances[0].header.series_number == 2


@pytest.mark.parametrize("last", [b"MONOCHROME2", b"B40f"], ids=["after its UIDs", "before"])
def test_a_header_cut_off_may_be_of_any_series(tmp_path: Path, last: bytes) -> None:
    files = sorted(write(ct_series(), tmp_path).iterdir())
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: whole.index(last) + len(last)])
    with pytest.raises(AssemblyError, match=r"cannot be used.*ends before its pixels"):
        select_chest_ct(read_study(tmp_path))


def test_a_file_of_another_format_is_no_copy_of_what_has_no_uid(tmp_path: Path) -> None:
    """Neither says which object it is."""
    files = sorted(write(ct_series(), tmp_path).iterdir())
    files[0].write_bytes(files[0].read_bytes()[:200])
    (tmp_path / "volume.mha").write_bytes(metaimage(thorax()))
    (lost,) = read_study(tmp_path).rejected
    assert (lost.what, lost.missing_from) == (files[0].name, ANY_SERIES)


def test_a_damaged_copy_of_a_sound_image_does_no_harm(tmp_path: Path) -> None:
    files = sorted(write(ct_series(), tmp_path).iterdir())
    (tmp_path / "again").write_bytes(files[-1].read_bytes()[:-1000])
    np.testing.assert_array_equal(read_volume(select_chest_ct(read_study(tmp_path))).hu, thorax())


def test_copies_that_differ_are_missing_from_their_series(tmp_path: Path) -> None:
    datasets = ct_series()
    copy = ct_series(thorax(seed=1))[-1]
    with pytest.raises(AssemblyError, match="2 images that are or may be of it cannot be used"):
        select_chest_ct(read_study(write([*datasets, copy], tmp_path)))
