"""Rebuild the demonstration bundle: one command, from the data to the shipped files.

    python -m groundglass.train.demonstration --masks ../shared/data/lung-masks --work runs

Hardware: 2 cores. Runtime: about 90 minutes (lung U-Net 45, cohort 15, classifier 25).
Expected: Dice on lung-masks/test 0.986 or better, and 3 in 4 of the phantom test patients right.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from groundglass import __version__
from groundglass.core.result import GroupPrediction
from groundglass.evaluate import wilson
from groundglass.infer import vote
from groundglass.phantom import LABELS, make_phantom
from groundglass.prepare import Recipe
from groundglass.train.classifier import (
    ClassifierSettings,
    encode_groups,
    train_encoder,
    train_head,
)
from groundglass.train.export import BundleFacts, Networks, export_bundle
from groundglass.train.log import log_to
from groundglass.train.lung_masks import read_annotated_slices
from groundglass.train.networks import LungUNet, SequenceHead, SliceEncoder
from groundglass.train.phantom_cohort import PhantomCase, cohort_cases
from groundglass.train.phantom_slices import make_phantom_slices
from groundglass.train.prepared_cohort import PreparedCase, of_images, of_split, prepare_case
from groundglass.train.segmenter import LungSlices, SegmenterSettings, train_segmenter, validate

#: Patients per split and class. The test split has the paper's numbers (Table 1).
COHORT = {
    "train": {"CP": 60, "NCP": 60, "healthy": 60},
    "validation": {"CP": 14, "NCP": 14, "healthy": 14},
    "test": {"CP": 25, "NCP": 33, "healthy": 20},
}
FIRST_SEED = 50_000
#: Seeds and slices of the segmenter's phantoms, apart from the cohort's.
SEGMENTER_PHANTOMS, SLICES_EACH = range(10_000, 10_160), 5

STATEMENT = (
    "DEMONSTRATION: this bundle's classifier was trained on synthetic phantom studies only and has "
    "never seen a patient. Its verdict shows how the program works and says nothing about the "
    "person scanned. The lung masks come from a U-Net trained on real annotated slices and on "
    "phantoms."
)

logger = logging.getLogger(__name__)


def train_lungs(masks: Path, work: Path, recipe: Recipe) -> LungUNet:
    """Train the lung U-Net, or read it where an earlier run left it."""
    net = LungUNet()
    kept = work / "segmenter" / "unet.pt"
    if not kept.exists():
        phantom = make_phantom_slices(SEGMENTER_PHANTOMS, SLICES_EACH, recipe.image_size)
        slices = LungSlices(
            read_annotated_slices(masks / "train"), phantom, read_annotated_slices(masks / "val")
        )
        train_segmenter(slices, recipe, SegmenterSettings(), work / "segmenter")
    net.load_state_dict(torch.load(kept, weights_only=True))
    return net


def prepared_cohort(work: Path, recipe: Recipe) -> list[PreparedCase]:
    """Make and prepare every patient, or read those an earlier run prepared."""
    folder = work / "cohort"
    folder.mkdir(parents=True, exist_ok=True)
    cases = cohort_cases(COHORT, FIRST_SEED)
    with ProcessPoolExecutor() as pool:
        futures = [pool.submit(prepare_on_disk, case, folder, recipe) for case in cases]
        for done, future in enumerate(as_completed(futures), start=1):
            logger.info("patient %d of %d prepared: %s", done, len(cases), future.result().name)
    return [of_images(case, np.load(_kept(case, folder)), recipe) for case in cases]


def prepare_on_disk(case: PhantomCase, folder: Path, recipe: Recipe) -> Path:
    """Make and prepare one patient unless it is there already; returns its file."""
    path = _kept(case, folder)
    if not path.exists():
        cv2.setNumThreads(1)
        phantom = make_phantom(case.settings(recipe.image_size))
        images = prepare_case(case, phantom.volume, phantom.lung, recipe).images
        with path.with_suffix(".part").open("wb") as file:
            np.save(file, images)
        path.with_suffix(".part").rename(path)
    return path


def _kept(case: PhantomCase, folder: Path) -> Path:
    return folder / f"{case.seed}.npy"


def train_demonstration_classifier(
    cohort: Sequence[PreparedCase], settings: ClassifierSettings, work: Path
) -> tuple[SliceEncoder, SequenceHead]:
    """Both stages of the classifier on the phantom cohort."""
    log = log_to(work / "classifier.jsonl")
    train, validation = of_split(cohort, "train"), of_split(cohort, "validation")
    encoder = train_encoder(train, validation, LABELS, settings, log)
    seen = encode_groups(encoder, train, LABELS, variants=settings.variants, seed=settings.seed)
    held_out = encode_groups(encoder, validation, LABELS)
    head = train_head(seen, held_out, SequenceHead(encoder.features), settings, log)
    return encoder, head


def main() -> None:
    """Train what is not trained yet and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--masks", type=Path, default=Path("../shared/data/lung-masks"))
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("src/groundglass/weights/demonstration"))
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe, settings = Recipe(), ClassifierSettings()
    segmenter = train_lungs(given.masks, given.work, recipe)
    cohort = prepared_cohort(given.work, recipe)
    encoder, head = train_demonstration_classifier(cohort, settings, given.work)
    metrics = {
        "lung_masks_test": lung_metrics(segmenter, given.masks / "test", recipe),
        "phantom_test_with_true_lungs": phantom_metrics(
            encoder, head, of_split(cohort, "test"), recipe
        ),
    }
    facts = BundleFacts(
        name="demonstration",
        version=__version__,
        labels=LABELS,
        healthy="healthy",
        statement=STATEMENT,
        training={**training_facts(settings), "metrics": metrics},
    )
    export_bundle(Networks(segmenter, encoder, head), recipe, facts, given.out)


def lung_metrics(net: LungUNet, folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Mean Dice per slice of the U-Net alone, and how many slices it is a mean of."""
    slices = read_annotated_slices(folder)
    return {"mean_dice": round(validate(net, slices, recipe), 4), "slices": len(slices)}


@torch.no_grad()
def phantom_metrics(
    encoder: SliceEncoder, head: SequenceHead, cases: Sequence[PreparedCase], recipe: Recipe
) -> dict[str, Any]:
    """Patients called right after the vote, with Wilson's interval."""
    right = 0
    for case in cases:
        features, _ = encode_groups(encoder, [case], LABELS)
        probabilities = torch.softmax(head(features), dim=1).tolist()
        groups = [
            GroupPrediction.of(group, LABELS, row)
            for group, row in zip(case.groups, probabilities, strict=True)
        ]
        verdict = vote(groups, "healthy", recipe.vote_threshold)
        right += verdict.label == case.case.label
    interval = wilson(right, len(cases))
    return {
        "patients": len(cases),
        "right": right,
        "wilson_95": None
        if interval is None
        else [round(interval.low, 4), round(interval.high, 4)],
    }


def training_facts(settings: ClassifierSettings) -> dict[str, Any]:
    """Data, licences and settings, for the manifest."""
    return {
        "segmenter": {
            "data": "187 annotated slices of 187 patients (Kaggle: Finding and Measuring Lungs in "
            "CT Data), calibrated to HU, and 800 slices of 160 phantoms",
            "licence": "weights Apache-2.0; the annotated slices are research use only and are not "
            "part of the weights",
            "settings": asdict(SegmenterSettings()),
        },
        "classifier": {
            "data": f"phantom patients, seeds from {FIRST_SEED}: {COHORT}",
            "licence": "Apache-2.0",
            "settings": asdict(settings),
        },
    }


if __name__ == "__main__":
    main()
