"""How a freshly made bundle does on the cases of its own run that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundglass.core.result import GroupPrediction, Verdict
from groundglass.evaluate.statistics import Interval, auc, auc_interval, wilson
from groundglass.infer import Bundle, Classifier
from groundglass.train.classifier.encoder_stage import predict_slices
from groundglass.train.data.cache import PreparedCase
from groundglass.train.data.prepare_slice import INSERTED_COLUMNS
from groundglass.train.networks import SliceEncoder

#: Column of slice cases by which figures are given apart where a cohort has it.
_SEVERITY = "severity"


@dataclass(frozen=True, slots=True, eq=False)
class CaseVerdicts:
    """What a bundle says of prepared cases, as service would: of their groups, and the verdict."""

    cases: Sequence[PreparedCase]
    labels: tuple[str, ...]
    groups: tuple[tuple[GroupPrediction, ...], ...]
    verdicts: tuple[Verdict, ...]

    @property
    def truth(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Class index of each case."""
        return np.array([self.labels.index(case.case.label) for case in self.cases])

    def score(self, labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Summed probability of some classes for each case."""
        return np.array([sum(v.probabilities[label] for label in labels) for v in self.verdicts])


def classify_cases(
    bundle: Bundle, classifier: Classifier, cases: Sequence[PreparedCase]
) -> CaseVerdicts:
    """Classify and vote on prepared cases with a bundle's classifier."""
    recipe = bundle.recipe
    groups = tuple(
        tuple(
            classifier(group, case.group_images(group)).prediction
            for group in case.groups(recipe.group_size)
        )
        for case in cases
    )
    verdicts = tuple(classifier.verdict(one) for one in groups)
    return CaseVerdicts(cases, bundle.labels, groups, verdicts)


def patient_figures(classified: CaseVerdicts) -> dict[str, Any]:
    """Accuracy, and sensitivity, specificity and AUC per class, each with its interval."""
    truth = classified.truth
    called = np.array([classified.labels.index(one.forced) for one in classified.verdicts])
    names = [case.case.patient for case in classified.cases]
    patients = np.unique(names, return_inverse=True)[1].astype(np.int64)
    right = int((called == truth).sum())
    figures: dict[str, Any] = {
        "patients": len(set(names)),
        "accuracy": _figure(right / len(truth), wilson(right, len(truth))),
    }
    for k, label in enumerate(classified.labels):
        positive, found = truth == k, called == k
        hits, rejected = int((positive & found).sum()), int((~positive & ~found).sum())
        ill, well = int(positive.sum()), int((~positive).sum())
        scores = classified.score([label])
        figures[label] = {
            "sensitivity": _figure(hits / ill if ill else None, wilson(hits, ill)),
            "specificity": _figure(rejected / well if well else None, wilson(rejected, well)),
            "AUC": _figure(
                auc(scores, positive), auc_interval(scores, positive, patients=patients)
            ),
        }
    return figures


def _figure(value: float | None, interval: Interval | None) -> dict[str, Any]:
    if value is None or interval is None:
        return {"value": None}
    return {
        "value": round(value, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
    }


def slice_figures(
    net: SliceEncoder, cases: Sequence[PreparedCase], labels: tuple[str, ...], healthy: str
) -> dict[str, Any]:
    """What the encoder alone tells on single slices of a split: AUC of "not healthy", per source.

    Slices with lesions laid in are left out: who laid them in is who tests. Where a source states a
    severity, each is set against all of its healthy slices, and so are those from one on: names of
    severities are taken to rise in the order of the alphabet.
    """
    plain = [
        one for one in cases if not one.is_volume and not one.case.extra.get(INSERTED_COLUMNS[0])
    ]
    figures: dict[str, Any] = {}
    for source in sorted({one.case.source for one in plain}):
        of_source = [one for one in plain if one.case.source == source]
        rows = predict_slices(net, of_source, labels, 1).probabilities
        score = 1 - rows[:, labels.index(healthy)]
        ill = np.array([one.case.label != healthy for one in of_source])
        figures[source] = _against_healthy(of_source, score, ill)
    return figures


def _against_healthy(
    cases: Sequence[PreparedCase],
    score: np.ndarray[Any, np.dtype[np.float64]],
    ill: np.ndarray[Any, np.dtype[np.bool_]],
) -> dict[str, Any]:
    """AUC of all ill slices, of each severity, and of those from one on, against the healthy."""
    severity = np.array([one.case.extra.get(_SEVERITY, "") for one in cases])
    patients = np.unique([one.case.patient for one in cases], return_inverse=True)[1]
    names = [name for name in sorted(set(severity[ill].tolist())) if name]
    parts = {"all": ill} | {name: ill & (severity == name) for name in names}
    # From the first on is all, from the last on is the last.
    parts |= {f"{name} and worse": ill & (severity >= name) for name in names[1:-1]}
    found = {}
    for name, part in parts.items():
        chosen = part | ~ill
        area = auc(score[chosen], part[chosen])
        interval = auc_interval(
            score[chosen], part[chosen], patients=patients[chosen].astype(np.int64)
        )
        counts = f"AUC of not healthy, {name}: {int(part.sum())} slices against {int((~ill).sum())}"
        found[counts] = _figure(area, interval)
    return found
