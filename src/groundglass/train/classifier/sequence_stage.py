"""Stage three: the biLSTM on groups of slices, the encoder frozen (paper section 2.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundglass.infer.bundle import sha256_of
from groundglass.train.classifier.encoder_stage import class_weights, trained_encoder, truth_of
from groundglass.train.classifier.epochs import targets_of
from groundglass.train.classifier.features import FeatureMaker, Groups, SequenceData
from groundglass.train.classifier.modules import SequenceModule, patient_probabilities
from groundglass.train.classifier.predictions import CasePredictions, write_predictions
from groundglass.train.data.cache import PreparedCase, PreparedCohort
from groundglass.train.data.training_cases import (
    SEQUENCE_STAGE,
    training_cases,
    write_training_cases,
)
from groundglass.train.fit.callbacks import BEST
from groundglass.train.fit.fitting import FitResult, fit, load_net
from groundglass.train.fit.module import Schedule
from groundglass.train.networks import SequenceHead, SliceEncoder
from groundglass.train.run import (
    ENCODER_FOLDER,
    SEQUENCE_FOLDER,
    TrainingRun,
    classifier_identity,
    prepared_cohort,
    refuse_empty,
)
from groundglass.train.settings import Experiment


@dataclass(frozen=True, slots=True)
class SequenceResult:
    """A trained head with its encoder; `prepared` are the cohort's studies of many slices."""

    net: SequenceHead
    encoder: SliceEncoder
    prepared: PreparedCohort
    fitted: FitResult
    held_out: dict[str, Any]


def train_sequence(run: TrainingRun, cohort: PreparedCohort | None = None) -> SequenceResult:
    """Train the sequence head of an experiment on the encoder that this run trained before.

    `cohort` are its cases, where an earlier stage has prepared them.

    Raises
    ------
    ReadError
        There is no trained encoder.
    InputError, SettingsError
        As for `train_encoder`.
    """
    experiment, labels, settings = run.experiment, run.labels, run.experiment.sequence
    encoder = trained_encoder(run)
    prepared = _studies(cohort or prepared_cohort(run), labels)
    refuse_empty([case.case for case in prepared.cases], labels, experiment.healthy)
    train, validation = prepared.of_split("train"), prepared.of_split("validation")
    maker = feature_maker(encoder, run)
    learnt = _features(maker, train, settings.variants, run)
    held_out = _features(maker, validation, 0, run)
    net = new_head(experiment, encoder.features, len(labels))
    if settings.init_from:
        load_net(net, Path(settings.init_from))
    targets = targets_of(train, labels)
    data = SequenceData(
        learnt, held_out, tuple(targets), tuple(targets_of(validation, labels)), settings,
        experiment.seed,
    )  # fmt: skip
    module = SequenceModule(
        net,
        Schedule(settings, experiment.seed),
        class_weights([targets[int(case)] for case in learnt.case], len(labels), settings.balance),
        truth_of([validation[int(case)] for case in held_out.case], labels),
        labels.index(experiment.healthy),
    )
    folder = run.out / SEQUENCE_FOLDER
    learnt_from = training_cases((*train, *validation), SEQUENCE_STAGE, settings.init_from)
    known = classifier_identity(run, (*train, *validation), settings)
    known["encoder"] = maker.encoder_sha256
    fitted = fit(module, data, run, SEQUENCE_FOLDER, known)
    write_training_cases(learnt_from, folder)
    others = [case for case in prepared.cases if case.case.split != "train"]
    groups = _features(maker, others, 0, run)
    found = predict_groups(net, groups, others, labels)
    return SequenceResult(net, encoder, prepared, fitted, write_predictions(found, folder))


def feature_maker(encoder: SliceEncoder, run: TrainingRun) -> FeatureMaker:
    """What computes this run's features."""
    experiment = run.experiment
    return FeatureMaker(
        encoder,
        sha256_of(run.out / ENCODER_FOLDER / BEST),
        experiment.recipe.group_size,
        experiment.sequence,
        experiment.seed,
        run.out / SEQUENCE_FOLDER,
    )


def new_head(experiment: Experiment, features: int, classes: int) -> SequenceHead:
    """A head of the experiment's sizes, its random weights decided by the seed."""
    torch.manual_seed(experiment.seed)
    sizes = experiment.network
    return SequenceHead(
        features,
        experiment.recipe.group_size,
        classes,
        units=sizes.sequence_units,
        width=sizes.sequence_width,
        dropout=sizes.sequence_dropout,
    )


@torch.no_grad()
def predict_groups(
    net: SequenceHead, groups: Groups, cases: Sequence[PreparedCase], labels: tuple[str, ...]
) -> CasePredictions:
    """Mean probability over each case's groups."""
    net.eval()
    logits = net(torch.from_numpy(groups.features)).double()
    probability = torch.softmax(logits, dim=1).numpy()
    rows = patient_probabilities(probability, groups.case)
    return CasePredictions([case.case for case in cases], labels, np.asarray(rows))


def _studies(prepared: PreparedCohort, labels: tuple[str, ...]) -> PreparedCohort:
    """The studies of a known class."""
    kept = (case for case in prepared.cases if case.is_volume and case.case.label in labels)
    return replace(prepared, cases=tuple(kept))


def _features(
    maker: FeatureMaker, cases: Sequence[PreparedCase], variants: int, run: TrainingRun
) -> Groups:
    with run.counting("Encoding studies") as progress:
        return maker.of(cases, variants, progress)
