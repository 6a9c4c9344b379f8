"""The segmenter's stage: what it begins with, and what a training does to it."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Cohort
from groundglass.errors import SettingsError
from groundglass.train.networks import LungUNet
from groundglass.train.segmenter.stage import train_segmenter
from made_training import make_run, tiny

WIDTHS = [32, 48, 64, 96]


def norms(net: LungUNet) -> list[torch.nn.BatchNorm2d]:
    return [one for one in net.modules() if isinstance(one, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize("start", ["paper", ""])
def test_a_bundles_normalisation_stays_folded_and_a_new_ones_learns(
    tiny_cohort: Cohort, tmp_path: Path, start: str
) -> None:
    few = {"bundle": "", "init_bundle": start, "epochs": 2, "batch": 2, "phantom_slices": 1,
           "draw": {"slices": 4}}  # fmt: skip
    experiment = tiny(segmenter=few, network={"segmenter_widths": WIDTHS})
    net = train_segmenter(make_run(tiny_cohort, experiment, tmp_path / "run")).net
    kept = all((one.running_mean == 0).all() for one in norms(net))
    assert kept == bool(start)


def test_a_training_has_one_beginning() -> None:
    with pytest.raises(SettingsError, match="init_bundle"):
        tiny(segmenter={"init_bundle": "paper", "init_from": "some.ckpt"})
