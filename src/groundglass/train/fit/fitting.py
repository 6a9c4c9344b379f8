"""One training with Lightning: begun, cut off, gone on with, stopped early, all the same."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from groundglass.core.atomic_files import write_whole
from groundglass.errors import ReadError, SettingsError
from groundglass.train.fit.callbacks import (
    BEST,
    LAST,
    TABLE,
    EpochCheckpoints,
    EpochTable,
    read_table,
)
from groundglass.train.fit.datamodule import EpochData, StageData
from groundglass.train.fit.module import StageModule
from groundglass.train.run import TrainingRun
from groundglass.train.settings import Experiment, StageSettings

#: What a run was started with, beside its checkpoints.
_STARTED = "started.json"
#: Lightning's remarks that are no news here.
_KNOWN = (
    ".*does not have many workers.*",  # a setting of ours
    ".*number of training batches.*is smaller than the logging interval.*",  # we log epochs
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # between Lightning and PyTorch
    ".*all_gather is deprecated.*",  # between Lightning and PyTorch
    ".*It is recommended to use `self.log.*sync_dist.*",  # every device has all items' values
)
_TALKERS = ("lightning.pytorch", "lightning.fabric")


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a training left: the best epoch's checkpoint and number, from 1, and a row per epoch."""

    best: Path
    best_epoch: int
    epochs: tuple[Mapping[str, str], ...]

    @property
    def metrics(self) -> dict[str, float]:
        """What the best epoch reached, by name."""
        row = self.epochs[self.best_epoch - 1]
        return {k: float(v) for k, v in row.items() if k == "loss" or k.startswith("val_")}


def fit(
    module: StageModule, data: EpochData, run: TrainingRun, stage: str, identity: Mapping[str, Any]
) -> FitResult:
    """Train until the last epoch or the early stop, and load the weights that are kept.

    Parameters
    ----------
    module : StageModule
        What is trained; holds the best weights afterwards.
    data : EpochData
        What it learns from.
    run : TrainingRun
    stage : str
        Name of its folder in the run's.
    identity : mapping
        What makes this training this one (settings, cases); resuming another is refused.

    Raises
    ------
    SettingsError
        The folder holds a training and `resume` is off, or another one, or the hardware does not
        have the devices.
    """
    settings = module.schedule.settings
    folder = run.out / stage
    _begin(folder, identity, resume=run.resume)
    watch = EpochCheckpoints(
        folder,
        f"val_{settings.monitor}",
        higher=settings.monitor == "auc",
        latest=not settings.patience,
    )
    last = folder / LAST
    if not last.exists() or not _is_over(_state(last), settings):
        callbacks = _callbacks(settings, run, stage, watch)
        _train(module, data, run, folder, callbacks)
    load_net(module.net, folder / BEST)
    module.eval()
    best = int(_state(last)["callbacks"][watch.state_key]["best_epoch"]) + 1
    return FitResult(folder / BEST, best, tuple(read_table(folder / TABLE)))


def started_with(folder: Path) -> dict[str, Any]:
    """The identity that the training in a folder was begun with.

    Raises
    ------
    ReadError
        There is none.
    """
    path = folder / _STARTED
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReadError(
            f"no readable {path}",
            expected="the folder of a training, with what it was begun with",
            action="Give the folder that it was trained in.",
        ) from error
    return found


def _train(
    module: StageModule,
    data: EpochData,
    run: TrainingRun,
    folder: Path,
    callbacks: list[Callback],
) -> None:
    settings = module.schedule.settings
    last = folder / LAST
    experiment = run.experiment
    with quiet():
        trainer = Trainer(
            **_hardware(experiment),
            max_epochs=settings.epochs,
            gradient_clip_val=settings.gradient_clip or None,
            deterministic=experiment.deterministic,
            callbacks=callbacks,
            logger=TensorBoardLogger(
                folder, name="", version="tensorboard", default_hp_metric=False
            ),
            default_root_dir=folder,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
            enable_checkpointing=True,
            enable_model_summary=False,
            enable_progress_bar=run.bar,
            log_every_n_steps=10**9,  # epochs are logged, not steps
        )
        trainer.fit(
            module,
            datamodule=StageData(data, settings, experiment.devices),
            ckpt_path=str(last) if last.exists() else None,
            weights_only=True,
        )


def _callbacks(
    settings: StageSettings, run: TrainingRun, stage: str, watch: EpochCheckpoints
) -> list[Callback]:
    callbacks: list[Callback] = [EpochTable(run.out / stage / TABLE, stage, run.tell), watch]
    if settings.patience:
        stop = EarlyStopping(
            f"val_{settings.monitor}",
            patience=settings.patience,
            mode="max" if settings.monitor == "auc" else "min",
            check_on_train_epoch_end=True,
        )
        callbacks.insert(0, stop)
    if run.bar:
        callbacks.append(RichProgressBar(leave=False, console_kwargs={"stderr": True}))
    return callbacks


def _hardware(experiment: Experiment) -> dict[str, Any]:
    cuda = torch.cuda.is_available()
    if cuda and torch.cuda.device_count() < experiment.devices:
        raise SettingsError(
            f"{torch.cuda.device_count()} GPUs",
            expected=f"{experiment.devices}, as the experiment's `devices` says",
            action="Lower `devices`; the batch is the same whatever their number.",
        )
    if not cuda and experiment.precision == "16-mixed":
        raise SettingsError(
            "no GPU for precision 16-mixed",
            expected="'32' or 'bf16-mixed' on a CPU",
            action="Change the experiment's `precision`.",
        )
    several = experiment.devices > 1 or experiment.strategy == "ddp_spawn"
    return {
        "accelerator": "cuda" if cuda else "cpu",
        "devices": experiment.devices,
        "precision": {"32": "32-true"}.get(experiment.precision, experiment.precision),
        "strategy": _Spawned(cuda) if several else "auto",
    }


class _Spawned(DDPStrategy):
    """A process per device, started by this one, which alone prepares, exports and talks."""

    def __init__(self, cuda: bool) -> None:  # noqa: FBT001  (called once, above)
        backend = "nccl" if cuda else "gloo"
        super().__init__(start_method="spawn", process_group_backend=backend)

    def setup_distributed(self) -> None:
        """Join the others without announcing it, here or later: this process only trains."""
        _silence()
        super().setup_distributed()


def _begin(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Make the folder this run's, or refuse."""
    folder.mkdir(parents=True, exist_ok=True)
    started = folder / _STARTED
    wanted = json.loads(json.dumps(identity))
    if started.exists():
        if not resume:
            raise SettingsError(
                f"an earlier training in {folder}",
                expected="an empty folder, or --resume",
                action="Add --resume to go on with it, or give another --out.",
            )
        _refuse_another(json.loads(started.read_text(encoding="utf-8")), wanted, folder)
        return
    write_whole(started, json.dumps(wanted, indent=1, sort_keys=True) + "\n")


def _refuse_another(found: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    differ = sorted(
        f"{name}.{key}" if isinstance(found.get(name), dict) else name
        for name in {*found, *wanted}
        if found.get(name) != wanted.get(name)
        for key in _differing(found.get(name), wanted.get(name))
    )
    if differ:
        raise SettingsError(
            f"a training in {folder} that was begun with other {', '.join(differ)}",
            expected="the experiment, the cohort and the earlier stages it was begun with",
            action="Give those, or another --out.",
        )


def _differing(found: Any, wanted: Any) -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [key for key in {*found, *wanted} if found.get(key) != wanted.get(key)]
    return [""]


def _is_over(state: Mapping[str, Any], settings: StageSettings) -> bool:
    stopped = state["callbacks"]["EpochCheckpoints"]["stopped"]
    return bool(stopped) or int(state["epoch"]) + 1 >= settings.epochs


def _state(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ReadError(
            f"no checkpoint {path}", expected="a trained stage", action="Train that stage first."
        )
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ReadError(
            f"a checkpoint {path} that cannot be read",
            expected="one that groundglass wrote",
            action="Restore it, or train again in another folder.",
        ) from error
    return state


def load_net(net: nn.Module, path: Path, fresh: str = "") -> None:
    """Weights of a checkpoint into a network of the same sizes.

    Parameters
    ----------
    net : Module
        Changed in place.
    path : Path
        The checkpoint.
    fresh : str
        Part of the network that keeps its own weights where the checkpoint's have another size:
        the classifier of an encoder that goes on with other classes.

    Raises
    ------
    ReadError
        There is no checkpoint, or it cannot be read.
    SettingsError
        Its network has other sizes.
    """
    state = _state(path)
    weights = {
        name.removeprefix("net."): value
        for name, value in state["state_dict"].items()
        if name.startswith("net.")
    }
    if fresh:
        own = {k: v for k, v in net.state_dict().items() if k.startswith(f"{fresh}.")}
        if any(k in weights and weights[k].shape != v.shape for k, v in own.items()):
            weights |= own
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise SettingsError(
            f"a checkpoint {path} of another network",
            expected="the sizes in the experiment's [network] and its number of classes",
            action="Give the experiment it was trained with.",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's announcements, tips and remarks that are no news."""
    levels = [logging.getLogger(name).level for name in _TALKERS]
    with warnings.catch_warnings():
        _silence()
        try:
            yield
        finally:
            for name, level in zip(_TALKERS, levels, strict=True):
                logging.getLogger(name).setLevel(level)


def _silence() -> None:
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in _KNOWN:
        warnings.filterwarnings("ignore", message)
