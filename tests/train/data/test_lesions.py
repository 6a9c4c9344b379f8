"""Lesions laid into healthy slices: in the lung, of the class asked for, and nothing else."""

import numpy as np
import pytest

pytest.importorskip("torch")

from groundglass.phantom import PhantomSettings, make_patient, render_slices
from groundglass.train.data.lesions import LesionSettings, insert_lesions


@pytest.fixture(scope="module")
def healthy():
    patient = make_patient(PhantomSettings(label="healthy", seed=5, matrix=128))
    made = render_slices(patient, [0.5 * patient.person.lung_height_mm])
    return made.hu[0].astype(np.float32), made.lung[0]


@pytest.mark.parametrize("label", ["CP", "NCP"])
def test_disease_lies_in_the_lung_and_fills_air(healthy, label):
    hu, lung = healthy
    ill, lesion = insert_lesions(hu, lung, LesionSettings(label, severity=0.8, seed=3))
    assert lesion.any()
    assert not (lesion & ~lung).any()
    air = lesion & (hu < -700)
    assert (ill[air] > hu[air]).all()


def test_a_healthy_slice_gets_no_disease_and_few_changes(healthy):
    hu, lung = healthy
    for seed in range(6):
        same, lesion = insert_lesions(hu, lung, LesionSettings("healthy", severity=0.8, seed=seed))
        assert not lesion.any()
        assert (np.abs(same - hu) > 100).mean() < 0.03


def test_what_lies_far_from_the_lung_is_not_touched(healthy):
    hu, lung = healthy
    ill, _ = insert_lesions(hu, lung, LesionSettings("CP", severity=1.0, seed=1))
    rows, columns = np.flatnonzero(lung.any(axis=1)), np.flatnonzero(lung.any(axis=0))
    outside = np.ones_like(lung)
    outside[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2] = False
    np.testing.assert_array_equal(ill[outside], hu[outside])


def test_the_seed_decides(healthy):
    hu, lung = healthy
    one, again, other = (
        insert_lesions(hu, lung, LesionSettings("NCP", severity=0.6, seed=seed))[0]
        for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_severity_grows_disease(healthy):
    hu, lung = healthy
    shares = [
        np.mean(
            [
                insert_lesions(hu, lung, LesionSettings("CP", severity=s, seed=k))[1][lung].mean()
                for k in range(8)
            ]
        )
        for s in (0.1, 0.9)
    ]
    assert shares[0] < shares[1]
