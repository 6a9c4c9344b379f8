"""Predictions made for the tests."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from groundglass.evaluate.statistics import Predictions

#: For properties: few examples, to be quick.
brief = settings(max_examples=50)

LABELS = ("CP", "NCP", "healthy")


def made(seed: int = 1, *, skill: float = 1.5, counts: tuple[int, ...] = (25, 33, 20)):
    """Predictions of a classifier of some skill; 0 is guessing."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    logits = rng.normal(size=(len(truth), len(counts)))
    logits[np.arange(len(truth)), truth] += skill
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = LABELS if len(counts) == 3 else tuple(f"class {k}" for k in range(len(counts)))
    return Predictions(labels, truth, probabilities.argmax(axis=1), probabilities)


def of_counts(confusion: np.ndarray, labels: tuple[str, ...] = LABELS) -> Predictions:
    """Predictions, each certain, with these counts: row true class, column class called."""
    truth, called = (
        np.repeat(k, confusion.ravel()) for k in np.indices(confusion.shape).reshape(2, -1)
    )
    return Predictions(labels, truth, called, np.eye(len(labels))[called])


@st.composite
def any_predictions(draw: st.DrawFn) -> Predictions:
    """Any number of classes and patients, ties, absent classes, labels that are not the argmax."""
    classes = draw(st.integers(2, 5))
    patients = draw(st.integers(1, 25))
    column = st.lists(st.integers(0, classes - 1), min_size=patients, max_size=patients)
    # Small whole numbers, so that scores are often equal.
    weights = draw(
        st.lists(
            st.lists(st.integers(0, 6), min_size=classes, max_size=classes).filter(any),
            min_size=patients,
            max_size=patients,
        )
    )
    odds = np.array(weights, dtype=np.float64)
    return Predictions(
        labels=tuple(f"class {k}" for k in range(classes)),
        truth=np.array(draw(column), dtype=np.int64),
        predicted=np.array(draw(column), dtype=np.int64),
        probabilities=odds / odds.sum(axis=1, keepdims=True),
    )
