"""Answers made for the tests, as if a bundle had given them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from groundglass.core.result import Outcome
from groundglass.evaluate.run.case_prediction import (
    AS_IN_SERVICE,
    Answer,
    CasePrediction,
    Strata,
)
from groundglass.evaluate.run.evaluation import CohortFacts
from groundglass.evaluate.run.training_overlap import LeakCheck
from groundglass.evaluate.statistics import BootstrapSettings
from groundglass.infer import Bundle
from groundglass.infer.bundle_metadata import BundleMetadata
from groundglass.prepare import Recipe

#: Few draws, to be quick.
QUICK = BootstrapSettings(resamples=40)
LABELS = ("CP", "NCP", "healthy")
COHORT = CohortFacts("cohort.csv", "0" * 64, "test")
NO_LEAK = LeakCheck(looked_for=True, words="None of them was seen.")


def made_bundle(metadata: BundleMetadata | None = None, **values: object) -> Bundle:
    """A bundle without files, for what only reads its words."""
    given = {
        "folder": Path("nowhere"),
        "name": "made",
        "version": "1",
        "labels": LABELS,
        "healthy": "healthy",
        "statement": "Made for a test: its verdict means nothing.",
        "recipe": Recipe(),
        "sha256": {"encoder.onnx": "1" * 64, "head.onnx": "2" * 64, "segmenter.onnx": "3" * 64},
        "training": {},
        "metadata": metadata or BundleMetadata(),
    }
    return Bundle(**{**given, **values})  # type: ignore[arg-type]


def verdict(probabilities: Sequence[float], labels: Sequence[str] = LABELS) -> Answer:
    """A verdict for the most probable class."""
    named = dict(zip(labels, map(float, probabilities), strict=True))
    label = max(named, key=lambda label: named[label])
    return Answer(Outcome.VERDICT, "", label, named, label)


def no_verdict(
    outcome: Outcome = Outcome.UNREADABLE, reason: str = "no file of that name"
) -> Answer:
    return Answer(outcome, reason)


def made_cases(
    seed: int = 1, *, counts: Sequence[int] = (12, 14, 10), skill: float = 1.6, missing: int = 0
) -> tuple[CasePrediction, ...]:
    """Cases of a classifier of some skill, a few scanners and ages; the last have no verdict."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    cases = []
    for number, k in enumerate(truth):
        logits = rng.normal(size=len(LABELS))
        logits[k] += skill
        odds = np.exp(logits)
        given = number >= len(truth) - missing
        answer = no_verdict() if given else verdict(odds / odds.sum())
        strata = Strata(
            source=("here", "there")[number % 2],
            scanner=("Maker A", "Maker B", "")[number % 3],
            thickness_mm=(1.0, 2.5, 5.0, None)[number % 4],
            sex=("F", "M")[number % 2],
            age_years=float(20 + 3 * number),
        )
        cases.append(
            CasePrediction(number + 2, number + 1, LABELS[k], strata, {AS_IN_SERVICE: answer}, 0.5)
        )
    return tuple(cases)
