"""The end of a training: networks, what was fitted on validation, and where all of it is from."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

import groundglass
from groundglass.evaluate.statistics import fit_temperature, threshold_for_sensitivity
from groundglass.infer import Bundle, Classifier, CpuEngine, Precision, load_bundle
from groundglass.infer.self_test import run_self_test
from groundglass.train.cache import PreparedCase, PreparedCohort
from groundglass.train.callbacks import BEST
from groundglass.train.export import BundleFacts, Networks, export_bundle, write_manifest
from groundglass.train.figures import JudgedCases, judge, patient_figures, slice_figures
from groundglass.train.fitting import load_net
from groundglass.train.networks import LungUNet
from groundglass.train.origins import (
    classifier_data,
    segmenter_facts,
    stage_seconds,
    training_hashes,
)
from groundglass.train.parity import Trained, check_parity
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


def make_bundle(task: Task, trained: SequenceResult, prepared: PreparedCohort) -> BundleResult:
    """Export the networks of a run, check, calibrate and describe them.

    Parameters
    ----------
    task : Task
        The run; the bundle goes to its folder `bundle`.
    trained : SequenceResult
        What its stages gave.
    prepared : PreparedCohort
        All its cases, those that only the encoder learnt from as well.

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
    fitted: dict[str, Any] = {"training_hashes": training_hashes(task)}
    fitted["calibration"], calibration = _calibrate(load_bundle(folder), validation)
    write_manifest(recipe, _facts(task, {}, fitted), folder)
    calibrated = load_bundle(folder)
    classifier = Classifier(calibrated, CpuEngine(Precision.F32))
    judged = {
        split: judge(calibrated, classifier, cases)
        for split in ("validation", "test")
        if (cases := trained.prepared.of_split(split))
    }
    fitted["operating_point"] = _operating_point(judged["validation"], task)
    answers = run_self_test(calibrated, CpuEngine(Precision.F32))
    fitted["self_test"] = asdict(answers)
    metrics = {f"{split} patients": patient_figures(one) for split, one in judged.items()}
    metrics |= _slice_metrics(task, trained, prepared)
    metrics |= {"temperature": calibration, "parity": parity}
    training = describe(task, prepared) | {"metrics": metrics}
    write_manifest(recipe, _facts(task, training, fitted), folder)
    return BundleResult(load_bundle(folder), parity)


def _facts(task: Task, training: dict[str, Any], fitted: dict[str, Any]) -> BundleFacts:
    experiment = task.experiment
    return BundleFacts(
        name=experiment.bundle.name or experiment.name,
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
    network = task.experiment.network
    net = LungUNet(network.segmenter_widths, network.segmenter_fold)
    load_net(net, task.out / SEGMENTER_FOLDER / BEST)
    return net.eval()


def _calibrate(
    bundle: Bundle, cases: Sequence[PreparedCase]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The temperature that the groups' logits are divided by, and how it was found."""
    judged = judge(bundle, Classifier(bundle, CpuEngine(Precision.F32)), cases)
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


def _slice_metrics(task: Task, trained: SequenceResult, prepared: PreparedCohort) -> dict[str, Any]:
    """Figures of the encoder alone on held-out single slices, where there are any."""
    test = prepared.of_split("test")
    found = slice_figures(trained.encoder, test, task.labels, task.experiment.healthy)
    return {f"encoder alone, single slices of {source}, test": one for source, one in found.items()}


def describe(task: Task, prepared: PreparedCohort) -> dict[str, Any]:
    """What the manifest says of data, settings, hardware, time and versions."""
    experiment = task.experiment
    return {
        "data": classifier_data(task, prepared),
        "segmenter": segmenter_facts(task),
        "experiment": experiment.name,
        "settings": asdict(experiment),
        "command": f"groundglass train all --experiment {experiment.name}.toml "
        f"--cohort {task.cohort.path.name}"
        + (f" --lungs {task.lung_cohort.path.name}" if task.lung_cohort else "")
        + f" --out runs/{experiment.name}",
        "hardware": _hardware(),
        "wall_time_s": round(stage_seconds(task, [ENCODER_FOLDER, SEQUENCE_FOLDER])),
        "versions": {"groundglass": groundglass.__version__, "python": platform.python_version()}
        | {name: version(name) for name in _VERSIONS},
        "limits": list(experiment.bundle.limits),
    }


def _hardware() -> str:
    gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return ", ".join([*gpus, cores])
