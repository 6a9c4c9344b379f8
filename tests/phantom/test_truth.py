"""The masks say what the pictures show: what is lung, and what only looks like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.phantom import Patient, PhantomSettings, make_patient, render_slices
from groundglass.phantom.disease import Findings
from groundglass.phantom.mediastinum import trachea_at


def patient_of(seed: int, label: str = "healthy", severity: float = 0.9) -> Patient:
    return make_patient(PhantomSettings(label, severity, seed, matrix=192, field_of_view_mm=420.0))


def pixel(patient: Patient, x: float, y: float) -> tuple[int, int]:
    x0, y0 = patient.scan.grid.first_mm
    size = patient.scan.grid.pixel_mm
    return round((y - y0) / size), round((x - x0) / size)


@pytest.mark.parametrize("seed", range(4))
def test_trachea_is_air_and_not_lung(seed: int) -> None:
    patient = patient_of(seed)
    for level in (0.8, 1.05):
        slices = render_slices(patient, [patient.person.height_mm(level)])
        ((x, y, _),) = trachea_at(patient.person, level)
        row, column = pixel(patient, x, y)
        assert slices.hu[0, row, column] < -850
        assert not slices.lung[0, row - 2 : row + 3, column - 2 : column + 3].any()


@pytest.mark.parametrize("seed", range(4))
def test_there_is_no_lung_beyond_the_lungs_whatever_gas_there_is(seed: int) -> None:
    patient = patient_of(seed)
    height = patient.person.lung_height_mm
    slices = render_slices(patient, [-120.0, -60.0, -20.0, height + 5, height + 60])
    assert not slices.lung.any()


def test_bowel_gas_is_there_to_be_mistaken_for_lung() -> None:
    gas = []
    for seed in range(6):
        patient = patient_of(seed)
        half, front, back = patient.person.cage(-0.4)
        slices = render_slices(patient, [-100.0])
        top, left = pixel(patient, -0.7 * half, 0.7 * front)
        bottom, right = pixel(patient, 0.7 * half, 0.5 * back)
        gas.append((slices.hu[0, top:bottom, left:right] < -800).mean())
    assert max(gas) > 0.02


@pytest.mark.parametrize("seed", range(5))
def test_lungs_have_the_size_and_the_air_of_lungs(seed: int) -> None:
    patient = patient_of(seed)
    height = patient.person.lung_height_mm
    z_mm = np.linspace(0, height, 25)
    slices = render_slices(patient, z_mm.tolist())
    area = slices.lung.sum(axis=(1, 2)) * patient.scan.grid.pixel_mm**2
    litres = float(area.mean() * height / 1e6)
    assert 1.5 < litres < 7.5
    assert 0.15 < int(np.argmax(area)) / 25 < 0.75
    assert area[1] < 0.4 * area.max()
    assert area[-2] < 0.25 * area.max()
    middle = pixel(patient, patient.person.spine(0.4)[0], 0.0)[1]
    right, left = slices.lung[:, :, :middle].sum(), slices.lung[:, :, middle:].sum()
    assert 0.6 < right / left < 2.2
    assert -920 < np.median(slices.hu[slices.lung]) < -680


def test_heart_is_on_the_left_and_liver_on_the_right() -> None:
    patient = patient_of(1)
    shape = patient.person.heart_shape(0.35)
    assert shape is not None
    (x, y), _ = shape
    slices = render_slices(patient, [patient.person.height_mm(level) for level in (0.35, 0.02)])
    row, column = pixel(patient, x, y)
    assert x > 0
    assert 0 < np.median(slices.hu[0, row - 2 : row + 3, column - 2 : column + 3]) < 400
    row, column = pixel(patient, -0.5 * patient.person.cage(0.0)[0], 0.0)
    assert 0 < slices.hu[1, row, column] < 250
    assert not slices.lung[1, row, column]


def dense(patient: Patient) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    height = patient.person.lung_height_mm
    slices = render_slices(patient, [level * height for level in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)])
    return slices.hu, slices.lung & slices.lesion


def test_consolidation_is_inside_the_lung() -> None:
    """Lung as dense as muscle is still lung; a mask that lost it would lose the pneumonia."""
    muscle_like = 0
    for seed in range(10):
        hu, lesion = dense(patient_of(seed, "NCP", 1.0))
        muscle_like += int(((hu > -50) & lesion).sum())
    assert muscle_like > 2000


def test_effusion_is_outside_the_lung() -> None:
    patient = patient_of(2)
    wet = replace(patient, findings=Findings(patient.findings.lesions, (30.0, 0.0)))
    z_mm = [0.35 * patient.person.lung_height_mm]
    dry, drowned = render_slices(patient, z_mm), render_slices(wet, z_mm)
    lost = dry.lung & ~drowned.lung
    assert lost.sum() > 200
    assert not (drowned.lung & ~dry.lung).any()
    assert -40 < np.median(drowned.hu[lost]) < 60
    middle = pixel(patient, patient.person.spine(0.35)[0], 0.0)[1]
    assert lost[:, :, :middle].sum() > 0.95 * lost.sum()


def test_covid_lies_behind_below_outside_and_on_both_sides() -> None:
    behind, below, outside, both = [], [], [], []
    for seed in range(12):
        patient = patient_of(seed, "CP", 0.6)
        centres = np.array([x.centre_mm for x in patient.findings.lesions if x.disease])
        lungs = patient.person
        _, front, back = lungs.cage(0.4)
        behind.append(np.mean(centres[:, 1] > (front + back) / 2))
        below.append(np.mean(centres[:, 2] < 0.5 * lungs.lung_height_mm))
        outside.append(np.mean(lungs.depth_in_cage(centres) > 0.7))
        both.append(centres[:, 0].min() < 0 < centres[:, 0].max())
    assert np.mean(behind) > 0.6
    assert np.mean(below) > 0.6
    assert np.mean(outside) > 0.6
    assert np.mean(both) > 0.9
