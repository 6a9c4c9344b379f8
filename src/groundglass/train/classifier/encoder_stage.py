"""Stage two: the CNN on slices, each with its patient's label (paper section 2.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.train.classifier.epochs import EncoderData, plan_validation, targets_of
from groundglass.train.classifier.modules import (
    EncoderModule,
    ValidationTruth,
    patient_probabilities,
)
from groundglass.train.classifier.predictions import CasePredictions, write_predictions
from groundglass.train.data.cache import PreparedCase, PreparedCohort
from groundglass.train.data.tensors import to_tensor
from groundglass.train.data.training_cases import (
    ENCODER_STAGE,
    training_cases,
    write_training_cases,
)
from groundglass.train.fit.callbacks import BEST
from groundglass.train.fit.fitting import FitResult, fit, load_net
from groundglass.train.fit.module import Schedule
from groundglass.train.networks import SliceEncoder
from groundglass.train.run import ENCODER_FOLDER, TrainingRun, classifier_identity, prepared_cohort
from groundglass.train.settings import Experiment

#: Slices per pass where nothing is learnt.
_PORTION = 10


@dataclass(frozen=True, slots=True)
class EncoderResult:
    """A trained encoder: the best epoch's weights, its cases, the training, metrics per split."""

    net: SliceEncoder
    prepared: PreparedCohort
    fitted: FitResult
    held_out: dict[str, Any]


def train_encoder(run: TrainingRun) -> EncoderResult:
    """Train the encoder of an experiment.

    Raises
    ------
    InputError
        The cohort cannot be trained on.
    SettingsError
        The folder holds another training, or the experiment asks for what is not there.
    """
    experiment, labels = run.experiment, run.labels
    settings = experiment.encoder
    prepared = prepared_cohort(run)
    train, validation = prepared.of_split("train"), prepared.of_split("validation")
    net = new_encoder(experiment, len(labels))
    if settings.init_from:
        load_net(net, Path(settings.init_from), fresh="classifier")
    data = EncoderData(
        train, validation, run.targets, experiment.healthy, settings, experiment.seed
    )
    plan = plan_validation([case.slices for case in validation], settings.validation_slices)
    module = EncoderModule(
        net,
        Schedule(settings, experiment.seed),
        class_weights(targets_of(train, run.targets), len(run.targets), settings.balance),
        truth_of([validation[case] for case in plan[:, 0]], run.targets),
        labels.index(experiment.healthy),
    )
    folder = run.out / ENCODER_FOLDER
    learnt_from = training_cases((*train, *validation), ENCODER_STAGE, settings.init_from)
    known = classifier_identity(run, (*train, *validation), settings)
    fitted = fit(module, data, run, ENCODER_FOLDER, known)
    write_training_cases(learnt_from, folder)
    others = [
        case for case in prepared.cases if case.case.split != "train" and case.case.label in labels
    ]
    found = predict_slices(net, others, labels, settings.validation_slices)
    return EncoderResult(net, prepared, fitted, write_predictions(found, folder))


def new_encoder(experiment: Experiment, classes: int) -> SliceEncoder:
    """An encoder of the experiment's sizes, its random weights decided by the seed."""
    torch.manual_seed(experiment.seed)
    sizes = experiment.network
    net = SliceEncoder(
        sizes.encoder_widths,
        classes,
        fold=sizes.encoder_fold,
        pools=sizes.encoder_pools,
        convolutions=sizes.encoder_convolutions,
        norm=sizes.encoder_norm,
        dropout=sizes.encoder_dropout,
    )
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def trained_encoder(run: TrainingRun) -> SliceEncoder:
    """The encoder that an earlier stage left in the run's folder."""
    net = new_encoder(run.experiment, len(run.labels))
    load_net(net, run.out / ENCODER_FOLDER / BEST)
    net.eval()
    return net


def class_weights(targets: Sequence[int], classes: int, balance: str) -> list[float]:
    """Weight of each class in the loss: 1, or inverse to its number of cases."""
    if balance != "weights":
        return [1.0] * classes
    count = np.bincount(targets, minlength=classes)
    return [len(targets) / (classes * int(one)) for one in count]


def truth_of(items: Sequence[PreparedCase], labels: Sequence[str]) -> ValidationTruth:
    """Whom validation items belong to; one patient under two labels counts as two."""
    keys = [(item.case.patient, item.case.label) for item in items]
    number = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    target = [labels.index(label) for _, label in number]
    return ValidationTruth(np.array([number[key] for key in keys]), np.array(target))


@torch.no_grad()
def predict_slices(
    net: SliceEncoder, cases: Sequence[PreparedCase], labels: tuple[str, ...], most: int
) -> CasePredictions:
    """Mean probability over evenly spaced slices of each case, `most` of them, 0 for all."""
    net.eval()
    rows: list[NDArray[np.float64]] = []
    for case in cases:
        images = case.images()[plan_validation([case.slices], most)[:, 1]]
        parts = [images[k : k + _PORTION] for k in range(0, len(images), _PORTION)]
        logits = torch.cat([net(to_tensor(part)) for part in parts]).double()
        probability = torch.softmax(logits, dim=1).numpy()
        rows.append(patient_probabilities(probability, np.zeros(len(probability), np.int64))[0])
    return CasePredictions([case.case for case in cases], labels, np.array(rows))
