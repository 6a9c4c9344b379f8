"""A phantom can be made again, and its label changes the disease and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.phantom import (
    LABELS,
    PhantomSettings,
    make_patient,
    make_phantom,
    render_slices,
    training_slices,
)


def small(label: str = "CP", seed: int = 3, severity: float = 0.8) -> PhantomSettings:
    return PhantomSettings(label, severity, seed, matrix=128, slice_count=13)


def test_same_settings_give_the_same_voxels() -> None:
    first, second = make_phantom(small()), make_phantom(small())
    np.testing.assert_array_equal(first.volume.hu, second.volume.hu)
    np.testing.assert_array_equal(first.lung, second.lung)
    np.testing.assert_array_equal(first.lesion, second.lesion)
    assert first.volume.geometry == second.volume.geometry


def test_another_seed_gives_another_person() -> None:
    assert make_patient(small()).person != make_patient(small(seed=4)).person
    assert make_patient(small()).scan != make_patient(small(seed=4)).scan


def test_a_slice_does_not_depend_on_its_neighbours() -> None:
    patient = make_patient(small())
    several = render_slices(patient, [60.0, 100.0, 140.0])
    alone = render_slices(patient, [100.0])
    np.testing.assert_array_equal(several.hu[1], alone.hu[0])
    np.testing.assert_array_equal(several.lung[1], alone.lung[0])


def test_neighbouring_slices_show_one_body_under_fresh_noise() -> None:
    patient = make_patient(PhantomSettings(seed=3, matrix=128))
    slices = render_slices(patient, [100.0, 100.4])
    assert (slices.lung[0] != slices.lung[1]).mean() < 0.01
    assert (slices.hu[0] != slices.hu[1])[slices.lung[0]].mean() > 0.8


@pytest.mark.parametrize("seed", range(6))
def test_the_label_changes_nothing_but_the_disease(seed: int) -> None:
    """Person and scan come from the seed alone, so nothing else can tell the classes apart."""
    patients = {k: make_patient(PhantomSettings(k, 0.7, seed, matrix=160)) for k in LABELS}
    assert len({patient.scan for patient in patients.values()}) == 1
    healthy = patients["healthy"]
    for label in ("CP", "NCP"):
        lesions = patients[label].findings.lesions
        assert [x for x in lesions if not x.disease] == list(healthy.findings.lesions)
        centre = next(x.centre_mm[2] for x in lesions if x.disease)
        z_mm = [-50.0, centre, healthy.person.lung_height_mm + 30]
        without, sick = render_slices(healthy, z_mm), render_slices(patients[label], z_mm)
        changed = sick.hu != without.hu
        assert changed.any(axis=(1, 2)).tolist() == [False, True, False]
        assert not changed[1][~_grown(without.lung[1], 9)].any()


@pytest.mark.parametrize("label", ["CP", "NCP"])
def test_every_patient_shows_the_disease_somewhere(label: str) -> None:
    for seed in range(10):
        patient = make_patient(PhantomSettings(label, 0.1 * seed, seed, matrix=96))
        lesions = [x for x in patient.findings.lesions if x.disease]
        largest = max(lesions, key=lambda x: x.filling * float(np.prod(x.radii_mm)))
        assert render_slices(patient, [largest.centre_mm[2]]).lesion.sum() >= 3


def _grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


@pytest.mark.parametrize("label", LABELS)
def test_lesions_lie_in_the_lung_and_healthy_has_none(label: str) -> None:
    phantom = make_phantom(small(label))
    assert not (phantom.lesion & ~phantom.lung).any()
    assert phantom.lesion.any() == (label != "healthy")
    assert phantom.label == label
    assert phantom.severity == (0.0 if label == "healthy" else 0.8)


@pytest.mark.parametrize("label", ["CP", "NCP"])
def test_more_severe_is_more_lung(label: str) -> None:
    def share(severity: float) -> float:
        shares = []
        for seed in range(8):
            patient = make_patient(PhantomSettings(label, severity, seed, matrix=64))
            height = patient.person.lung_height_mm
            slices = render_slices(patient, [s * height for s in (0.2, 0.35, 0.5, 0.65)])
            shares.append(slices.lesion.sum() / slices.lung.sum())
        return float(np.mean(shares))

    mild, severe = share(0.05), share(0.95)
    assert 0.0 < mild < 0.08
    assert severe > 3 * mild


def test_volume_runs_feet_to_head_front_to_back_right_to_left() -> None:
    geometry = make_phantom(small()).volume.geometry
    assert geometry.to_axial()[1].is_identity
    assert geometry.shape == (13, 128, 128)


def test_training_slices_reach_from_neck_to_abdomen() -> None:
    slices = training_slices(PhantomSettings(seed=5, matrix=64), 40)
    with_lung = slices.lung.any(axis=(1, 2))
    assert 16 <= with_lung.sum() <= 36
    assert slices.hu.shape == (40, 64, 64)
    np.testing.assert_array_equal(
        slices.hu, training_slices(PhantomSettings(seed=5, matrix=64), 40).hu
    )
