"""The stages as commands: what each does and what is said at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from groundglass.train.bundle_stage import make_bundle
from groundglass.train.callbacks import TABLE
from groundglass.train.encoder_stage import train_encoder
from groundglass.train.fitting import Fitted
from groundglass.train.predicting import PREDICTIONS
from groundglass.train.segmenter_stage import train_segmenter
from groundglass.train.sequence_stage import train_sequence
from groundglass.train.task import Task

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What is said at the end of a stage.

    Parameters
    ----------
    title : str
        What was done.
    facts : tuple of (str, str)
        Names and values.
    """

    title: str
    facts: Facts


def _segmenter(task: Task) -> Told:
    result = train_segmenter(task)
    slices = ", ".join(f"{count} {name}" for name, count in result.slices.items())
    dice = tuple(
        (split, f"mean Dice {value:.4f} per slice") for split, value in result.dice.items()
    )
    return Told(
        "Segmenter trained",
        (*_fit_facts(result.fitted), ("network", str(result.path)), ("slices", slices), *dice),
    )


def _encoder(task: Task) -> Told:
    result = train_encoder(task)
    return Told(
        "Encoder trained",
        (*_fit_facts(result.fitted), *_held_out_facts(result.fitted, result.held_out)),
    )


def _sequence(task: Task) -> Told:
    result = train_sequence(task)
    return Told(
        "Sequence head trained",
        (*_fit_facts(result.fitted), *_held_out_facts(result.fitted, result.held_out)),
    )


def _all(task: Task) -> Told:
    if not task.experiment.segmenter.bundle:
        task.tell("Lung segmenter")
        train_segmenter(task)
    task.tell("Slice encoder")
    prepared = train_encoder(task).prepared
    task.tell("Sequence head")
    head = train_sequence(task, prepared)
    task.tell("Bundle")
    made = make_bundle(task, head, prepared)
    facts = made.bundle.facts
    parity = ", ".join(
        f"{precision} {one['largest_difference']:.2g}" for precision, one in made.parity.items()
    )
    calibration, point = facts.calibration, facts.operating_point
    return Told(
        "Bundle made",
        (
            ("bundle", str(made.bundle.folder)),
            ("parity", f"largest difference of a probability from PyTorch's: {parity}"),
            ("temperature", f"{calibration.temperature:.3f}" if calibration else "none"),
            (
                "threshold",
                f"{point.threshold:.3f} for {' + '.join(point.positive)}: sensitivity "
                f"{point.sensitivity:.3f}, specificity {point.specificity:.3f} on validation"
                if point
                else "none",
            ),
            *_held_out_facts(head.fitted, head.held_out),
        ),
    )


def _fit_facts(fitted: Fitted) -> Facts:
    folder = fitted.best.parent
    reached = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in fitted.metrics.items())
    return (
        ("weights", str(fitted.best)),
        ("epochs", str(folder / TABLE)),
        ("curves", f"tensorboard --logdir {folder}"),
        ("best epoch", f"{fitted.best_epoch} of {len(fitted.epochs)}: {reached}"),
    )


def _held_out_facts(fitted: Fitted, held_out: Mapping[str, Any]) -> Facts:
    facts = []
    for split, found in held_out.items():
        accuracy = _with(found["accuracy"], found["accuracy_interval_95"])
        facts.append((split, f"accuracy {accuracy}, {found['patients']} patients"))
        for label, area in found["classes"].items():
            facts.append(("", f"AUC {label} {_with(area['auc'], area['interval_95'])}"))
    return (*facts, ("predictions", str(fitted.best.parent / PREDICTIONS)))


def _with(value: float | None, interval: list[float] | None) -> str:
    if value is None or interval is None:
        return "not defined"
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


#: The stages by the name of their command.
STAGES: dict[str, Callable[[Task], Told]] = {
    "segmenter": _segmenter,
    "encoder": _encoder,
    "sequence": _sequence,
    "all": _all,
}
