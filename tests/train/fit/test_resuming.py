"""A run that was cut off and goes on ends as one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Cohort
from groundglass.errors import SettingsError
from groundglass.train.classifier.encoder_stage import train_encoder
from groundglass.train.classifier.sequence_stage import train_sequence
from groundglass.train.fit.callbacks import BEST, LAST, TABLE, read_table
from groundglass.train.segmenter.stage import train_segmenter
from made_training import TINY, CutOffError, make_run, tiny, toml

_SAME = 1e-6


def assert_same_end(one: Path, other: Path) -> None:
    """Every epoch's losses and the weights of the last and best epoch agree."""
    rows, others = read_table(one / TABLE), read_table(other / TABLE)
    assert [row["epoch"] for row in rows] == [row["epoch"] for row in others]
    for row, twin in zip(rows, others, strict=True):
        for name in ("loss", "val_loss"):
            assert float(row[name]) == pytest.approx(float(twin[name]), abs=_SAME)
    for name in (LAST, BEST):
        states = [torch.load(f / name, weights_only=True)["state_dict"] for f in (one, other)]
        assert states[0].keys() == states[1].keys()
        for key, value in states[0].items():
            torch.testing.assert_close(value, states[1][key], atol=_SAME, rtol=0)


@pytest.fixture(scope="module")
def unbroken(tiny_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder and a sequence head trained in one go."""
    out = tmp_path_factory.mktemp("unbroken")
    prepared = train_encoder(make_run(tiny_cohort, tiny(), out)).prepared
    train_sequence(make_run(tiny_cohort, tiny(), out), prepared)
    return out


def test_an_encoder_killed_in_mid_training_ends_as_the_unbroken_one(
    unbroken: Path, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    table, experiment = tiny_cohort.path, tmp_path / "tiny.toml"
    experiment.write_text(toml(TINY))
    command = [
        sys.executable, "-m", "groundglass", "train", "encoder",
        "--experiment", str(experiment), "--cohort", str(table),
        "--out", str(tmp_path / "run"), "--cache", str(table.parent / "prepared"),
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        heard = []
        for line in process.stderr:
            heard.append(line)
            if "encoder epoch 2/" in line:
                process.send_signal(signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL, heard
    done = len(read_table(tmp_path / "run" / "encoder" / TABLE))
    assert 1 <= done < 4
    train_encoder(make_run(tiny_cohort, tiny(), tmp_path / "run", resume=True))
    assert_same_end(unbroken / "encoder", tmp_path / "run" / "encoder")


def test_a_sequence_head_cut_off_ends_as_the_unbroken_one(
    unbroken: Path, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    for name in ("best.ckpt", "last.ckpt"):
        (tmp_path / "encoder").mkdir(exist_ok=True)
        (tmp_path / "encoder" / name).write_bytes((unbroken / "encoder" / name).read_bytes())
    with pytest.raises(CutOffError):
        train_sequence(make_run(tiny_cohort, tiny(), tmp_path, cut_at="sequence epoch 3/"))
    train_sequence(make_run(tiny_cohort, tiny(), tmp_path, resume=True))
    assert_same_end(unbroken / "sequence", tmp_path / "sequence")


def test_a_segmenter_cut_off_ends_as_the_unbroken_one(tiny_cohort: Cohort, tmp_path: Path) -> None:
    settings = tiny(segmenter={"bundle": "", "epochs": 3, "batch": 4, "phantom_slices": 2})
    whole = train_segmenter(make_run(tiny_cohort, settings, tmp_path / "whole"))
    with pytest.raises(CutOffError):
        train_segmenter(
            make_run(tiny_cohort, settings, tmp_path / "cut", cut_at="segmenter epoch 2/")
        )
    train_segmenter(make_run(tiny_cohort, settings, tmp_path / "cut", resume=True))
    assert_same_end(whole.path.parent, tmp_path / "cut" / "segmenter")


def test_a_finished_stage_is_not_trained_again(unbroken: Path, tiny_cohort: Cohort) -> None:
    before = (unbroken / "encoder" / LAST).read_bytes()
    again = make_run(tiny_cohort, tiny(), unbroken, resume=True)
    assert train_encoder(again).fitted.metrics
    assert not any("epoch" in line for line in again.tell.lines)
    assert (unbroken / "encoder" / LAST).read_bytes() == before


def test_an_early_stop_is_final(tiny_cohort: Cohort, tmp_path: Path) -> None:
    # A rate this small changes nothing, so the first epoch stays the best.
    settings = tiny(encoder={"epochs": 9, "patience": 2, "learning_rate": 1e-30,
                             "schedule": "constant"})  # fmt: skip
    run = make_run(tiny_cohort, settings, tmp_path)
    fitted = train_encoder(run).fitted
    assert (fitted.best_epoch, len(fitted.epochs)) == (1, 3)
    resumed = train_encoder(make_run(tiny_cohort, settings, tmp_path, resume=True)).fitted
    assert len(resumed.epochs) == 3


def test_without_patience_the_last_epoch_is_kept(tiny_cohort: Cohort, tmp_path: Path) -> None:
    settings = tiny(encoder={"epochs": 4, "patience": 0, "learning_rate": 1e-30,
                             "schedule": "constant"})  # fmt: skip
    fitted = train_encoder(make_run(tiny_cohort, settings, tmp_path)).fitted
    assert (fitted.best_epoch, len(fitted.epochs)) == (4, 4)


def test_an_earlier_run_is_neither_overwritten_nor_gone_on_with_otherwise(
    unbroken: Path, tiny_cohort: Cohort
) -> None:
    with pytest.raises(SettingsError, match="--resume"):
        train_encoder(make_run(tiny_cohort, tiny(), unbroken))
    with pytest.raises(SettingsError, match="seed"):
        train_encoder(make_run(tiny_cohort, tiny(seed=5), unbroken, resume=True))
    other = tiny(encoder={"epochs": 5})
    with pytest.raises(SettingsError, match="stage"):
        train_encoder(make_run(tiny_cohort, other, unbroken, resume=True))
