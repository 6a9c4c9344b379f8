"""Losses and figures of validation, against what can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Cohort
from groundglass.errors import InputError, SettingsError
from groundglass.train.classifier.encoder_stage import class_weights, new_encoder, train_encoder
from groundglass.train.classifier.modules import (
    ValidationTruth,
    lesion_loss,
    patient_metrics,
    unknown_kind_loss,
)
from groundglass.train.fit.fitting import load_net
from groundglass.train.segmenter.module import dice_per_slice, segmentation_loss
from made_training import make_run, tiny


def test_every_patient_counts_once_however_many_slices() -> None:
    # Patient 0: three slices, called right; patient 1: one slice, called wrong.
    logits = np.log(np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.65, 0.35]]))
    truth = ValidationTruth(np.array([0, 0, 0, 1]), np.array([0, 1]))
    found = patient_metrics(logits, truth, healthy=1)
    first = -(np.log(0.9) + 2 * np.log(0.6)) / 3
    assert found["val_loss"] == pytest.approx((first - np.log(0.35)) / 2)
    assert found["val_accuracy"] == 0.5
    assert found["val_auc"] == 1.0  # 0.7 on average against 0.65


def test_the_ill_of_unknown_kind_count_as_not_healthy_and_as_no_class() -> None:
    p = np.array([[0.5, 0.4, 0.1], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    truth = ValidationTruth(np.arange(4), np.array([3, 3, 1, 2]))
    found = patient_metrics(np.log(p), truth, healthy=2)
    assert found["val_loss"] == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.7]).mean())
    assert found["val_accuracy"] == 0.75
    # CP: nobody is known to have it. NCP: one against the healthy. Healthy: 0.7 is not above 0.8.
    assert found["val_auc"] == pytest.approx((0.5 + 1.0 + 2 / 3) / 3)


def test_a_case_of_unknown_kind_is_driven_away_from_healthy_and_to_no_class() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.9]], requires_grad=True)
    loss = unknown_kind_loss(logits, healthy=2)
    p = torch.softmax(logits, dim=1)[0]
    assert float(loss.detach()) == pytest.approx(-float(torch.log(p[0] + p[1]).detach()))
    loss.sum().backward()
    moved = logits.grad[0]
    assert moved[2] > 0 > moved[0]
    # What the classes gain is shared as they stood: their proportion stays.
    assert float(moved[0] / moved[1]) == pytest.approx(float(p[0] / p[1]), rel=1e-5)


def test_a_lesion_mark_is_judged_only_where_it_is_known() -> None:
    marks = torch.full((1, 1, 4, 4), -8.0)
    mask = torch.zeros((1, 1, 16, 16), dtype=torch.uint8)
    assert lesion_loss(marks, mask) < 1e-3
    mask[..., :8] = 1
    assert lesion_loss(marks, mask) > 3
    mask[..., :8] = 255
    assert lesion_loss(marks, mask) < 1e-3
    assert lesion_loss(marks, torch.full_like(mask, 255)) == 0


def test_segmentation_loss_and_dice_know_right_from_wrong() -> None:
    lung = torch.zeros(2, 1, 8, 8)
    lung[0, 0, 2:6, 2:6] = 1
    right, wrong = (lung - 0.5) * 20, (0.5 - lung) * 20
    assert segmentation_loss(right, lung) < 0.05
    assert segmentation_loss(wrong, lung) > 5
    assert dice_per_slice(right, lung).tolist() == [1.0, 1.0]
    assert dice_per_slice(wrong, lung).tolist() == [0.0, 0.0]


def test_class_weights_make_classes_weigh_the_same() -> None:
    targets = [0] * 6 + [1] * 3 + [2]
    weights = class_weights(targets, 3, "weights")
    sums = [weights[k] * targets.count(k) for k in range(3)]
    assert sums == pytest.approx([sums[0]] * 3)
    assert class_weights(targets, 3, "none") == [1.0, 1.0, 1.0]


def test_half_precision_trains_and_another_training_can_begin_from_it(
    tiny_cohort: Cohort, tmp_path: Path
) -> None:
    half = tiny(precision="bf16-mixed", encoder={"epochs": 1})
    first = train_encoder(make_run(tiny_cohort, half, tmp_path / "first"))
    assert np.isfinite(first.fitted.metrics["val_loss"])
    net = new_encoder(tiny(seed=9), 3)
    load_net(net, first.fitted.best)
    for name, value in first.net.state_dict().items():
        assert torch.equal(value, net.state_dict()[name])
    with pytest.raises(SettingsError, match="another network"):
        load_net(new_encoder(tiny(network={"encoder_widths": [3, 3, 3, 3]}), 3), first.fitted.best)


def test_cohorts_that_cannot_be_trained_on_are_refused_by_class_and_row(
    tiny_cohort: Cohort, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"'NCP'.*rows 4"):
        train_encoder(make_run(tiny_cohort, tiny(labels=["CP", "healthy"]), tmp_path))
    missing = tiny(labels=["CP", "NCP", "healthy", "viral"])
    with pytest.raises(InputError, match="no usable 'viral' case in the split 'train'"):
        train_encoder(make_run(tiny_cohort, missing, tmp_path))
    with pytest.raises(InputError, match="well"):
        train_encoder(make_run(tiny_cohort, tiny(healthy="well"), tmp_path))
