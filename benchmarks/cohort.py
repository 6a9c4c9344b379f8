"""The shipped bundle on the phantom test patients, the whole way from volume to vote."""

from __future__ import annotations

import argparse

import numpy as np

from groundglass.evaluate import Averaging, Predictions, bootstrap, measure, wilson
from groundglass.infer import Bundle, OpenVinoEngine, load_bundle
from groundglass.phantom import make_phantom
from groundglass.pipeline import Triage
from groundglass.train.demonstration import COHORT, FIRST_SEED
from groundglass.train.phantom_cohort import PhantomCase, cohort_cases


def judged(bundle: Bundle, cases: list[PhantomCase], matrix: int) -> Predictions:
    """Predictions for made patients; one without a verdict would be an error here."""
    triage = Triage(bundle, OpenVinoEngine())
    truth, called, probabilities = [], [], []
    for case in cases:
        verdict = triage(make_phantom(case.settings(matrix)).volume).verdict
        if verdict is None:
            raise RuntimeError(f"phantom {case.seed} got no verdict")
        truth.append(bundle.labels.index(case.label))
        called.append(bundle.labels.index(verdict.label))
        probabilities.append([verdict.probabilities[label] for label in bundle.labels])
    return Predictions(
        bundle.labels, np.array(truth), np.array(called), np.array(probabilities, dtype=np.float64)
    )


def cohort_table(predictions: Predictions) -> str:
    """Sensitivity, specificity and AUC per class with 95 % intervals, as Markdown."""
    metrics = measure(predictions)
    resampled = bootstrap(predictions).intervals
    right = int(np.trace(metrics.confusion))
    overall = wilson(right, metrics.patients)
    lines = [
        f"Accuracy {right}/{metrics.patients} = {metrics.accuracy:.3f} ({_span(overall)}), "
        f"macro AUC {metrics.averages[Averaging.MACRO].auc:.3f} "
        f"({_span(resampled.get('macro/auc'))})",
        "",
        "| class | n | sensitivity | specificity | AUC |",
        "|---|---|---|---|---|",
    ]
    for one in metrics.classes:
        c, m = one.counts, one.measures
        lines.append(
            f"| {one.label} | {c.positives} "
            f"| {m.sensitivity:.3f} ({_span(wilson(c.true_positives, c.positives))}) "
            f"| {m.specificity:.3f} ({_span(wilson(c.true_negatives, c.negatives))}) "
            f"| {m.auc:.3f} ({_span(resampled.get(f'class/{one.label}/auc'))}) |"
        )
    return "\n".join([*lines, "", f"Confusion (row: truth): {metrics.confusion.tolist()}"])


def _span(interval: object) -> str:
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    return "no interval" if low is None or high is None else f"{low:.3f}-{high:.3f}"


def main() -> None:
    """Print the table of the test split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--every", type=int, default=1, help="take every so many patients")
    given = parser.parse_args()
    cases = [c for c in cohort_cases(COHORT, FIRST_SEED) if c.split == "test"][:: given.every]
    print(cohort_table(judged(load_bundle(), cases, given.matrix)))


if __name__ == "__main__":
    main()
