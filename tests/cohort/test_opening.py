"""Kinds told apart, each opened as what it is, or refused by row."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pytest

from groundglass.cohort import Case, Cohort, StudyKind, open_slice, open_study, study_kind
from groundglass.cohort.joining import join_cohorts, slices_of
from groundglass.cohort.phantoms import phantom_json
from groundglass.core.volume import Volume
from groundglass.errors import InputError, ReadError
from groundglass.phantom import PhantomSettings, make_phantom
from groundglass.read import read_study, read_volume, select_chest_ct

STATED = {
    "window_center_hu": "-600", "window_width_hu": "1500", "spacing_slices_mm": "8",
    "spacing_rows_mm": "0.7", "spacing_columns_mm": "0.7", "first_slice": "feet",
    "first_row": "front", "first_column": "right",
}  # fmt: skip


def _case(study: Path, **extra: str) -> Case:
    return Case("Doe^Jane", study, "CP", "train", "here", 7, extra)


@pytest.fixture(scope="module")
def dicom(phantom_study: Path) -> Volume:
    return read_volume(select_chest_ct(read_study(phantom_study)))


def _save_nifti(volume: Volume, path: Path) -> Path:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.geometry.affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(volume.hu.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def test_every_kind_is_told_from_the_others(
    tmp_path: Path, phantom_study: Path, make_image: Any, make_phantom_file: Any
) -> None:
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(next(phantom_study.iterdir()), "1")
    for name in ("a.nii", "b.NII.GZ", "c.mha", "noending"):
        (tmp_path / name).touch()
    make_image("stack/1.png"), make_image("stack/deep/2.tif"), make_image("single.JPG")
    (tmp_path / "stack" / ".DS_Store").touch()
    make_phantom_file("p.phantom.json", seed=1)
    kinds = {
        phantom_study: StudyKind.DICOM,
        tmp_path / "study.zip": StudyKind.DICOM,
        tmp_path / "noending": StudyKind.DICOM,
        tmp_path / "a.nii": StudyKind.NIFTI,
        tmp_path / "b.NII.GZ": StudyKind.NIFTI,
        tmp_path / "c.mha": StudyKind.METAIMAGE,
        tmp_path / "single.JPG": StudyKind.IMAGE,
        tmp_path / "stack": StudyKind.IMAGE_STACK,
        tmp_path / "p.phantom.json": StudyKind.PHANTOM,
    }
    assert {path: study_kind(path) for path in kinds} == kinds
    assert [kind for kind in StudyKind if not kind.is_volume] == [StudyKind.IMAGE]
    (tmp_path / "stack" / "notes.txt").touch()
    assert study_kind(tmp_path / "stack") is StudyKind.DICOM


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, words in (("gone", "no file or folder"), ("empty", "an empty folder")):
        with pytest.raises(ReadError, match=words):
            study_kind(tmp_path / name)
        with pytest.raises(InputError, match="row 7"):
            open_study(_case(tmp_path / name))


def test_dicom_and_nifti_of_a_volume_are_that_volume(
    dicom: Volume, phantom_study: Path, tmp_path: Path
) -> None:
    assert np.array_equal(open_study(_case(phantom_study)).hu, dicom.hu)
    path = _save_nifti(dicom, tmp_path / "v.nii.gz")
    turned, _ = open_study(_case(path)).to_axial()
    assert np.array_equal(turned.hu, dicom.to_axial()[0].hu)


def test_a_phantom_file_is_rendered(tmp_path: Path, make_phantom_file: Any) -> None:
    path = tmp_path / make_phantom_file("p.phantom.json", label="NCP", seed=3)
    settings = PhantomSettings("NCP", 0.5, 3, 64, 4, 20.0)
    assert np.array_equal(open_study(_case(path)).hu, make_phantom(settings).volume.hu)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_an_image_stack_is_the_volume_its_row_states(tmp_path: Path, suffix: str) -> None:
    grey = np.linspace(0, 255, 12 * 16 * 16).reshape(12, 16, 16).astype(np.uint8)
    for k, plane in enumerate(grey):
        cv2.imwrite(str(tmp_path / f"slice{k}{suffix}"), plane)
    volume = open_study(_case(tmp_path, **STATED))
    expected = grey * (1500 / 255) - 600 - 750
    assert np.abs(volume.hu - np.maximum(expected, -1024)).max() <= (20 if suffix == ".jpg" else 1)
    assert volume.geometry.spacing_mm == (8.0, 0.7, 0.7)
    assert volume.geometry.directions[0] == (0.0, 0.0, 1.0)
    assert "HU known only within the window" in " ".join(volume.notes)


def test_an_image_stack_of_hu_needs_a_rescale(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 2000, (3, 16, 16), np.uint16)
    for k, plane in enumerate(stored):
        cv2.imwrite(str(tmp_path / f"{k}.png"), plane)
    rescale = {"rescale_slope": "1", "rescale_intercept_hu": "-1024"}
    rest = {key: value for key, value in STATED.items() if "window" not in key}
    assert np.array_equal(open_study(_case(tmp_path, **rest, **rescale)).hu, stored - 1024.0)
    with pytest.raises(InputError, match="row 7: uint16 pictures with a display window"):
        open_study(_case(tmp_path, **STATED))
    with pytest.raises(InputError, match="both a window and a rescale"):
        open_study(_case(tmp_path, **STATED, **rescale))


@pytest.mark.parametrize("gone", sorted(STATED))
def test_nothing_about_images_is_guessed(tmp_path: Path, make_image: Any, gone: str) -> None:
    make_image("s/1.png"), make_image("s/2.png")
    stated = {key: value for key, value in STATED.items() if key != gone}
    with pytest.raises(InputError, match=rf"row 7: .* does not state {gone};"):
        open_study(_case(tmp_path / "s", **stated))
    open_study(_case(tmp_path / "s", **STATED))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("window_width_hu", "wide"),
        ("window_width_hu", "-5"),
        ("spacing_rows_mm", "0"),
        ("first_slice", "top"),
    ],
)
def test_stated_nonsense_is_refused(
    tmp_path: Path, make_image: Any, column: str, value: str
) -> None:
    make_image("s/1.png")
    with pytest.raises(InputError, match="row 7"):
        open_study(_case(tmp_path / "s", **{**STATED, column: value}))


def test_pictures_of_two_sizes_are_no_stack(tmp_path: Path, make_image: Any) -> None:
    make_image("s/1.png")
    cv2.imwrite(str(tmp_path / "s" / "2.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match="different sizes"):
        open_study(_case(tmp_path / "s", **STATED))


def test_a_slice_is_its_grey_values(tmp_path: Path, make_image: Any) -> None:
    path = tmp_path / make_image("a.png", 3)
    expected = np.random.default_rng(3).integers(0, 256, (16, 16), np.uint8)
    assert np.array_equal(open_slice(_case(path)), expected)
    with pytest.raises(InputError, match="row 7: a single image"):
        open_study(_case(path))


def test_colours_become_brightness_and_transparency_is_left_out(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    same = np.stack([grey, grey, grey, np.full_like(grey, 7)], axis=-1)
    cv2.imwrite(str(tmp_path / "grey.png"), same)
    assert np.array_equal(open_slice(_case(tmp_path / "grey.png")), grey)
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 2] = 255  # OpenCV's order is blue, green, red
    cv2.imwrite(str(tmp_path / "red.png"), red)
    assert (open_slice(_case(tmp_path / "red.png")) == 76).all()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n cut off", "cut off"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "cut off"),
        ("a.png", b"GIF89a", "no PNG, JPEG or TIFF"),
        ("a.png", b"", "no PNG, JPEG or TIFF"),
        ("a.nii", b"", "no image file"),
    ],
)
def test_what_is_no_slice_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"row 7: .*{words}"):
        open_slice(_case(tmp_path / name))


def test_sixteen_bits_are_no_slice(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4), np.uint16))
    with pytest.raises(InputError, match="row 7: an image of uint16"):
        open_slice(_case(tmp_path / "a.png"))


@pytest.mark.parametrize("whole", [0, 1])
def test_no_refusal_names_a_file(tmp_path: Path, phantom_study: Path, whole: int) -> None:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    for number, path in enumerate(sorted(phantom_study.iterdir())[:6]):
        content = path.read_bytes() if number < whole else b"no DICOM"
        (folder / f"Doe^Jane {number}").write_bytes(content)
    with pytest.raises(InputError) as refused:
        open_study(_case(folder))
    assert "row 7" in str(refused.value)
    assert "Doe" not in str(refused.value)


def test_joined_tables_number_their_rows_anew(tmp_path: Path) -> None:
    one = Cohort(tmp_path / "a.csv", (_case(tmp_path / "x"), _case(tmp_path / "y")))
    joined = join_cohorts([one, one], tmp_path / "c.csv")
    assert [case.row for case in joined.cases] == [2, 3, 4, 5]
    assert [case.study.name for case in joined.cases] == ["x", "y", "x", "y"]


def test_slices_take_their_stacks_row(tmp_path: Path, make_image: Any) -> None:
    make_image("s/1.png"), make_image("s/2.png"), make_image("single.png")
    cases = (_case(tmp_path / "s", age="4"), _case(tmp_path / "single.png"))
    slices = slices_of(Cohort(tmp_path / "t.csv", cases)).cases
    assert [case.study.name for case in slices] == ["1.png", "2.png", "single.png"]
    assert [case.row for case in slices] == [2, 3, 4]
    assert dict(slices[1].extra) == {"age": "4"}
    with pytest.raises(InputError, match="row 7"):
        slices_of(Cohort(tmp_path / "t.csv", (_case(tmp_path / "gone"),)))


def test_settings_of_a_phantom_make_one_text(tmp_path: Path) -> None:
    text = phantom_json(PhantomSettings("CP", seed=4))
    assert text == phantom_json(PhantomSettings(seed=4, label="CP"))
    assert text.endswith("}\n")
