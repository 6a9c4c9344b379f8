"""The lung segmenter's cohort keeps a patient in one split, also across data sets."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from groundglass.errors import SettingsError
from groundglass.train.segmenter.lung_cohort import lung_cohort


def test_every_patient_is_in_one_split_and_each_volume_is_held_out_once(
    shared_data: Path, tmp_path: Path
):
    held: list[str] = []
    for fold in (1, 2):
        cases = lung_cohort(shared_data, tmp_path / "t.csv", fold).cases
        splits = defaultdict(set)
        for case in cases:
            splits[case.patient].add(case.split)
        assert all(len(one) == 1 for one in splits.values())
        tested = [one for one in cases if one.split == "test"]
        assert {one.source for one in tested} == {"finding-lungs", "lung-volumes", "lesion-slices"}
        held += [one.study.name for one in tested if one.source == "lung-volumes"]
    assert len(held) == len(set(held)) == 8


def test_without_a_fold_all_volumes_train(shared_data: Path, tmp_path: Path):
    cases = lung_cohort(shared_data, tmp_path / "t.csv").cases
    assert {one.split for one in cases if one.source != "finding-lungs"} == {"train"}
    assert {one.split for one in cases} == {"train", "validation", "test"}


def test_another_fold_is_refused(shared_data: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match="fold 3"):
        lung_cohort(shared_data, tmp_path / "t.csv", 3)
