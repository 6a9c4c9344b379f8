"""What watches a training: checkpoints that a resumed run can trust, a table, words."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, Checkpoint

from groundglass.core.atomic_files import replacing, write_whole
from groundglass.train.run import Tell

LAST, BEST, TABLE = "last.ckpt", "best.ckpt", "epochs.csv"


class EpochCheckpoints(Checkpoint):
    """After each epoch writes `last.ckpt`, and `best.ckpt` where it is the best so far.

    Lightning's own `ModelCheckpoint` forgets the best score when the folder was moved and writes
    no last checkpoint after an epoch that was not the best. Both files are written under another
    name and renamed, so that a run killed while writing leaves the ones before.

    Parameters
    ----------
    folder : Path
        Where to.
    monitor : str
        Name of the metric.
    higher : bool
        Whether more of it is better.
    latest : bool
        Whether each epoch counts as better than those before, whatever its metric.
    """

    def __init__(self, folder: Path, monitor: str, *, higher: bool, latest: bool) -> None:
        self._folder, self._monitor, self._latest = folder, monitor, latest
        self._sign = 1.0 if higher else -1.0
        self.best, self.best_epoch, self.stopped = -math.inf, -1, False

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Write; Lightning calls checkpoints after all other callbacks."""
        score = self._sign * float(trainer.callback_metrics[self._monitor])
        # Early stopping has spoken before; a resumed run must know that there is nothing to do.
        self.stopped = bool(trainer.should_stop)
        if self._latest or score > self.best or self.best_epoch < 0:
            self.best, self.best_epoch = score, trainer.current_epoch
            _save(trainer, self._folder / BEST)
        _save(trainer, self._folder / LAST)

    def state_dict(self) -> dict[str, Any]:
        """The best score so far, its epoch, and whether the training is over."""
        return {"best": self.best, "best_epoch": self.best_epoch, "stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best = state_dict["best"]
        self.best_epoch = state_dict["best_epoch"]
        self.stopped = state_dict["stopped"]

    @property
    def state_key(self) -> str:
        """Name of the state in a checkpoint."""
        return "EpochCheckpoints"


def _save(trainer: pl.Trainer, path: Path) -> None:
    if not trainer.is_global_zero:
        trainer.save_checkpoint(path)  # takes part in gathering, writes nothing
        return
    with replacing(path) as unfinished:
        trainer.save_checkpoint(unfinished)


class EpochTable(Callback):
    """After each epoch adds a row to a CSV file, also of an earlier run, and tells a line.

    In several processes `tell` must be a function of a module.
    """

    def __init__(self, path: Path, stage: str, tell: Tell) -> None:
        self._path, self._stage, self._tell, self._begin = path, stage, tell, 0.0

    def on_train_epoch_start(self, _trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Start the clock."""
        self._begin = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Write the row, and say how it went."""
        if not trainer.is_global_zero:
            return
        seconds = time.monotonic() - self._begin
        metrics = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        row: dict[str, float | int] = {"epoch": trainer.current_epoch + 1, **metrics}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = round(seconds, 1)
        # What a cut-off run wrote of this epoch and after it is done again.
        rows = [one for one in read_table(self._path) if int(one["epoch"]) < row["epoch"]]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, fieldnames=list(row))
        writer.writeheader()
        writer.writerows([*rows, row])
        write_whole(self._path, table.getvalue())
        reached = "  ".join(f"{name.replace('_', ' ')} {one:.4f}" for name, one in metrics.items())
        epoch = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._tell(f"  {self._stage} epoch {epoch}  {reached}  ({seconds:.0f} s)")


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows an `EpochTable` wrote; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
