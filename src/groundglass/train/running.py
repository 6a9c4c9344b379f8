"""The stages as commands: what each does and what is said at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from groundglass.train.callbacks import TABLE
from groundglass.train.encoder_stage import train_encoder
from groundglass.train.fitting import Fitted
from groundglass.train.predicting import PREDICTIONS
from groundglass.train.task import Task


@dataclass(frozen=True, slots=True)
class Told:
    """What is said at the end of a stage.

    Parameters
    ----------
    title : str
        What was done.
    facts : tuple of (str, str)
        Names and values.
    next_step : str
        The command to go on with.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    next_step: str


def _encoder(task: Task) -> Told:
    result = train_encoder(task)
    facts = (*_fit_facts(result.fitted), *_held_out_facts(result.held_out))
    return Told(
        "Encoder trained",
        (*facts, ("predictions", str(result.fitted.best.parent / PREDICTIONS))),
        f"groundglass train sequence, with the same options (--out {task.out}); it needs studies "
        "of many slices",
    )


def _fit_facts(fitted: Fitted) -> tuple[tuple[str, str], ...]:
    folder = fitted.best.parent
    reached = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in fitted.metrics.items())
    return (
        ("weights", str(fitted.best)),
        ("epochs", str(folder / TABLE)),
        ("curves", f"tensorboard --logdir {folder}"),
        ("best epoch", f"{fitted.best_epoch} of {len(fitted.epochs)}: {reached}"),
    )


def _held_out_facts(held_out: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    facts = []
    for split, found in held_out.items():
        facts.append(
            (split, f"accuracy {_with(found['accuracy'], found['accuracy_interval_95'])}, "
                    f"{found['patients']} patients")
        )  # fmt: skip
        for label, area in found["classes"].items():
            facts.append(("", f"AUC {label} {_with(area['auc'], area['interval_95'])}"))
    return tuple(facts)


def _with(value: float | None, interval: list[float] | None) -> str:
    if value is None or interval is None:
        return "not defined"
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


#: The stages by the name of their command.
STAGES: dict[str, Callable[[Task], Told]] = {"encoder": _encoder}
