"""A segmenter that another run has trained: taken as it is, and its data named in the bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Cohort
from groundglass.errors import InputError, SettingsError
from groundglass.infer import load_bundle
from groundglass.infer.bundle import SEGMENTER, sha256_of
from groundglass.phantom import LABELS
from groundglass.train.run import BUNDLE_FOLDER, SEGMENTER_FOLDER, segmenter_path
from groundglass.train.segmenter.stage import train_segmenter
from groundglass.train.settings import Experiment
from groundglass.train.stages import STAGES
from made_training import make_run, tiny

FEW = {"epochs": 1, "batch": 2}
#: What trains a segmenter, by settings that are not the defaults.
LUNGS = FEW | {"bundle": "", "phantom_slices": 1, "weight_decay": 0.5}


def by_slice() -> Experiment:
    return tiny(labels=list(LABELS), share_rule={}, encoder=FEW)


@pytest.fixture(scope="module")
def lungs(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that trained a segmenter and nothing else."""
    out = tmp_path_factory.mktemp("lungs")
    train_segmenter(make_run(tiny_cohort, tiny(segmenter=LUNGS), out))
    return out


def test_a_bundle_of_it_says_whom_and_how_it_was_taught(
    lungs: Path, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    run = replace(make_run(tiny_cohort, by_slice(), tmp_path / "run"), segmenter=lungs)
    STAGES["all"](run)
    assert not (run.out / SEGMENTER_FOLDER).exists()
    made = load_bundle(run.out / BUNDLE_FOLDER)
    assert made.hashes[SEGMENTER] == sha256_of(lungs / SEGMENTER_FOLDER / SEGMENTER)
    about = made.training["segmenter"]
    assert "taken_from" not in about
    assert about["settings"]["weight_decay"] == 0.5
    (data,) = about["data"]
    assert data["patients"] == {"train": {"lungs": 6}}
    assert len(about["cohort_sha256"]) == 64
    assert about["metrics"]["lung masks, mean Dice per slice"].keys() == {"validation"}


def test_it_goes_before_the_experiment_s_bundle(
    lungs: Path, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    experiment = tiny(segmenter={"bundle": "demonstration"})
    run = make_run(tiny_cohort, experiment, tmp_path / "run")
    assert segmenter_path(run) == load_bundle("demonstration").path(SEGMENTER)
    assert segmenter_path(replace(run, segmenter=lungs)).is_relative_to(lungs)


def test_one_for_images_of_another_size_is_refused(
    lungs: Path, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    larger = replace(by_slice(), recipe=replace(by_slice().recipe, image_size=128))
    run = replace(make_run(tiny_cohort, larger, tmp_path / "run"), segmenter=lungs)
    with pytest.raises(SettingsError, match="image_size"):
        STAGES["all"](run)


def test_a_folder_without_one_is_refused(tiny_cohort: Cohort, tmp_path: Path) -> None:
    run = replace(make_run(tiny_cohort, by_slice(), tmp_path / "run"), segmenter=tmp_path)
    with pytest.raises(InputError, match="--segmenter"):
        STAGES["all"](run)
