"""Stage three: the biLSTM on groups of slices, the encoder frozen (paper section 2.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundglass.infer.bundle import sha256_of
from groundglass.train.cache import PreparedCase, PreparedCohort
from groundglass.train.callbacks import BEST
from groundglass.train.data import targets_of
from groundglass.train.encoder_stage import class_weights, trained_encoder, truth_of
from groundglass.train.features import FeatureMaker, Groups, SequenceData
from groundglass.train.fitting import Fitted, Place, fit, load_net
from groundglass.train.modules import Course, SequenceModule, patient_probabilities
from groundglass.train.networks import SequenceHead, SliceEncoder
from groundglass.train.predicting import CasePredictions, write_predictions
from groundglass.train.seen import SEQUENCE_STAGE, seen_by, write_seen
from groundglass.train.settings import Experiment
from groundglass.train.task import (
    ENCODER_FOLDER,
    SEQUENCE_FOLDER,
    Task,
    identity,
    prepared_cohort,
    refuse_empty,
)


@dataclass(frozen=True, slots=True)
class SequenceResult:
    """A trained sequence head.

    Parameters
    ----------
    net : SequenceHead
        With the best epoch's weights.
    encoder : SliceEncoder
        What it was trained on top of.
    prepared : PreparedCohort
        The studies of many slices among the cohort's cases.
    fitted : Fitted
        How the training went.
    held_out : mapping
        Accuracy and AUC per split: mean over each study's groups.
    """

    net: SequenceHead
    encoder: SliceEncoder
    prepared: PreparedCohort
    fitted: Fitted
    held_out: dict[str, Any]


def train_sequence(task: Task, cohort: PreparedCohort | None = None) -> SequenceResult:
    """Train the sequence head of an experiment on the encoder that this run trained before.

    Parameters
    ----------
    task : Task
        The run.
    cohort : PreparedCohort, optional
        Its cases, where an earlier stage has prepared them.

    Raises
    ------
    ReadError
        There is no trained encoder.
    InputError, SettingsError
        As for `train_encoder`.
    """
    experiment, labels, settings = task.experiment, task.labels, task.experiment.sequence
    encoder = trained_encoder(task)
    prepared = _studies(cohort or prepared_cohort(task))
    refuse_empty([case.case for case in prepared.cases], labels, experiment.healthy)
    train, validation = prepared.of_split("train"), prepared.of_split("validation")
    maker = feature_maker(encoder, task)
    seen = _features(maker, train, settings.variants, task)
    held_out = _features(maker, validation, 0, task)
    net = new_head(experiment, encoder.features, len(labels))
    if settings.init_from:
        load_net(net, Path(settings.init_from))
    targets = targets_of(train, labels)
    data = SequenceData(
        seen, held_out, tuple(targets), tuple(targets_of(validation, labels)), settings,
        experiment.seed,
    )  # fmt: skip
    module = SequenceModule(
        net,
        Course(settings, data.steps, experiment.seed),
        class_weights([targets[int(case)] for case in seen.case], len(labels), settings.balance),
        truth_of([validation[int(case)] for case in held_out.case], labels),
    )
    folder = task.out / SEQUENCE_FOLDER
    whom = seen_by((*train, *validation), SEQUENCE_STAGE, settings.init_from)
    known = identity(task, (*train, *validation), settings) | {"encoder": maker.encoder_sha256}
    fitted = fit(
        module, data, experiment, Place("sequence", folder, task.resume, task.tell, task.bar), known
    )
    write_seen(whom, folder)
    others = [case for case in prepared.cases if case.case.split != "train"]
    groups = _features(maker, others, 0, task)
    found = predict_groups(net, groups, others, labels)
    return SequenceResult(net, encoder, prepared, fitted, write_predictions(found, folder))


def feature_maker(encoder: SliceEncoder, task: Task) -> FeatureMaker:
    """What computes this run's features."""
    experiment = task.experiment
    return FeatureMaker(
        encoder,
        sha256_of(task.out / ENCODER_FOLDER / BEST),
        experiment.recipe.group_size,
        experiment.sequence,
        experiment.seed,
        task.out / SEQUENCE_FOLDER,
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


def _studies(prepared: PreparedCohort) -> PreparedCohort:
    return replace(prepared, cases=tuple(case for case in prepared.cases if case.is_volume))


def _features(
    maker: FeatureMaker, cases: Sequence[PreparedCase], variants: int, task: Task
) -> Groups:
    with task.counting("Encoding studies") as progress:
        return maker.of(cases, variants, progress)
