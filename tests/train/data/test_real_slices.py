"""Slices whose grey values say nothing: the tissues in them give the scale back."""

import csv

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from groundglass.cohort import Case
from groundglass.errors import ReadError
from groundglass.infer import CpuEngine, Precision, Segmenter
from groundglass.phantom import PhantomSettings, make_patient, render_slices
from groundglass.prepare import Recipe
from groundglass.prepare.intensity import window_to_uint8
from groundglass.train.data.prepare_slice import prepare_slice
from groundglass.train.data.real_slices import grey_to_hu, read_slice


def _case(path):
    return Case("p", path, "healthy", "train", "made", 2)


@pytest.fixture(scope="module")
def made():
    patient = make_patient(PhantomSettings(label="CP", seed=4, matrix=256))
    return render_slices(patient, [0.5 * patient.person.lung_height_mm])


@pytest.fixture(scope="module")
def segmenter(bundle):
    return Segmenter(bundle / "segmenter.onnx", CpuEngine(Precision.F32))


@pytest.mark.parametrize("window", [(-600, 1500), (-300, 1600), (0, 2000)])
def test_the_scale_comes_back_whatever_the_window(made, window):
    grey = window_to_uint8(made.hu[0], *window)
    hu = grey_to_hu(grey, made.lung[0])
    inside = made.lung[0] & (made.hu[0] < -100)
    assert abs(np.median(hu[inside] - made.hu[0][inside])) < 80


def test_one_patient_in_two_windows_is_prepared_alike(made, segmenter, tmp_path):
    images = []
    for name, window in (("a.png", (-450, 1300)), ("b.png", (-200, 1800))):
        cv2.imwrite(str(tmp_path / name), window_to_uint8(made.hu[0], *window))
        images.append(
            prepare_slice(_case(tmp_path / name), segmenter, Recipe())[0][0].astype(float)
        )
    both = (images[0] > 0) & (images[1] > 0)
    assert both.mean() > 0.05
    assert np.corrcoef(images[0][both], images[1][both])[0, 1] > 0.95


def test_lungs_are_found(made, segmenter, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), window_to_uint8(made.hu[0], -600, 1500))
    found = read_slice(tmp_path / "a.png", segmenter, Recipe())
    truth = made.lung[0]
    assert 2 * (found.lung & truth).sum() / (found.lung.sum() + truth.sum()) > 0.9


def test_a_known_window_is_believed(made, segmenter, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), window_to_uint8(made.hu[0], -500, 1400))
    found = read_slice(tmp_path / "a.png", segmenter, Recipe(), (-500.0, 1400.0))
    shown = np.abs(made.hu[0] + 500) < 690
    assert np.abs(found.hu - made.hu[0])[shown].max() < 4
    assert not np.array_equal(found.hu, read_slice(tmp_path / "a.png", segmenter, Recipe()).hu)


def test_an_image_without_lung_is_refused(segmenter, tmp_path):
    one_grey = np.full((64, 64), 90, np.uint8)
    belly = np.full((256, 256), 20, np.uint8)
    cv2.ellipse(belly, (128, 128), (100, 70), 0, 0, 360, 180, -1)
    for name, image in (("grey.png", one_grey), ("belly.png", belly)):
        cv2.imwrite(str(tmp_path / name), image)
        with pytest.raises(ReadError, match="lung"):
            prepare_slice(_case(tmp_path / name), segmenter, Recipe())


def test_a_broken_image_is_refused(segmenter, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(ReadError, match="8 bits"):
        prepare_slice(_case(tmp_path / "broken.png"), segmenter, Recipe())


def test_real_slices_give_lungs(shared_data, segmenter):
    folder = shared_data / "mosmed-slices"
    with (folder / "labels.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file)][::150]
    for name in names:
        image, _ = prepare_slice(_case(folder / "images" / name), segmenter, Recipe())
        assert image.shape == (1, 256, 256)
        assert 0.03 < (image > 0).mean() < 0.7
