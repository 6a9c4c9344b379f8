"""Scores of a volume's mask, against what can be worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundglass.cohort import Case, Cohort, write_cohort
from groundglass.errors import InputError
from groundglass.infer import load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.train.data.annotated_volumes import AnnotatedVolume
from groundglass.train.segmenter.volume_scores import main, score_volume, totals


def volume() -> AnnotatedVolume:
    """Ten slices of a lung of 20 × 20 pixels from 2 to 7, and dense disease in one of them."""
    hu = np.full((10, 32, 32), 40, np.int16)
    lung, lesion = np.zeros((2, 10, 32, 32), bool)
    lung[2:8, 4:24, 4:24] = True
    lesion[5, 4:14, 4:24] = True
    hu[lung], hu[lesion] = -850, 0
    return AnnotatedVolume(hu, lung, lesion, (5.0, 2.0, 2.0), np.ones(10, bool))


def test_a_right_mask_has_full_marks():
    truth = volume()
    found = score_volume(7, truth, truth.lung)
    assert (found.row, found.slices, found.slices_with_much_lung) == (7, 10, 6)
    assert (found.dice, found.dice_lower_third) == (1.0, 1.0)
    assert (found.false_dense_ml, found.missed_air_ml, found.slices_misjudged) == (0, 0, 0)
    assert (found.lesion_inside, found.consolidation_inside) == (1.0, 1.0)


def test_what_a_mask_takes_and_loses_is_counted_in_millilitres_and_by_slice():
    truth = volume()
    mask = truth.lung.copy()
    mask[9, :10, :10] = True  # 100 voxels of 20 mm³ of tissue
    mask[7, 4:14] = False  # half of a slice's lung
    mask[5, 4:9, 4:24] = False  # half of the disease
    found = score_volume(2, truth, mask)
    assert found.false_dense_ml == pytest.approx(2.0)
    assert found.missed_air_ml == pytest.approx(4.0)
    assert found.consolidation_inside == found.lesion_inside == 0.5
    assert found.slices_misjudged == 2
    assert found.worst_slices[:2] == ((7, 0.667), (5, 0.857))
    assert found.dice_lower_third < found.dice < 1


def test_slices_whose_truth_is_wrong_are_left_out():
    truth = volume()
    wrong = truth.lung.copy()
    wrong[7] = False
    trusted = np.arange(10) != 7
    assert score_volume(2, truth, wrong).dice < 1
    assert score_volume(2, replace(truth, trusted=trusted), wrong).dice == 1


def test_a_volume_without_marked_disease_has_no_share_of_it():
    truth = volume()
    healthy = replace(truth, lesion=np.zeros_like(truth.lesion))
    assert score_volume(2, healthy, truth.lung).lesion_inside is None


def test_totals_are_means_worst_and_sums():
    truth = volume()
    right, empty = (score_volume(2, truth, m) for m in (truth.lung, truth.lung & False))
    found = totals([right, empty])
    assert (found["mean_dice"], found["worst_dice"]) == (0.5, 0.0)
    assert (found["slices_misjudged"], found["slices_with_much_lung"]) == (6, 12)


def test_volumes_are_scored_by_the_segmenter_of_their_fold(tmp_path: Path):
    truth = volume()
    np.savez(tmp_path / "v.npz", hu=truth.hu, lung=truth.lung, spacing_mm=np.array([5.0, 2.0, 2.0]))
    extra = {"mask": str(tmp_path / "v.npz"), "fold": "2"}
    case = Case("p", tmp_path / "v.npz", "CP", "", "here", 2, extra)
    table = write_cohort(Cohort(tmp_path / "t.csv", (case,)), tmp_path / "t.csv")
    network = load_bundle("demonstration").path(SEGMENTER)
    main([str(table), "--segmenter", f"2={network}", "--out", str(tmp_path / "out")])
    found = json.loads((tmp_path / "out" / "volume-scores.json").read_text())
    assert [one["row"] for one in found["volumes"]] == [2]
    assert list(found["segmenters_sha256"]) == ["2"]
    assert "mean_dice" in (tmp_path / "out" / "volume-scores.txt").read_text()
    with pytest.raises(InputError, match="no volumes to score"):
        main([str(table), "--segmenter", f"1={network}", "--out", str(tmp_path / "out")])
