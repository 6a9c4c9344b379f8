"""The stages as commands: what each does and what is said at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from groundglass.infer import Bundle
from groundglass.infer.bundle_metadata import ShareRule
from groundglass.train.classifier.encoder_stage import train_encoder
from groundglass.train.classifier.predictions import PREDICTIONS
from groundglass.train.classifier.sequence_stage import train_sequence
from groundglass.train.export.bundle import make_bundle, make_slice_bundle
from groundglass.train.fit.callbacks import TABLE
from groundglass.train.fit.fitting import FitResult
from groundglass.train.run import TrainingRun
from groundglass.train.segmenter.stage import train_segmenter

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StageSummary:
    """What is said at the end of a stage: what was done, then names with values."""

    title: str
    facts: Facts


def _segmenter(run: TrainingRun) -> StageSummary:
    result = train_segmenter(run)
    slices = ", ".join(f"{count} {name}" for name, count in result.slices.items())
    dice = tuple(
        (split, f"mean Dice {value:.4f} per slice") for split, value in result.dice.items()
    )
    return StageSummary(
        "Segmenter trained",
        (*_fit_facts(result.fitted), ("network", str(result.path)), ("slices", slices), *dice),
    )


def _encoder(run: TrainingRun) -> StageSummary:
    result = train_encoder(run)
    return StageSummary(
        "Encoder trained",
        (*_fit_facts(result.fitted), *_held_out_facts(result.fitted, result.held_out)),
    )


def _sequence(run: TrainingRun) -> StageSummary:
    result = train_sequence(run)
    return StageSummary(
        "Sequence head trained",
        (*_fit_facts(result.fitted), *_held_out_facts(result.fitted, result.held_out)),
    )


def _all(run: TrainingRun) -> StageSummary:
    if run.segmenter_run == run.out:
        run.tell("Lung segmenter")
        train_segmenter(run)
    run.tell("Slice encoder")
    encoder = train_encoder(run)
    if run.experiment.share_rule is not None:
        run.tell("Bundle")
        return _bundle_summary(make_slice_bundle(run, encoder), encoder.fitted, encoder.held_out)
    run.tell("Sequence head")
    head = train_sequence(run, encoder.prepared)
    run.tell("Bundle")
    bundle = make_bundle(run, head, encoder.prepared)
    return _bundle_summary(bundle, head.fitted, head.held_out)


def _bundle_summary(bundle: Bundle, fitted: FitResult, held_out: Mapping[str, Any]) -> StageSummary:
    metadata, measured = bundle.metadata, bundle.training["metrics"]["parity"]
    parity = ", ".join(
        f"{precision} {measured[precision]['largest_difference']:.2g}"
        for precision in ("f32", "bf16")
    )
    calibration, point, rule = (
        metadata.calibration, metadata.operating_point, metadata.share_rule,
    )  # fmt: skip
    return StageSummary(
        "Bundle made",
        (
            ("bundle", str(bundle.folder)),
            ("parity", f"largest difference of a probability from PyTorch's: {parity}"),
            ("temperature", f"{calibration.temperature:.3f}" if calibration else "none"),
            (
                "share of ill slices",
                _rule_in_words(rule) if rule else "not what decides",
            ),
            (
                "threshold",
                f"{point.threshold:.3f} for {' + '.join(point.positive)}: sensitivity "
                f"{point.sensitivity:.3f}, specificity {point.specificity:.3f} on validation"
                if point
                else "none",
            ),
            *_held_out_facts(fitted, held_out),
        ),
    )


def _rule_in_words(rule: ShareRule) -> str:
    if rule.n:
        return f"findings from {rule.study_threshold:.2f} on, set on {rule.n} studies"
    return "decides, by thresholds that nothing was fitted on yet: groundglass.train.verdict.fit"


def _fit_facts(fitted: FitResult) -> Facts:
    folder = fitted.best.parent
    reached = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in fitted.metrics.items())
    return (
        ("weights", str(fitted.best)),
        ("epochs", str(folder / TABLE)),
        ("curves", f"tensorboard --logdir {folder}"),
        ("best epoch", f"{fitted.best_epoch} of {len(fitted.epochs)}: {reached}"),
    )


def _held_out_facts(fitted: FitResult, held_out: Mapping[str, Any]) -> Facts:
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
STAGES: dict[str, Callable[[TrainingRun], StageSummary]] = {
    "segmenter": _segmenter,
    "encoder": _encoder,
    "sequence": _sequence,
    "all": _all,
}
