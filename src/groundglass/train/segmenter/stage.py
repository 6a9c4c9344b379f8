"""Stage one: the lung U-Net (paper section 2.2.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from groundglass.cohort import Case, StudyKind, study_kind
from groundglass.errors import InputError, ReadError
from groundglass.infer import load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.prepare import Recipe
from groundglass.train.classifier.predictions import HELD_OUT
from groundglass.train.data.tensors import as_float
from groundglass.train.data.training_cases import (
    SEGMENTER_STAGE,
    TrainingCase,
    with_earlier,
    write_training_cases,
)
from groundglass.train.export.onnx_files import export_segmenter
from groundglass.train.fit.fitting import FitResult, fit, load_net
from groundglass.train.fit.module import Schedule
from groundglass.train.networks import LungUNet, load_folded
from groundglass.train.run import SEGMENTER_FOLDER, TrainingRun, has_lungs, identity, tell_excluded
from groundglass.train.segmenter.epochs import LungItems, SegmenterData
from groundglass.train.segmenter.lesion_textures import LesionTextures
from groundglass.train.segmenter.module import SegmenterModule, dice_per_slice
from groundglass.train.segmenter.reading import read_lung_slices
from groundglass.train.segmenter.slices import LungSlice
from groundglass.train.settings import Experiment

#: Where the cases that cannot be used are listed.
EXCLUDED = "set-aside-lungs.json"
_PORTION = 8


@dataclass(frozen=True, slots=True)
class SegmenterResult:
    """A trained segmenter: network, ONNX file, the training; slices and mean Dice per split."""

    net: LungUNet
    path: Path
    fitted: FitResult
    slices: dict[str, int]
    dice: dict[str, float]


def train_segmenter(run: TrainingRun) -> SegmenterResult:
    """Train the lung U-Net of an experiment and write it as ONNX.

    Raises
    ------
    InputError
        There is nothing to learn from.
    SettingsError
        The folder holds another training, or the experiment asks for what is not there.
    """
    experiment, settings = run.experiment, run.experiment.segmenter
    cases = lung_cases(run)
    with run.counting("Reading slices with lungs") as progress:
        slices, excluded = read_lung_slices(
            cases, settings.phantom_slices, experiment.recipe, run.cache, progress
        )
    tell_excluded(excluded, len(cases), run, EXCLUDED)
    data = split_slices(slices, run)
    net = new_segmenter(experiment)
    folder = run.out / SEGMENTER_FOLDER
    learnt_from = with_earlier(_training_cases(cases), settings.init_from)
    rows = [(case.row, case.split, case.label) for case in cases]
    folded = bool(settings.init_bundle)
    module = SegmenterModule(net, Schedule(settings, experiment.seed), folded=folded)
    known = identity(run, rows, settings)
    fitted = fit(module, data, run, SEGMENTER_FOLDER, known)
    write_training_cases(learnt_from, folder)
    path = folder / SEGMENTER
    export_segmenter(net, experiment.recipe.image_size, path)
    held_out = {"validation": data.held_out, **_tested(slices)}
    dice = {name: mean_dice(net, one, experiment.recipe) for name, one in held_out.items()}
    (folder / HELD_OUT).write_text(json.dumps(dice, indent=1) + "\n", encoding="utf-8")
    counts = {"real": len(data.real), "phantom": len(data.phantom)}
    counts |= {name: len(one) for name, one in held_out.items()}
    return SegmenterResult(net, path, fitted, counts, dice)


def new_segmenter(experiment: Experiment) -> LungUNet:
    """The network as its training begins."""
    torch.manual_seed(experiment.seed)
    network, settings = experiment.network, experiment.segmenter
    net = LungUNet(network.segmenter_widths, network.segmenter_fold)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.init_from:
        load_net(net, Path(settings.init_from))
    if settings.init_bundle:
        load_folded(net, load_bundle(settings.init_bundle).path(SEGMENTER))
    return net


def _tested(slices: Sequence[LungSlice]) -> dict[str, tuple[LungSlice, ...]]:
    """Real slices of the test split; of several sources, each by itself."""
    test = [one for one in slices if one.case.split == "test" and not one.synthetic]
    sources = sorted({one.case.source for one in test})
    return {
        "test" if len(sources) == 1 else f"test, {source}": tuple(
            one for one in test if one.case.source == source
        )
        for source in sources
    }


def lung_cases(run: TrainingRun) -> list[Case]:
    """Cases with marked lungs of either table, and phantoms to train on."""
    marked = [case for case in (run.lung_cohort or run.cohort).cases if has_lungs(case)]
    phantoms = [case for case in run.cohort.cases if case.split == "train" and _is_phantom(case)]
    if marked and run.experiment.segmenter.phantom_share == 0:
        phantoms = []
    if not marked and not phantoms:
        raise InputError(
            "no slices with marked lungs and no phantoms",
            expected="a cohort with a column `mask`, or phantoms in the split 'train'",
            action="Give one with --lungs (`groundglass cohort import finding-lungs`), or take a "
            'bundle\'s segmenter: [segmenter] bundle = "demonstration".',
        )
    return [*marked, *phantoms]


def _training_cases(cases: Sequence[Case]) -> list[TrainingCase]:
    """All but those it is tested on; fingerprints of single marked slices would prove little."""
    return [
        TrainingCase(
            SEGMENTER_STAGE, one.source, one.split or "train", "lungs", one.patient, "", form
        )
        for one in cases
        for form in ["marked lungs" if has_lungs(one) else "phantom"]
        if one.split != "test"
    ]


def _is_phantom(case: Case) -> bool:
    try:
        return study_kind(case.study) is StudyKind.PHANTOM
    except ReadError:
        return False  # told where the studies are prepared


def split_slices(slices: Sequence[LungSlice], run: TrainingRun) -> SegmenterData:
    """Real and phantom slices to learn from, and those held out.

    Held out is the validation split of the real slices; where the cohort names none, the patients
    of a random `validation_share`; without real slices, that share of the phantoms.

    Raises
    ------
    InputError
        Nothing is left to learn from or to be watched on.
    """
    settings, seed = run.experiment.segmenter, run.experiment.seed
    real = [one for one in slices if not one.synthetic]
    watched = real or list(slices)
    chosen = {one.case.patient for one in watched if one.case.split == "validation"}
    if not chosen:
        free = sorted({one.case.patient for one in watched if one.case.split in ("", "train")})
        count = max(1, round(settings.validation_share * len(free)))
        picked = np.random.default_rng(seed).permutation(len(free))[:count]
        chosen = {free[int(k)] for k in picked}
    held_out = tuple(one for one in watched if one.case.patient in chosen)
    learnt = [one for one in slices if one.case.patient not in chosen and one.case.split != "test"]
    if not held_out or not learnt:
        raise InputError(
            f"{len(learnt)} slices to learn from and {len(held_out)} to validate on",
            expected="some of both",
            action="Add patients with marked lungs.",
        )
    return SegmenterData(
        tuple(one for one in learnt if not one.synthetic),
        tuple(one for one in learnt if one.synthetic),
        held_out,
        run.experiment.recipe,
        settings,
        seed,
        LesionTextures.of([one for one in learnt if not one.synthetic]),
    )


@torch.no_grad()
def mean_dice(net: LungUNet, slices: Sequence[LungSlice], recipe: Recipe) -> float:
    """Mean Dice per slice."""
    net.eval()
    items = LungItems(slices, recipe)
    found = []
    for start in range(0, len(slices), _PORTION):
        part = [items[k] for k in range(start, min(start + _PORTION, len(slices)))]
        logits = net(as_float(torch.stack([one["image"] for one in part])))
        found.append(dice_per_slice(logits, torch.stack([one["lung"] for one in part]).float()))
    return round(float(torch.cat(found).mean()), 4)
