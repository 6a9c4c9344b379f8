"""Slices become one regular volume in HU, or the reason why they cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError
from groundglass.read import read_study, read_volume
from groundglass.read.dicom.stacks.grid import AssemblySettings
from made_ct import SPACING_MM, as_bytes, ct_series, enhanced_ct, stored, thorax, write


def assemble(datasets: list[Dataset], folder: Path) -> Volume:
    (series,) = read_study(write(datasets, folder)).series
    return read_volume(series)


def refusal(datasets: list[Dataset], folder: Path) -> AssemblyError:
    with pytest.raises(AssemblyError) as caught:
        assemble(datasets, folder)
    assert caught.value.found
    assert caught.value.expected
    assert caught.value.action
    return caught.value


def move(data: Dataset, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> None:
    old = data.ImagePositionPatient
    data.ImagePositionPatient = [float(old[0]) + x, float(old[1]) + y, float(old[2]) + z]


def test_geometry_comes_from_positions(tmp_path: Path) -> None:
    volume = assemble(ct_series(), tmp_path)
    geometry = volume.geometry
    assert geometry.shape == thorax().shape
    assert geometry.spacing_mm == SPACING_MM
    assert geometry.origin_mm == (-160.0, -150.0, -300.0)
    assert geometry.directions == ((0, 0, 1), (0, 1, 0), (1, 0, 0))
    assert geometry.position_mm((2, 3, 4)) == (-140.0, -135.0, -280.0)
    assert volume.notes == ()


def test_order_is_by_position_alone(tmp_path: Path) -> None:
    datasets = ct_series()
    rng = np.random.default_rng(3)
    for data, number in zip(datasets, rng.permutation(len(datasets)).tolist(), strict=True):
        data.InstanceNumber = number
        data.SliceLocation = -7.0 * number
    shuffled = [datasets[k] for k in rng.permutation(len(datasets))]
    np.testing.assert_array_equal(assemble(shuffled, tmp_path).hu, thorax())


def test_spacing_is_not_the_thickness(tmp_path: Path) -> None:
    volume = assemble(ct_series(SliceThickness=3.0, SpacingBetweenSlices=-2.0), tmp_path)
    assert volume.geometry.spacing_mm[0] == SPACING_MM[0]


def test_non_square_pixels_and_images(tmp_path: Path) -> None:
    hu = thorax()[:, :48]
    volume = assemble(ct_series(hu, spacing_mm=(5.0, 0.7, 0.9)), tmp_path)
    assert volume.geometry.spacing_mm == (5.0, 0.7, 0.9)
    np.testing.assert_array_equal(volume.hu, hu)


def test_rescale_differs_per_slice(tmp_path: Path) -> None:
    hu = thorax() // 2 * 2
    datasets = ct_series(hu)
    for data in datasets[::2]:
        data.RescaleSlope, data.RescaleIntercept = 2, -1024
        data.PixelData = (stored(data) // 2).astype("<u2").tobytes()
    volume = assemble(datasets, tmp_path)
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, hu)


def test_fractional_rescale_is_float(tmp_path: Path) -> None:
    hu = thorax()
    datasets = ct_series(hu, RescaleSlope="0.5", RescaleIntercept="-1024.0")
    for data, plane in zip(datasets, hu, strict=True):
        data.PixelData = ((plane.astype(int) + 1024) * 2 + 1).astype("<u2").tobytes()
        data.BitsStored, data.HighBit = 16, 15
    volume = assemble(datasets, tmp_path)
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, hu + 0.5)


@pytest.mark.parametrize(
    "header", [{"PixelPaddingValue": -2000}, {"PixelPaddingValue": 63536}, {}], ids=str
)
def test_fill_outside_the_field_of_view(tmp_path: Path, header: dict[str, int]) -> None:
    hu = thorax()
    datasets = ct_series(hu, PixelRepresentation=1, RescaleIntercept=0, BitsStored=16, HighBit=15)
    for data, plane in zip(datasets, hu, strict=True):
        filled = plane.copy()
        filled[:5] = -2000
        data.PixelData = filled.astype("<i2").tobytes()
        for keyword, value in header.items():
            data.add_new(keyword, "SS" if value < 0 else "US", value)
    volume = assemble(datasets, tmp_path)
    assert (volume.hu[:, :5] == -1024).all()
    np.testing.assert_array_equal(volume.hu[:, 5:], hu[:, 5:])
    assert any("-1024" in note for note in volume.notes)


def test_padding_range(tmp_path: Path) -> None:
    hu = thorax()
    datasets = ct_series(hu, RescaleIntercept=-1000)
    for data, plane in zip(datasets, hu, strict=True):
        values = (plane.astype(int).clip(-900) + 1000).astype("<u2")
        values[:5, ::2], values[:5, 1::2] = 0, 3
        data.PixelData = values.tobytes()
        data.add_new("PixelPaddingValue", "US", 0)
        data.add_new("PixelPaddingRangeLimit", "US", 3)
    volume = assemble(datasets, tmp_path)
    assert (volume.hu[:, :5] == -1024).all()
    np.testing.assert_array_equal(volume.hu[:, 5:], hu[:, 5:].clip(-900))


def test_padding_in_the_range_of_tissue_makes_no_holes(tmp_path: Path) -> None:
    datasets = ct_series()
    for data in datasets:
        data.add_new("PixelPaddingValue", "US", 1064)  # 40 HU
    volume = assemble(datasets, tmp_path)
    np.testing.assert_array_equal(volume.hu, thorax())
    assert any("PixelPaddingValue" in note for note in volume.notes)


def test_values_beyond_int16_are_clipped_and_noted(tmp_path: Path) -> None:
    datasets = ct_series(BitsStored=16, HighBit=15)
    metal = stored(datasets[3]).copy()
    metal[30, 30] = 65000
    datasets[3].PixelData = metal.tobytes()
    volume = assemble(datasets, tmp_path)
    assert volume.hu[3, 30, 30] == 32767
    assert any("32767" in note for note in volume.notes)


def _drop(datasets: list[Dataset]) -> None:
    del datasets[10]


def _repeat(datasets: list[Dataset]) -> None:
    datasets[8].ImagePositionPatient = datasets[7].ImagePositionPatient


def _irregular(datasets: list[Dataset]) -> None:
    move(datasets[12], z=2.5)


def _tilt(datasets: list[Dataset]) -> None:
    for data in datasets:
        data.ImageOrientationPatient = [1, 0, 0, 0, 0.9396926, -0.3420201]


def _shift(datasets: list[Dataset]) -> None:
    move(datasets[12], x=30)


def _turn(datasets: list[Dataset]) -> None:
    datasets[12].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def _resize(datasets: list[Dataset]) -> None:
    datasets[12].PixelSpacing = [4.0, 4.0]


def _few(datasets: list[Dataset]) -> None:
    del datasets[2:]


def _nowhere(datasets: list[Dataset]) -> None:
    del datasets[12].ImagePositionPatient


def _table(datasets: list[Dataset]) -> None:
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData, lut.ModalityLUTType = [4096, 0, 16], b"\0" * 8192, "HU"
    datasets[12].ModalityLUTSequence = Sequence([lut])


def _unscaled(datasets: list[Dataset]) -> None:
    del datasets[12].RescaleSlope


def _other_units(datasets: list[Dataset]) -> None:
    datasets[12].RescaleType = "Z_EFF"


def _inverted(datasets: list[Dataset]) -> None:
    datasets[12].PhotometricInterpretation = "MONOCHROME1"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_drop, r"gap of 20\.0 mm between instance number 10 \(z = -210\.0 mm\) and instance "
                r"number 12 \(z = -190\.0 mm\)"),
        (_repeat, r"instance number 8 and instance number 9 both at"),
        (_irregular, r"irregular spacing: instance number 13"),
        (_tilt, r"tilted by 20\.0°"),
        (_shift, r"shifted sideways by up to 30\.0 mm"),
        (_turn, r"more than one orientation \(instance number 13"),
        (_resize, r"more than one pixel spacing \(instance number 13"),
        (_few, r"2 slices"),
        (_nowhere, r"ImagePositionPatient in instance number 13"),
        (_table, r"Modality LUT"),
        (_unscaled, r"no RescaleSlope"),
        (_other_units, r"Z_EFF, not HU"),
        (_inverted, r"MONOCHROME1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_refusals_say_what_and_where(
    tmp_path: Path, spoil: Callable[[list[Dataset]], None], words: str
) -> None:
    datasets = ct_series()
    spoil(datasets)
    refusal(datasets, tmp_path).found  # noqa: B018  (three parts are there)
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match=words):
        read_volume(series)


def test_unspecified_units_are_believed_if_the_voxels_bear_them_out(tmp_path: Path) -> None:
    volume = assemble(ct_series(RescaleType="US"), tmp_path / "a")
    assert any("unspecified" in note for note in volume.notes)
    wrong = ct_series(RescaleType="US", RescaleIntercept=0)
    assert "not Hounsfield units" in refusal(wrong, tmp_path / "b").found


def test_a_long_gap_is_named_once(tmp_path: Path) -> None:
    datasets = ct_series()
    assert "gap of 60.0 mm" in refusal(datasets[:8] + datasets[13:], tmp_path).found


def _spaced(steps: list[float]) -> list[Dataset]:
    datasets = ct_series(thorax(len(steps) + 1))
    for data, z in zip(datasets, np.cumsum([0.0, *steps]), strict=True):
        x, y, _ = data.ImagePositionPatient
        data.ImagePositionPatient = [x, y, float(z)]
    return datasets


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([5.0] * 12 + [8.0] * 8, "2 spacings (12 steps of 5.00 mm, then 8 steps of 8.00 mm)"),
        ([5.0] * 12 + [10.0] * 8, "2 spacings"),
        ([10.0] * 4 + [5.0] * 8 + [10.0] * 4, "3 spacings"),
        ([1.3, 4.7] * 8, "1.30 and 4.70 mm apart in turn: two passes"),
        ([5.0] * 8 + [12.4] + [5.0] * 8, "no whole numbers of slices"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_gap_is_not_called_one(tmp_path: Path, steps: list[float], words: str) -> None:
    told = str(refusal(_spaced(steps), tmp_path))
    assert words in told
    assert "Send the missing slices" not in told


@pytest.mark.parametrize("gap", [10.0, 15.3])
def test_missing_slices_are_asked_for(tmp_path: Path, gap: float) -> None:
    told = str(refusal(_spaced([5.0] * 8 + [gap] + [5.0] * 8), tmp_path))
    assert "Send the missing slices" in told


def test_cosines_of_few_digits_are_one_orientation(tmp_path: Path) -> None:
    datasets = ct_series()
    for index, data in enumerate(datasets):
        data.ImageOrientationPatient = [1, 2e-4 * (index % 3 - 1), 0, 0, 1, 2e-4 * (index % 2)]
    np.testing.assert_array_equal(assemble(datasets, tmp_path).hu, thorax())


@pytest.mark.parametrize("jitter", [0.01, 0.05])
def test_jitter_of_real_scanners_is_accepted(tmp_path: Path, jitter: float) -> None:
    rng = np.random.default_rng(0)
    datasets = ct_series(spacing_mm=(1.25, 5.0, 5.0))
    for data in datasets:
        dx, dy, dz = rng.uniform(-jitter, jitter, 3)
        move(data, round(dx, 3), round(dy, 3), round(dz, 3))
        noise = rng.uniform(-1e-6, 1e-6, 6)
        data.ImageOrientationPatient = [
            f"{c + e:.8f}" for c, e in zip((1, 0, 0, 0, 1, 0), noise, strict=True)
        ]
    volume = assemble(datasets, tmp_path)
    assert volume.geometry.spacing_mm[0] == pytest.approx(1.25, abs=0.01)


def test_positions_rounded_to_tenths_of_a_millimetre(tmp_path: Path) -> None:
    datasets = ct_series(spacing_mm=(0.625, 5.0, 5.0))
    for data in datasets:
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [x, y, round(float(z), 1)]
    assert assemble(datasets, tmp_path).geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.01)


def test_tolerances_are_settings(tmp_path: Path) -> None:
    datasets = ct_series()
    _irregular(datasets)
    (series,) = read_study(write(datasets, tmp_path)).series
    volume = read_volume(series, settings=AssemblySettings(position_tolerance=0.3))
    assert volume.geometry.spacing_mm[0] == SPACING_MM[0]


def test_progress_counts_slices(tmp_path: Path) -> None:
    (series,) = read_study(write(ct_series(thorax(6)), tmp_path)).series
    seen: list[tuple[int, int]] = []
    read_volume(series, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(done, 6) for done in range(1, 7)]


def test_enhanced_frames_are_ordered_by_their_groups(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(as_bytes(enhanced_ct()))
    volume = read_volume(read_study(tmp_path).series[0])
    np.testing.assert_array_equal(volume.hu, thorax())
    assert volume.geometry.origin_mm == (-160.0, -150.0, -300.0)


def test_enhanced_frames_without_position_are_refused(tmp_path: Path) -> None:
    data = enhanced_ct()
    del data.PerFrameFunctionalGroupsSequence[4].PlanePositionSequence
    (tmp_path / "e").write_bytes(as_bytes(data))
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match="ImagePositionPatient in frame 5"):
        read_volume(series)


def test_an_enhanced_object_with_missing_groups_is_not_read(tmp_path: Path) -> None:
    data = enhanced_ct()
    data.PerFrameFunctionalGroupsSequence = data.PerFrameFunctionalGroupsSequence[:-1]
    (tmp_path / "e").write_bytes(as_bytes(data))
    write(ct_series(thorax(3)), tmp_path)
    (rejection,) = read_study(tmp_path).rejected
    assert "23 frame descriptions for 24 frames" in rejection.reason
