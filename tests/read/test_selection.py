"""The chest CT is found among other series, and each of those is told why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from groundglass.core.study import Series
from groundglass.errors import AssemblyError, InputError, NoChestCT
from groundglass.read import read_study, read_volume, select_chest_ct
from made_ct import STUDY_UID, as_bytes, ct_series, enhanced_ct, thorax, write


def choose(folder: Path, *series: list[Dataset]) -> Series:
    for index, datasets in enumerate(series):
        write(datasets, folder / f"s{index}")
    return select_chest_ct(read_study(folder))


def chosen_number(series: Series) -> object:
    return series.instances[0].header.series_number


def elsewhere(slices: int = 24) -> np.ndarray:
    """A body without lung."""
    hu = thorax(slices)
    return np.where((hu > -900) & (hu < -500), 50, hu).astype(np.int16)


def localizer() -> list[Dataset]:
    return ct_series(thorax(2), number=8, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])


def coronal() -> list[Dataset]:
    return ct_series(
        number=8, ImageOrientationPatient=[1, 0, 0, 0, 0, -1], ImageType=["DERIVED", "SECONDARY"]
    )


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (localizer(), "localizer"),
        (coronal(), "not axial"),
        (
            ct_series(thorax(12), number=8, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
            "nearer sagittal",
        ),
        (ct_series(thorax(12), number=8, Modality="MR", SOPClassUID=MRImageStorage), "modality MR"),
        (
            ct_series(thorax(12), number=8, SOPClassUID=SecondaryCaptureImageStorage),
            "Secondary Capture",
        ),
        (
            ct_series(thorax(12), number=8, ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"]),
            "MIP",
        ),
        (
            ct_series(thorax(12), number=8, ImageType=["DERIVED", "PRIMARY", "PROJECTION IMAGE"]),
            "PROJECTION",
        ),
        (ct_series(thorax(12), number=8, SeriesDescription="Thorax MIP 10mm"), "MIP"),
        (
            ct_series(thorax(12), number=8, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]),
            "SCREEN SAVE",
        ),
        (ct_series(thorax(12), number=8, RescaleType="Z_EFF"), "not HU"),
        (ct_series(thorax(12), number=8, PhotometricInterpretation="MONOCHROME1"), "MONOCHROME1"),
        (ct_series(thorax(6), number=8), "6 slices"),
        (ct_series(thorax(12), number=8, spacing_mm=(3.0, 5, 5)), "covers 36 mm"),
        (ct_series(thorax(12), number=8, spacing_mm=(20.0, 5, 5)), "20.0 mm apart"),
        (
            ct_series(thorax(12), number=8, SeriesDescription="Abdomen 5mm"),
            "another part of the body",
        ),
        (
            ct_series(thorax(12), number=8, SeriesDescription="Head 5.0 H40s"),
            "another part of the body",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_chest_ct_is_passed_over(
    tmp_path: Path, other: list[Dataset], reason: str
) -> None:
    chosen = choose(tmp_path, other, ct_series(thorax(12)))
    assert chosen_number(chosen) == 1
    (rejection,) = chosen.rejected
    assert "series 8" in rejection.what
    assert reason in rejection.reason
    shutil.rmtree(tmp_path / "s1")
    with pytest.raises(NoChestCT, match="series 8") as caught:
        select_chest_ct(read_study(tmp_path))
    assert reason in caught.value.rejections[0]


@pytest.mark.parametrize(
    ("better", "worse", "words"),
    [
        ({"ConvolutionKernel": "B70f"}, {"ConvolutionKernel": "B40f"}, "B70f against soft"),
        ({"ConvolutionKernel": "LUNG"}, {"ConvolutionKernel": "STANDARD"}, "LUNG against soft"),
        ({"ConvolutionKernel": "FC51"}, {"ConvolutionKernel": "FC13"}, "FC51"),
        ({"ConvolutionKernel": ["Bl57d", "3"]}, {"ConvolutionKernel": ["Br40d", "3"]}, "Bl57d"),
        (
            {"ConvolutionKernel": "", "WindowCenter": -600},
            {"ConvolutionKernel": "", "WindowCenter": 40},
            "lung or sharp kernel against soft",
        ),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]},
         {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]}, "derived"),
        ({"SliceThickness": 10}, {"SliceThickness": 20}, "slices of 10.00 mm against"),
        ({}, {"ContrastBolusAgent": "Iohexol"}, "no contrast against contrast"),
        ({}, {"SeriesDescription": "Thorax exspiration"}, "breathed out"),
        ({}, {"PatientPosition": "HFP"}, "prone"),
        ({}, {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "VMI"]}, "virtual monoenergetic"),
        (
            {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]},
            {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"], "SeriesDescription": "Chest VNC 1.0"},
            "images as scanned against virtual non-contrast",
        ),
        ({"SeriesDescription": "Lunge 1.0"}, {"StudyDescription": "", "SeriesDescription": "x"},
         "described as chest against not described"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_ranking(
    tmp_path: Path, better: dict[str, object], worse: dict[str, object], words: str, first: bool
) -> None:
    """Whatever the series number, the better series wins, and the reason says by what."""
    good, bad = (1, 2) if first else (2, 1)
    chosen = choose(
        tmp_path,
        ct_series(thorax(12), number=good, **better),
        ct_series(thorax(12), number=bad, **worse),
    )
    assert chosen_number(chosen) == good
    assert words in chosen.selection_reason
    assert f"series {bad}" in chosen.selection_reason
    (rejection,) = chosen.rejected
    assert words in rejection.reason


def test_thin_before_thick_and_whole_before_part(tmp_path: Path) -> None:
    thick = ct_series(thorax(30, side=16), number=1, spacing_mm=(8.0, 20, 20))
    thin = ct_series(thorax(160, side=16), number=2, spacing_mm=(1.5, 20, 20))
    part = ct_series(
        thorax(110, side=16), number=3, spacing_mm=(1.4, 20, 20), ConvolutionKernel="B70f"
    )
    chosen = choose(tmp_path, thick, thin, part)
    assert chosen_number(chosen) == 2
    reasons = {rejection.what: rejection.reason for rejection in chosen.rejected}
    assert "1.5 mm against slices of 8 mm" in reasons["series 1 'made' (30 images)"]
    assert "240 mm covered against 154 mm" in reasons["series 3 'made' (110 images)"]


def test_a_reconstruction_of_one_lung_loses(tmp_path: Path) -> None:
    whole = ct_series(number=2)
    aimed = ct_series(number=1, spacing_mm=(10.0, 2.5, 2.5), ConvolutionKernel="B70f")
    chosen = choose(tmp_path, whole, aimed)
    assert chosen_number(chosen) == 2
    assert "field of view of 320 mm against a field of view of 160 mm" in chosen.selection_reason


def test_a_series_with_a_gap_loses_but_is_still_the_chest_ct(tmp_path: Path) -> None:
    broken = ct_series(number=1, ConvolutionKernel="B70f")
    del broken[10]
    write(broken, tmp_path / "s0")
    alone = select_chest_ct(read_study(tmp_path))
    with pytest.raises(AssemblyError, match="gap"):
        read_volume(alone)
    write(ct_series(number=2), tmp_path / "s1")
    assert chosen_number(select_chest_ct(read_study(tmp_path))) == 2


@pytest.mark.parametrize(
    ("hu", "accepted"), [(thorax(), True), (elsewhere(), False)], ids=["lungs", "none"]
)
def test_undescribed_series_are_judged_by_their_content(
    tmp_path: Path, hu: np.ndarray, accepted: bool
) -> None:
    write(ct_series(hu, StudyDescription="", SeriesDescription="5mm"), tmp_path)
    if accepted:
        assert select_chest_ct(read_study(tmp_path)).selection_reason
        return
    with pytest.raises(NoChestCT, match="show lung over 0 mm"):
        select_chest_ct(read_study(tmp_path))


@pytest.mark.parametrize("words", ["HEAD", "ABDOMEN"])
def test_a_body_part_left_at_its_default_is_looked_behind(tmp_path: Path, words: str) -> None:
    silent = {"StudyDescription": "", "SeriesDescription": "5mm", "BodyPartExamined": words}
    chest = choose(tmp_path / "chest", ct_series(**silent))
    assert "described as chest" not in chest.selection_reason
    with pytest.raises(NoChestCT, match=f"another part of the body .*{words}.* show lung over 0"):
        choose(tmp_path / "other", ct_series(elsewhere(), **silent))


def test_one_slice_given_twice_does_not_tear_the_stack_apart(tmp_path: Path) -> None:
    datasets = ct_series()
    for index, data in enumerate(datasets):
        data.AcquisitionTime = f"1200{index:02d}"
    again = ct_series(SOPInstanceUID=f"{STUDY_UID}.77", AcquisitionTime="130000")[4]
    chosen = choose(tmp_path, [*datasets, again])
    with pytest.raises(AssemblyError, match="both at"):
        read_volume(chosen)


def test_lung_bases_in_an_abdomen_are_no_chest(tmp_path: Path) -> None:
    hu = elsewhere(40)
    hu[32:] = thorax(40)[12:20]
    write(ct_series(hu, StudyDescription="", SeriesDescription="5mm"), tmp_path)
    with pytest.raises(NoChestCT, match="show lung over"):
        select_chest_ct(read_study(tmp_path))


@pytest.mark.parametrize(
    "header",
    [
        {"SeriesDescription": "Thorax-Abdomen 5.0"},
        {"StudyDescription": "CT ABDOMEN", "SeriesDescription": "Chest 1.25"},
        {"BodyPartExamined": "ABDOMEN", "ProtocolName": "Chest Routine", "SeriesDescription": "x"},
        {"StudyDescription": "", "SeriesDescription": "WHOLE BODY low dose"},
    ],
    ids=str,
)
def test_a_word_for_the_chest_outweighs_others(tmp_path: Path, header: dict[str, str]) -> None:
    assert "described as chest" in choose(tmp_path, ct_series(**header)).selection_reason


def test_a_thoracic_spine_is_no_chest(tmp_path: Path) -> None:
    with pytest.raises(NoChestCT, match="another part"):
        choose(tmp_path, ct_series(SeriesDescription="Thoracic Spine 2.0", StudyDescription="CT"))


@pytest.mark.parametrize("position", ["HFS", "FFS", "HFP", "HFDR"])
def test_any_position_of_the_patient(tmp_path: Path, position: str) -> None:
    cosines = {
        "HFS": [1, 0, 0, 0, 1, 0],
        "FFS": [1, 0, 0, 0, 1, 0],
        "HFP": [-1, 0, 0, 0, -1, 0],
        "HFDR": [0, -1, 0, 1, 0, 0],
    }[position]
    chosen = choose(tmp_path, ct_series(PatientPosition=position, ImageOrientationPatient=cosines))
    assert read_volume(chosen).geometry.shape == thorax().shape


def test_localizers_inside_the_axial_series_are_separated(tmp_path: Path) -> None:
    scout = ct_series(
        thorax(2),
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
    )
    for index, data in enumerate(scout):
        data.SOPInstanceUID = f"{STUDY_UID}.77.{index}"
    chosen = choose(tmp_path, ct_series() + scout)
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())
    (rejection,) = chosen.rejected
    assert "stack 2 of 2" in rejection.what
    assert rejection.reason == "a localizer"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"ConvolutionKernel": "B70f"}, {"ConvolutionKernel": "B40f"}),
        ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
        ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
        ({"PixelSpacing": [5, 5]}, {"PixelSpacing": [4, 4]}),
    ],
    ids=str,
)
def test_two_stacks_with_one_series_uid(
    tmp_path: Path, first: dict[str, object], second: dict[str, object]
) -> None:
    one, two = thorax(seed=1), thorax(seed=2)
    datasets = ct_series(one, **first)
    for index, data in enumerate(ct_series(two, **second)):
        data.SOPInstanceUID = f"{STUDY_UID}.77.{index}"
        datasets.append(data)
    (series,) = read_study(write(datasets, tmp_path)).series
    with pytest.raises(AssemblyError):
        read_volume(series)
    chosen = select_chest_ct(read_study(tmp_path))
    hu = read_volume(chosen).hu
    assert np.array_equal(hu, one) or np.array_equal(hu, two)
    assert len(chosen.rejected) == 1


def test_acquisition_numbers_that_change_along_one_stack_do_not_split_it(tmp_path: Path) -> None:
    datasets = ct_series()
    for index, data in enumerate(datasets):
        data.AcquisitionNumber = index // 3
    assert choose(tmp_path, datasets).rejected == ()


def test_phases_of_an_enhanced_object_are_separated(tmp_path: Path) -> None:
    data = enhanced_ct()
    both = enhanced_ct()
    for frame in both.PerFrameFunctionalGroupsSequence:
        frame.FrameContentSequence[0].TemporalPositionIndex = 2
    for frame in data.PerFrameFunctionalGroupsSequence:
        frame.FrameContentSequence[0].TemporalPositionIndex = 1
    data.PerFrameFunctionalGroupsSequence += both.PerFrameFunctionalGroupsSequence
    data.NumberOfFrames *= 2
    data.PixelData += bytes(len(data.PixelData))
    (tmp_path / "e").write_bytes(as_bytes(data))
    chosen = select_chest_ct(read_study(tmp_path))
    assert len(chosen.rejected) == 1
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())


@pytest.mark.parametrize(
    ("numbers", "words"), [((1, 2), "first by series number"), ((3, 3), "first by the order of")]
)
def test_what_decides_between_equals_is_told(
    tmp_path: Path, numbers: tuple[int, int], words: str
) -> None:
    one, other = ct_series(number=1), ct_series(number=2)
    for series, number in ((one, numbers[0]), (other, numbers[1])):
        for data in series:
            data.SeriesNumber = number
    assert words in choose(tmp_path, one, other).rejected[0].reason


def test_two_examinations_are_not_chosen_between(tmp_path: Path) -> None:
    other = ct_series(number=2, StudyInstanceUID=f"{STUDY_UID}.55")
    with pytest.raises(InputError, match="2 examinations"):
        choose(tmp_path, ct_series(), other)


def test_real_studies(shared_data: Path) -> None:
    for study, kernel, slices in (("lung-dx-A0001", "L", 64), ("lung-dx-A0002", "B70f", 30)):
        chosen = select_chest_ct(read_study(shared_data / "studies" / study))
        assert f"({kernel})" in chosen.selection_reason
        assert chosen_number(chosen) == 2
        assert "soft kernel" in chosen.rejected[0].reason
        assert read_volume(chosen).geometry.shape == (slices, 512, 512)


ODD = {"brain-mr": "modality MR", "sagittal-ct": "not axial", "rgb-captures": "not CT"}


@pytest.mark.parametrize("name", ODD)
def test_odd_inputs_are_refused(shared_data: Path, name: str) -> None:
    with pytest.raises(NoChestCT, match=ODD[name]):
        select_chest_ct(read_study(shared_data / "odd-inputs" / name))


def test_odd_inputs_are_passed_over_in_a_good_study(shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_data / "odd-inputs", tmp_path / "odd")
    chosen = choose(tmp_path, ct_series())
    assert chosen_number(chosen) == 1
    told = " ".join(rejection.reason for rejection in chosen.rejected)
    assert all(words in told for words in ODD.values())
    np.testing.assert_array_equal(read_volume(chosen).hu, thorax())
