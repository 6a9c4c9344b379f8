"""The end of a training: networks, what was fitted on validation, and where all of it is from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

import groundglass
from groundglass.cohort import patient_hash
from groundglass.cohort.importers import DATASETS
from groundglass.core.result import GroupPrediction, Verdict
from groundglass.evaluate import (
    Interval,
    auc,
    auc_interval,
    fit_temperature,
    threshold_for_sensitivity,
    wilson,
)
from groundglass.infer import (
    Bundle,
    Classifier,
    OpenVinoEngine,
    Precision,
    load_bundle,
    vote,
)
from groundglass.infer.self_test import run_self_test
from groundglass.train.cache import PreparedCase, PreparedCohort
from groundglass.train.callbacks import BEST, TABLE, read_table
from groundglass.train.export import BundleFacts, Networks, export_bundle, write_manifest
from groundglass.train.fitting import load_net
from groundglass.train.networks import LungUNet
from groundglass.train.parity import Trained, check_parity
from groundglass.train.predicting import HELD_OUT
from groundglass.train.sequence_stage import SequenceResult
from groundglass.train.task import (
    BUNDLE_FOLDER,
    ENCODER_FOLDER,
    SEGMENTER_FOLDER,
    SEQUENCE_FOLDER,
    Task,
    refuse_other_segmenter,
    segmenter_path,
)

_VERSIONS = ("torch", "lightning", "onnx", "openvino", "numpy", "opencv-python-headless")


@dataclass(frozen=True, slots=True)
class BundleResult:
    """A bundle that is ready.

    Parameters
    ----------
    bundle : Bundle
        Loaded again, its hashes checked.
    parity : mapping
        How far the exported networks are from PyTorch's.
    """

    bundle: Bundle
    parity: dict[str, dict[str, Any]]


def make_bundle(task: Task, trained: SequenceResult) -> BundleResult:
    """Export the networks of a run, check, calibrate and describe them.

    Parameters
    ----------
    task : Task
        The run; the bundle goes to its folder `bundle`.
    trained : SequenceResult
        What its stages gave.

    Raises
    ------
    BundleError
        The exported networks do not answer as PyTorch does.
    SettingsError
        The segmenter is a bundle's that was made for other images.
    """
    refuse_other_segmenter(task)
    folder = task.out / BUNDLE_FOLDER
    recipe = task.experiment.recipe
    networks = Networks(segmenter_path(task), trained.encoder, trained.net)
    facts = _facts(task, {}, {})
    export_bundle(networks, recipe, facts, folder)
    nets = Trained(_segmenter(task), trained.encoder, trained.net)
    validation = trained.prepared.of_split("validation")
    parity = check_parity(load_bundle(folder), nets, validation)
    fitted: dict[str, Any] = {"training_hashes": _hashes(task, trained.prepared)}
    fitted["calibration"], calibration = _calibrate(load_bundle(folder), validation)
    write_manifest(recipe, _facts(task, {}, fitted), folder)
    calibrated = load_bundle(folder)
    classifier = Classifier(calibrated, OpenVinoEngine(Precision.F32))
    judged = {
        split: judge(calibrated, classifier, cases)
        for split in ("validation", "test")
        if (cases := trained.prepared.of_split(split))
    }
    fitted["operating_point"] = _operating_point(judged["validation"], task)
    answers = run_self_test(calibrated, OpenVinoEngine(Precision.F32))
    fitted["self_test"] = asdict(answers)
    metrics = {f"{split} patients": patient_figures(one) for split, one in judged.items()}
    metrics |= _lung_figures(task) | {"temperature": calibration, "parity": parity}
    training = describe(task, trained.prepared) | {"metrics": metrics}
    write_manifest(recipe, _facts(task, training, fitted), folder)
    return BundleResult(load_bundle(folder), parity)


def _facts(task: Task, training: dict[str, Any], fitted: dict[str, Any]) -> BundleFacts:
    experiment = task.experiment
    return BundleFacts(
        name=experiment.name,
        version=experiment.bundle.version,
        labels=task.labels,
        healthy=experiment.healthy,
        statement=experiment.bundle.statement,
        training=training,
        fitted=fitted,
    )


def _segmenter(task: Task) -> LungUNet | None:
    """The U-Net this run trained; None where it took a bundle's."""
    if task.experiment.segmenter.bundle:
        return None
    net = LungUNet(task.experiment.network.segmenter_widths)
    load_net(net, task.out / SEGMENTER_FOLDER / BEST)
    return net.eval()


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCases:
    """What a bundle says of prepared cases, as service would after preparing.

    Parameters
    ----------
    cases : sequence of PreparedCase
        Whom.
    labels : tuple of str
        The bundle's classes.
    groups : tuple of tuple of GroupPrediction
        Of each case.
    verdicts : tuple of Verdict
        Of each case.
    """

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


def judge(bundle: Bundle, classifier: Classifier, cases: Sequence[PreparedCase]) -> JudgedCases:
    """Classify and vote on prepared cases with a bundle's classifier."""
    recipe = bundle.recipe
    groups = tuple(
        tuple(
            classifier(group, case.group_images(group)).prediction
            for group in case.groups(recipe.group_size)
        )
        for case in cases
    )
    verdicts = tuple(vote(one, bundle.healthy, recipe.vote_threshold) for one in groups)
    return JudgedCases(cases, bundle.labels, groups, verdicts)


def _calibrate(
    bundle: Bundle, cases: Sequence[PreparedCase]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The temperature that the groups' logits are divided by, and how it was found."""
    judged = judge(bundle, Classifier(bundle, OpenVinoEngine(Precision.F32)), cases)
    rows = [
        (list(one.probabilities.values()), truth)
        for of_case, truth in zip(judged.groups, judged.truth, strict=True)
        for one in of_case
    ]
    found = fit_temperature(np.array([row for row, _ in rows]), np.array([t for _, t in rows]))
    calibration = {
        "method": "temperature",
        "temperature": found.temperature,
        "fitted_on": "validation",
        "n": len({case.case.patient for case in cases}),
    }
    about = {
        "groups": len(rows),
        "negative log-likelihood before": round(found.nll_before, 4),
        "negative log-likelihood after": round(found.nll_after, 4),
    }
    return calibration, about | ({"not fitted": found.not_fitted} if found.not_fitted else {})


def _operating_point(judged: JudgedCases, task: Task) -> dict[str, Any]:
    """The threshold on 1 − p(healthy) that reaches the sensitivity asked for."""
    healthy = task.experiment.healthy
    positive = [label for label in judged.labels if label != healthy]
    ill = judged.truth != judged.labels.index(healthy)
    wanted = task.experiment.bundle.sensitivity
    point = threshold_for_sensitivity(np.clip(judged.score(positive), 0, 1), ill, wanted)
    return {
        "positive": positive,
        "threshold": point.threshold,
        "sensitivity": point.sensitivity,
        "specificity": point.specificity,
        "fitted_on": "validation",
        "n": len({case.case.patient for case in judged.cases}),
    }


def _hashes(task: Task, prepared: PreparedCohort) -> dict[str, Any]:
    """Whom the classifier has seen; the salt follows from them, so that a rebuild is the same."""
    seen = [case for case in prepared.cases if case.case.split in ("train", "validation")]
    studies = sorted({case.fingerprint for case in seen})
    salt = hashlib.sha256("".join([task.experiment.name, *studies]).encode()).hexdigest()[:32]
    return {
        "salt": salt,
        "patients": sorted({patient_hash(case.case.patient, salt) for case in seen}),
        "studies": studies,
    }


def patient_figures(judged: JudgedCases) -> dict[str, Any]:
    """Accuracy, and sensitivity, specificity and AUC per class, each with its interval."""
    truth = judged.truth
    called = np.array([judged.labels.index(one.label) for one in judged.verdicts])
    names = [case.case.patient for case in judged.cases]
    patients = np.unique(names, return_inverse=True)[1].astype(np.int64)
    right = int((called == truth).sum())
    figures: dict[str, Any] = {
        "patients": len(set(names)),
        "accuracy": _figure(right / len(truth), wilson(right, len(truth))),
    }
    for k, label in enumerate(judged.labels):
        positive, found = truth == k, called == k
        hits, rejected = int((positive & found).sum()), int((~positive & ~found).sum())
        ill, well = int(positive.sum()), int((~positive).sum())
        scores = judged.score([label])
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


def _lung_figures(task: Task) -> dict[str, Any]:
    """Dice of the segmenter this run trained."""
    path = task.out / SEGMENTER_FOLDER / HELD_OUT
    if task.experiment.segmenter.bundle or not path.exists():
        return {}
    dice = json.loads(path.read_text(encoding="utf-8"))
    return {"lung masks, mean Dice per slice": dice}


def describe(task: Task, prepared: PreparedCohort) -> dict[str, Any]:
    """What the manifest says of data, settings, hardware, time and versions."""
    experiment = task.experiment
    return {
        "data": _data(task, prepared),
        "experiment": experiment.name,
        "settings": asdict(experiment),
        "command": f"groundglass train all --experiment {experiment.name}.toml "
        f"--cohort {task.cohort.path.name}"
        + (f" --lungs {task.lung_cohort.path.name}" if task.lung_cohort else ""),
        "hardware": _hardware(),
        "wall_time_s": round(_seconds(task)),
        "versions": {"groundglass": groundglass.__version__, "python": platform.python_version()}
        | {name: version(name) for name in _VERSIONS},
        "limits": list(experiment.bundle.limits),
    }


def _data(task: Task, prepared: PreparedCohort) -> list[dict[str, Any]]:
    """Per source: licence, citation, patients per split and class."""
    rows = [(case.case.source, case.case.split, case.case.label, case.case.patient)
            for case in prepared.cases]  # fmt: skip
    if not task.experiment.segmenter.bundle and task.lung_cohort is not None:
        rows += [(case.source, case.split or "train", "marked lungs", case.patient)
                 for case in task.lung_cohort.cases]  # fmt: skip
    patients: dict[str, dict[str, dict[str, set[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(set))
    )
    for source, split, label, patient in rows:
        patients[source][split][label].add(patient)
    return [
        {
            "source": source,
            **_origin(source),
            "patients": {
                split: {label: len(who) for label, who in sorted(of_split.items())}
                for split, of_split in sorted(patients[source].items())
            },
        }
        for source in sorted(patients)
    ]


def _origin(source: str) -> dict[str, str]:
    if source == "phantom":
        return {
            "licence": "Apache-2.0",
            "citation": "synthetic patients drawn by groundglass; nobody's data",
        }
    known = DATASETS.get(source)
    if known is None:
        return {"licence": "as its owner states", "citation": "a cohort of the user's own"}
    return {"licence": known.licence, "citation": known.citation}


def _hardware() -> str:
    gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return ", ".join([*gpus, cores])


def _seconds(task: Task) -> float:
    """Training time of all stages, as their tables have it."""
    folders = [task.out / one for one in (SEGMENTER_FOLDER, ENCODER_FOLDER, SEQUENCE_FOLDER)]
    return sum(float(row["seconds"]) for one in folders for row in read_table(one / TABLE))
