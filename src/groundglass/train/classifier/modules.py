"""What Lightning trains of the classifier: the slice encoder, then the sequence head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from groundglass.evaluate.statistics import auc
from groundglass.train.data.tensors import as_float, trimmed
from groundglass.train.fit.datamodule import Item
from groundglass.train.fit.module import Schedule, StageModule, gathered
from groundglass.train.networks import SequenceHead, SliceEncoder
from groundglass.train.settings import EncoderSettings


class ClassifierModule(StageModule):
    """What encoder and sequence head have in common: classes, and validation per patient.

    `weights` are of each target in the training loss: of each class and, where there are such
    cases, of "ill, nobody knows with which"; `healthy` is the class that means no pneumonia.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: Schedule,
        weights: Sequence[float],
        validation: ValidationTruth,
        healthy: int,
    ) -> None:
        super().__init__(net, schedule)
        self.truth, self.healthy = validation, healthy
        # Not part of the checkpoint: it follows from the cohort.
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(weights), persistent=False)
        self._found: list[Tensor] = []

    def class_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy with class weights and label smoothing; of the ill, `unknown_kind_loss`."""
        smoothing = self.schedule.settings.label_smoothing
        classes = logits.shape[1]
        unknown = target == classes
        if not unknown.any():
            return F.cross_entropy(
                logits, target, self.weights[:classes], label_smoothing=smoothing
            )
        known = F.cross_entropy(
            logits, target.clamp(max=classes - 1), label_smoothing=smoothing, reduction="none"
        )
        losses = torch.where(unknown, unknown_kind_loss(logits, self.healthy), known)
        weights = self.weights[target]
        return (losses * weights).sum() / weights.sum()

    def keep(self, index: Tensor, logits: Tensor) -> None:
        """Keep the logits of validation items until all are there."""
        self._found.append(torch.cat([index[:, None].double(), logits.double()], dim=1))

    def on_validation_epoch_end(self) -> None:
        """Log loss, accuracy and AUC per patient."""
        logits = gathered(self, self._found)
        self._found.clear()
        self.log_dict(dict(patient_metrics(logits, self.truth, self.healthy)))


class EncoderModule(ClassifierModule):
    """Trains the slice encoder, with lesion marks where the experiment asks for them."""

    net: SliceEncoder

    def __init__(
        self,
        net: SliceEncoder,
        schedule: Schedule,
        weights: Sequence[float],
        validation: ValidationTruth,
        healthy: int,
    ) -> None:
        super().__init__(net, schedule, weights, validation, healthy)
        settings = schedule.settings
        self.lesions: tuple[int, float] | None = None
        if isinstance(settings, EncoderSettings) and settings.lesion_weight > 0:
            self.lesions = (settings.lesion_layer, settings.lesion_weight)
            self.marker = nn.Conv2d(net.widths[settings.lesion_layer], 1, 1)

    def training_step(self, batch: Item, _index: int) -> Tensor:
        """Cross-entropy of the patient's label, plus that of the lesion marks."""
        rows, columns = trimmed(batch["image"])
        maps = self.net.maps(as_float(batch["image"][:, :, rows, columns]))
        loss = self.class_loss(self.net.classify(maps), batch["target"])
        if self.lesions is not None:
            layer, weight = self.lesions
            lesion = batch["lesion"][:, :, rows, columns]
            loss = loss + weight * lesion_loss(self.marker(maps[layer]), lesion)
        self.log_training(loss, len(batch["image"]))
        return loss

    def validation_step(self, batch: Item, _index: int) -> None:
        """Keep the logits."""
        self.keep(batch["index"], self.net(as_float(batch["image"])))


class SequenceModule(ClassifierModule):
    """Trains the sequence head on features of the frozen encoder."""

    net: SequenceHead

    def training_step(self, batch: Item, _index: int) -> Tensor:
        """Cross-entropy of the patient's label on each group."""
        loss = self.class_loss(self.net(batch["features"]), batch["target"])
        self.log_training(loss, len(batch["target"]))
        return loss

    def validation_step(self, batch: Item, _index: int) -> None:
        """Keep the logits."""
        self.keep(batch["index"], self.net(batch["features"]))


@dataclass(frozen=True, slots=True, eq=False)
class ValidationTruth:
    """Whose each item of a validation is, by number, and each patient's class.

    The number behind the classes is "ill, nobody knows with which".
    """

    patient: NDArray[np.int64]
    target: NDArray[np.int64]


def patient_metrics(
    logits: NDArray[np.float64], truth: ValidationTruth, healthy: int
) -> Mapping[str, float]:
    """Validation of a classifier, every patient counting once.

    Parameters
    ----------
    logits : ndarray of float64, shape (items, classes)
        Of slices or groups.
    truth : ValidationTruth
        Whom they belong to.
    healthy : int
        The class that means no pneumonia.

    Returns
    -------
    mapping of str to float
        `val_loss`: cross-entropy, mean over items, then over patients. `val_accuracy` and
        `val_auc` (one against the rest, mean over classes; 0.5 where it is not defined) of the
        mean probability per patient. The ill of unknown kind count as not healthy: right in
        whatever other class, and left out of the AUC of those.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    count = np.bincount(truth.patient, minlength=len(truth.target))
    ill = np.log(np.delete(np.exp(logs), healthy, axis=1).sum(axis=1))
    of_target = np.column_stack([logs, ill])[np.arange(len(logs)), truth.target[truth.patient]]
    loss = -np.bincount(truth.patient, of_target, len(truth.target)) / count
    probability = patient_probabilities(np.exp(logs), truth.patient)
    called, unknown = probability.argmax(axis=1), truth.target == logits.shape[1]
    right = np.where(unknown, called != healthy, called == truth.target)
    return {
        "val_loss": float(loss.mean()),
        "val_accuracy": float(right.mean()),
        "val_auc": macro_auc(probability, truth.target, healthy),
    }


def patient_probabilities(
    probabilities: NDArray[np.float64], patient: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean probability per patient, (patients, classes), of items, (items, classes)."""
    count = np.bincount(patient)
    columns = [np.bincount(patient, column) / count for column in probabilities.T]
    return np.stack(columns, axis=1)


def macro_auc(probability: NDArray[np.float64], target: NDArray[np.int64], healthy: int) -> float:
    """Mean over the classes of one against the rest; 0.5 for a class that is all or none."""
    known = target < probability.shape[1]
    areas = [
        auc(column, target == k) if k == healthy else auc(column[known], target[known] == k)
        for k, column in enumerate(probability.T)
    ]
    return float(np.mean([0.5 if area is None else area for area in areas]))


def unknown_kind_loss(logits: Tensor, healthy: int) -> Tensor:
    """−log of the probability of any class but `healthy`, for each row of logits, (N, classes)."""
    ill = [k for k in range(logits.shape[1]) if k != healthy]
    return torch.logsumexp(logits, dim=1) - torch.logsumexp(logits[:, ill], dim=1)


def lesion_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of lesion marks where it is known what is lesion.

    Parameters
    ----------
    logits : Tensor of float, shape (N, 1, h, w)
        Marks on a layer's grid.
    mask : Tensor of uint8, shape (N, 1, H, W)
        0, 1, or 255 for not known; H and W are multiples of h and w.

    Returns
    -------
    Tensor
        Mean over the cells with known pixels, against the share of them that is lesion; 0 where
        there are none.
    """
    cell = mask.shape[-1] // logits.shape[-1]
    known = F.avg_pool2d((mask != 255).float(), cell)
    lesion = F.avg_pool2d((mask == 1).float(), cell) / known.clamp(min=1e-6)
    loss = F.binary_cross_entropy_with_logits(logits.float(), lesion, reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)
