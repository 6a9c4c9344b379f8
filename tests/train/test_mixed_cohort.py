"""The mixed cohort: no class can be told by its source, and no patient crosses splits."""

from collections import defaultdict

import pytest

pytest.importorskip("torch")

from groundglass.train.mixed_cohort import MixedSettings, mixed_cohort
from made_slices import SEVERITIES, write_slice_sets


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_slice_sets(folder, matrix=64)
    return folder


@pytest.mark.parametrize(("course", "source"), [("synthetic", "finding-lungs"), ("real", "mosmed")])
def test_every_training_source_gives_every_class(data, tmp_path, course, source):
    cohort = mixed_cohort(data, None, tmp_path, MixedSettings(course))
    classes = defaultdict(set)
    for case in cohort.of_split("train").cases:
        classes[case.source].add(case.label)
    assert classes == {source: {"CP", "NCP", "healthy"}}


def test_no_patient_is_in_two_splits_and_tests_are_real(data, tmp_path):
    cohort = mixed_cohort(data, None, tmp_path, MixedSettings("real", copies=2))
    splits = defaultdict(set)
    for case in cohort.cases:
        splits[case.patient].add(case.split)
    assert all(len(found) == 1 for found in splits.values())
    test = cohort.of_split("test").cases
    assert {case.label for case in test} == {"CP", "healthy"}
    assert not any(case.extra.get("laid_seed") for case in test)


def test_the_folds_cover_every_real_patient_once(data, tmp_path):
    tested = [
        case.patient
        for fold in range(1, 6)
        for case in mixed_cohort(data, None, tmp_path, MixedSettings("real", fold))
        .of_split("test")
        .cases
    ]
    assert len(tested) == len(set(tested)) == sum(SEVERITIES.values())


def test_the_synthetic_course_trains_on_no_real_disease_and_tests_on_all_of_it(data, tmp_path):
    cohort = mixed_cohort(data, None, tmp_path, MixedSettings("synthetic"))
    ill = [case for case in cohort.of_split("train").cases if case.label != "healthy"]
    assert ill
    assert all(case.extra["laid_seed"] for case in ill)
    assert len(cohort.of_split("test").cases) == sum(SEVERITIES.values())


def test_some_of_the_mild_train_and_all_of_them_are_tested(data, tmp_path):
    def mild(split, share):
        settings = MixedSettings("real", mild=share)
        cases = mixed_cohort(data, None, tmp_path, settings).of_split(split).cases
        real = [case for case in cases if not case.extra.get("laid_seed")]
        return sum(case.extra["severity"] == "CT-1" for case in real)

    assert 0 == mild("train", 0.0) < mild("train", 0.5) < mild("train", 1.0)
    assert mild("test", 0.0) == mild("test", 1.0) > 0


def test_what_is_laid_into_a_patient_is_the_same_in_every_fold(data, tmp_path):
    def seeds(fold):
        cases = mixed_cohort(data, None, tmp_path, MixedSettings("real", fold)).cases
        return {(c.patient, c.label, c.extra["laid_seed"]) for c in cases if "laid_seed" in c.extra}

    one, other = seeds(1), seeds(2)
    both = {patient for patient, *_ in one} & {patient for patient, *_ in other}
    assert both
    assert {s for s in one if s[0] in both} == {s for s in other if s[0] in both}
