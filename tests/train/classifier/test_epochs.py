"""What an epoch consists of is decided by (seed, epoch, item) and by nothing else."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Cohort
from groundglass.train.classifier.epochs import EncoderData, plan_epoch, plan_validation
from groundglass.train.data.augment import Augmentation, draw
from groundglass.train.fit.datamodule import RandomStream
from groundglass.train.run import prepared_cohort
from groundglass.train.settings import AugmentSettings, Change, EncoderSettings
from made_training import make_run, tiny

SLICES, TARGETS = [9, 4, 30, 12, 7], [0, 0, 0, 1, 2]


def plan(epoch: int, **changes: object) -> np.ndarray:
    settings = EncoderSettings(batch=4, slices_per_patient=6, **changes)
    return plan_epoch(SLICES, TARGETS, settings, RandomStream(1, epoch))


def test_an_epoch_is_the_same_each_time_and_another_than_the_next() -> None:
    np.testing.assert_array_equal(plan(3), plan(3))
    assert not np.array_equal(plan(3), plan(4))


def test_every_patient_gives_as_many_slices_and_batches_are_whole() -> None:
    found = plan(0)
    assert len(found) == 28  # of 30: the last batch would not be whole
    assert max(Counter(found[:, 0].tolist()).values()) == 6
    for case, number in found:
        assert 0 <= number < SLICES[case]
    long = Counter(map(tuple, found[found[:, 0] == 2].tolist()))
    assert max(long.values()) == 1, "a slice came twice though there are others"


def test_all_slices_come_once_where_all_are_asked_for() -> None:
    settings = EncoderSettings(batch=1, slices_per_patient=0)
    found = plan_epoch(SLICES, TARGETS, settings, RandomStream(1, 0))
    assert Counter(found[:, 0].tolist()) == dict(enumerate(SLICES))
    assert len({tuple(pair) for pair in found.tolist()}) == sum(SLICES)


def test_balanced_sampling_shows_as_much_of_each_class() -> None:
    settings = EncoderSettings(batch=1, slices_per_patient=6, balance="sampling")
    found = plan_epoch(SLICES, TARGETS, settings, RandomStream(1, 0))
    assert Counter(TARGETS[case] for case in found[:, 0]) == {0: 18, 1: 18, 2: 18}


def test_validation_slices_are_evenly_spaced() -> None:
    found = plan_validation([10, 3], 5)
    assert found.tolist() == [[0, 1], [0, 3], [0, 5], [0, 7], [0, 9], [1, 0], [1, 1], [1, 2]]
    assert len(plan_validation([10, 3], 0)) == 13


def test_items_do_not_hang_on_what_was_asked_before(tiny_cohort: Cohort, tmp_path) -> None:
    experiment = tiny(encoder={"lesion_weight": 1.0, "augment": {"at_once": 0}})
    prepared = prepared_cohort(make_run(tiny_cohort, experiment, tmp_path))
    train = prepared.of_split("train")
    data = EncoderData(train, train, ("CP", "NCP", "healthy"), "healthy", experiment.encoder, 7)
    forwards, again = data.train(2), data.train(2)
    items = [forwards[k] for k in range(len(forwards))]
    for k in reversed(range(len(items))):
        for name, value in again[k].items():
            assert torch.equal(value, items[k][name]), name
    others = data.train(3)
    assert any(not torch.equal(others[k]["image"], items[k]["image"]) for k in range(len(items)))
    for item in items:
        if item["target"] == 2:
            assert item["lesion"].max() == 0, "a healthy patient with lesions"
    assert max(int(item["lesion"].max()) for item in items) == 1


def changed(kind: str, seed: int) -> Augmentation:
    settings = AugmentSettings(kinds=(kind,), probability=1.0)
    return draw(settings, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", get_args(Change))
def test_every_change_keeps_black_black_and_changes_slices_alike(kind: str) -> None:
    images = np.zeros((3, 64, 64), np.uint8)
    images[:, 20:40, 24:34] = 120
    same = 0
    for seed in range(10):
        found = changed(kind, seed).images(images)
        assert (found.shape, found.dtype) == (images.shape, np.uint8)
        assert found[:, 0, 0].max() == 0
        if kind == "noise":
            assert (found[0] > 0).sum() == (found[1] > 0).sum()
        else:
            assert np.array_equal(found[0], found[1])
        same += np.array_equal(found, images)
    assert same < 10, "it changes nothing"


@pytest.mark.parametrize("kind", get_args(Change))
def test_a_mask_moves_with_its_image_and_unknown_stays_unknown(kind: str) -> None:
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[:, 20:40, 14:30] = 1
    mask[:, 50:, :] = 255
    image = np.where(mask == 1, 200, 0).astype(np.uint8)
    for seed in range(5):
        change = changed(kind, seed)
        moved = change.masks(mask)
        assert set(np.unique(moved)) <= {0, 1, 255}
        shown = change.images(image) > 100
        known = moved != 255
        agree = (shown == (moved == 1))[known].mean()
        assert agree > 0.98, kind
        assert (moved == 255).sum() > 0


def test_one_kind_is_drawn_at_a_time_as_in_the_paper() -> None:
    settings = AugmentSettings(
        kinds=("rotate", "flip", "blur", "brighten"), at_once=1, probability=1.0
    )
    drawn = [draw(settings, np.random.default_rng(seed)) for seed in range(50)]
    assert {len(one.place) + len(one.look) for one in drawn} == {1}
    assert 10 < sum(len(one.place) for one in drawn) < 40
