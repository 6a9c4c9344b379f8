"""The end of a training: networks, what was fitted on validation, and where all of it is from."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

import groundglass
from groundglass.evaluate.statistics import fit_temperature, threshold_for_sensitivity
from groundglass.infer import Bundle, Classifier, CpuEngine, Precision, load_bundle
from groundglass.infer.self_test import run_self_test
from groundglass.train.classifier.encoder_stage import EncoderResult
from groundglass.train.classifier.sequence_stage import SequenceResult
from groundglass.train.data.cache import PreparedCase, PreparedCohort
from groundglass.train.export.data_sources import (
    classifier_data,
    segmenter_facts,
    stage_seconds,
    training_hashes,
)
from groundglass.train.export.held_out_metrics import (
    CaseVerdicts,
    classify_cases,
    patient_figures,
    slice_figures,
)
from groundglass.train.export.onnx_files import Networks, export_networks, write_manifest
from groundglass.train.export.parity import check_parity
from groundglass.train.fit.callbacks import BEST
from groundglass.train.fit.fitting import load_net
from groundglass.train.networks import LungUNet, SliceEncoder
from groundglass.train.run import (
    BUNDLE_FOLDER,
    SEGMENTER_FOLDER,
    TrainingRun,
    classifier_stages,
    refuse_other_segmenter,
    segmenter_path,
)
from groundglass.train.segmenter.stage import new_segmenter

_VERSIONS = ("torch", "lightning", "onnx", "openvino", "numpy", "opencv-python-headless")


def make_bundle(run: TrainingRun, trained: SequenceResult, prepared: PreparedCohort) -> Bundle:
    """Export the networks of a run to its folder `bundle`; check, calibrate and describe them.

    Parameters
    ----------
    run : TrainingRun
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
    networks = Networks(trained.encoder, trained.net, _segmenter(run))
    manifest = _exported(run, networks)
    folder, recipe = run.out / BUNDLE_FOLDER, run.experiment.recipe
    validation = trained.prepared.of_split("validation")
    parity = check_parity(load_bundle(folder), networks, validation)
    manifest["calibration"], calibration = _calibrate(load_bundle(folder), validation)
    write_manifest(manifest, recipe, folder)
    calibrated = load_bundle(folder)
    classifier = Classifier(calibrated, CpuEngine(Precision.F32))
    classified = {
        split: classify_cases(calibrated, classifier, cases)
        for split in ("validation", "test")
        if (cases := trained.prepared.of_split(split))
    }
    manifest["operating_point"] = _operating_point(classified["validation"], run)
    metrics = {f"{split} patients": patient_figures(one) for split, one in classified.items()}
    metrics |= _slice_metrics(run, trained.encoder, prepared)
    metrics |= {"temperature": calibration, "parity": parity}
    return _described(run, manifest, prepared, metrics)


def make_slice_bundle(run: TrainingRun, trained: EncoderResult) -> Bundle:
    """`make_bundle` of a run whose encoder judges each slice by itself, without a sequence head.

    Raises
    ------
    BundleError, SettingsError
        As for `make_bundle`.
    """
    networks = Networks(trained.net, None, _segmenter(run))
    manifest = _exported(run, networks)
    validation = trained.prepared.of_split("validation")
    metrics = _slice_metrics(run, trained.net, trained.prepared)
    metrics["parity"] = check_parity(load_bundle(run.out / BUNDLE_FOLDER), networks, validation)
    return _described(run, manifest, trained.prepared, metrics)


def _exported(run: TrainingRun, networks: Networks) -> dict[str, Any]:
    """Write the networks and a first manifest, and return what it says beside recipe and hashes."""
    refuse_other_segmenter(run)
    folder = run.out / BUNDLE_FOLDER
    experiment, recipe = run.experiment, run.experiment.recipe
    export_networks(networks, segmenter_path(run), recipe, folder)
    manifest: dict[str, Any] = {
        "name": experiment.bundle.name or experiment.name,
        "version": experiment.bundle.version,
        "labels": list(run.labels),
        "healthy": experiment.healthy,
        "statement": experiment.bundle.statement,
        "training": {},
    }
    if experiment.share_rule is not None:
        manifest["share_rule"] = asdict(experiment.share_rule)
    write_manifest(manifest, recipe, folder)
    return manifest


def _described(
    run: TrainingRun,
    manifest: dict[str, Any],
    prepared: PreparedCohort,
    metrics: Mapping[str, Any],
) -> Bundle:
    """The finished bundle: with whom it learnt from, its self-test and how it does."""
    folder, recipe = run.out / BUNDLE_FOLDER, run.experiment.recipe
    manifest["training_hashes"] = training_hashes(run)
    write_manifest(manifest, recipe, folder)
    self_test = run_self_test(load_bundle(folder), CpuEngine(Precision.F32))
    manifest["self_test"] = asdict(self_test)
    manifest["training"] = describe(run, prepared) | {"metrics": metrics}
    write_manifest(manifest, recipe, folder)
    return load_bundle(folder)


def _segmenter(run: TrainingRun) -> LungUNet | None:
    """The U-Net this run trained; None where it took another's."""
    if run.segmenter_run != run.out:
        return None
    net = new_segmenter(run.experiment)
    load_net(net, run.out / SEGMENTER_FOLDER / BEST)
    return net.eval()


def _calibrate(
    bundle: Bundle, cases: Sequence[PreparedCase]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The temperature that the groups' logits are divided by, and how it was found."""
    classified = classify_cases(bundle, Classifier(bundle, CpuEngine(Precision.F32)), cases)
    rows = [
        (list(one.probabilities.values()), truth)
        for of_case, truth in zip(classified.groups, classified.truth, strict=True)
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


def _operating_point(classified: CaseVerdicts, run: TrainingRun) -> dict[str, Any]:
    """The threshold on 1 − p(healthy) that reaches the sensitivity asked for."""
    healthy = run.experiment.healthy
    positive = [label for label in classified.labels if label != healthy]
    ill = classified.truth != classified.labels.index(healthy)
    wanted = run.experiment.bundle.sensitivity
    point = threshold_for_sensitivity(np.clip(classified.score(positive), 0, 1), ill, wanted)
    return {
        "positive": positive,
        "threshold": point.threshold,
        "sensitivity": point.sensitivity,
        "specificity": point.specificity,
        "fitted_on": "validation",
        "n": len({case.case.patient for case in classified.cases}),
    }


def _slice_metrics(
    run: TrainingRun, encoder: SliceEncoder, prepared: PreparedCohort
) -> dict[str, Any]:
    """Figures of the encoder alone on held-out single slices, where there are any."""
    test = prepared.of_split("test")
    found = slice_figures(encoder, test, run.labels, run.experiment.healthy)
    return {f"encoder alone, single slices of {source}, test": one for source, one in found.items()}


def describe(run: TrainingRun, prepared: PreparedCohort) -> dict[str, Any]:
    """What the manifest says of data, settings, hardware, time and versions."""
    experiment = run.experiment
    return {
        "data": classifier_data(run, prepared),
        "segmenter": segmenter_facts(run),
        "experiment": experiment.name,
        "settings": asdict(experiment),
        "command": f"groundglass train all --experiment {experiment.name}.toml "
        f"--cohort {run.cohort.path.name}"
        + (f" --lungs {run.lung_cohort.path.name}" if run.lung_cohort else "")
        + (f" --segmenter runs/{run.segmenter.name}" if run.segmenter else "")
        + f" --out runs/{experiment.name}",
        "hardware": _hardware(),
        "wall_time_s": round(stage_seconds(run, classifier_stages(run))),
        "versions": {"groundglass": groundglass.__version__, "python": platform.python_version()}
        | {name: version(name) for name in _VERSIONS},
        "limits": list(experiment.bundle.limits),
    }


def _hardware() -> str:
    gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return ", ".join([*gpus, cores])
