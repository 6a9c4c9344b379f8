"""Several devices: two processes on the CPU learn what one learns."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Cohort
from groundglass.train.classifier.encoder_stage import train_encoder
from groundglass.train.classifier.sequence_stage import train_sequence
from made_training import make_run, tiny


def test_two_processes_learn_what_one_learns_without_a_word(
    tiny_cohort: Cohort, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Without dropout, whose stream differs by process, the same batches give the same steps. A
    # group and its copy are two items, so that batches of two are dealt out without a rest.
    plain = {
        "network": {"sequence_dropout": 0.0},
        "encoder": {"epochs": 1},
        "sequence": {"epochs": 2, "batch": 2, "variants": 1},
    }
    alone, shared = tiny(**plain), tiny(**plain, devices=2)
    prepared = train_encoder(make_run(tiny_cohort, alone, tmp_path / "one")).prepared
    shutil.copytree(tmp_path / "one" / "encoder", tmp_path / "two" / "encoder")
    one = train_sequence(make_run(tiny_cohort, alone, tmp_path / "one"), prepared)
    two = train_sequence(make_run(tiny_cohort, shared, tmp_path / "two"), prepared)
    assert [row["epoch"] for row in two.fitted.epochs] == ["1", "2"]
    for row, twin in zip(one.fitted.epochs, two.fitted.epochs, strict=True):
        for name in ("loss", "val_loss"):
            assert float(row[name]) == pytest.approx(float(twin[name]), abs=1e-5)
    for name, value in one.net.state_dict().items():
        torch.testing.assert_close(value, two.net.state_dict()[name], atol=1e-5, rtol=1e-4)
    assert capfd.readouterr() == ("", "")
