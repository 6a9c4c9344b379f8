"""A trained bundle's verdict by share: thresholds fitted on whole volumes and written into it.

    python -m groundglass.train.verdict.fit --data ../shared/data --bundle runs/slices/bundle

The volumes are MedSeg's and LUNA16's, which `groundglass.train.slice_cohort` leaves out of what the
scorer learns from; each goes through the whole program. Thresholds are fitted on all, and said with
them is what becomes of each study by thresholds fitted on the other patients. Lung cancer's volumes
are shown and have no part in it: they are neither answer.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from groundglass.analyse.triage import Triage
from groundglass.cohort import patient_hash
from groundglass.errors import BundleError, InputError
from groundglass.infer import Bundle, Precision, load_bundle
from groundglass.infer.bundle import MANIFEST
from groundglass.infer.bundle_metadata import ShareRule
from groundglass.train.export.onnx_files import write_json
from groundglass.train.run import Tell
from groundglass.train.verdict.thresholds import (
    StudyScore,
    cross_fit,
    fit_thresholds,
    known,
    report,
)
from groundglass.train.verdict.whole_volumes import whole_volumes

#: Where the manifest's figures have what other patients' thresholds call.
_FIGURES = "findings or none, whole volumes, by thresholds fitted on the other patients"


def score_studies(data: Path, bundle: str | Path, tell: Tell) -> list[StudyScore]:
    """Every whole volume through the whole program; those that it judges."""
    triage = Triage.load(bundle, Precision.F32)
    healthy = triage.bundle.healthy
    found = []
    for one in whole_volumes(data):
        groups = triage(one.volume).groups
        scores = tuple(score for group in groups for score in group.scores(healthy))
        found.append(StudyScore(one.name, one.patient, one.source, one.ill, scores))
        mean = np.mean(scores) if scores else np.nan
        tell(f"{one.name}: {len(scores)} slices judged, mean score {mean:.3f}")
    return [one for one in found if one.scores]


def fit_rule(bundle: Bundle, studies: Sequence[StudyScore]) -> Bundle:
    """Write the thresholds fitted on the studies into the bundle's manifest, and load it again.

    Raises
    ------
    BundleError
        It does not judge by share.
    InputError
        It learnt from one of the patients, or there are not both kinds of study.
    """
    rule = bundle.metadata.share_rule
    if rule is None:
        raise BundleError(
            f"the bundle {bundle.name}, which judges by the vote of groups",
            expected="one that judges by the share of ill slices",
            action="Train one with [share_rule] in its experiment.",
        )
    sure = known(studies)
    _refuse_learnt(bundle, sure)
    _refuse_one_kind(sure)
    manifest: dict[str, Any] = json.loads(bundle.path(MANIFEST).read_text("utf-8"))
    manifest["share_rule"] = asdict(_fitted(rule, sure))
    manifest["training"]["metrics"][_FIGURES] = _figures(sure)
    write_json(manifest, bundle.path(MANIFEST))
    return load_bundle(bundle.folder)


def _fitted(rule: ShareRule, studies: Sequence[StudyScore]) -> ShareRule:
    found = fit_thresholds(studies)
    ill = sum(bool(one.ill) for one in studies)
    sources = Counter(one.source for one in studies)
    counted = " and ".join(f"{count} of {name}" for name, count in sorted(sources.items()))
    return replace(
        rule,
        slice_threshold=found.of_slice,
        study_threshold=round(found.of_study, 4),
        slope=round(found.slope, 2),
        fitted_on=f"{len(studies)} whole volumes of {len({one.patient for one in studies})} "
        f"patients that the scorer has not learnt from, {ill} with marked lesions and "
        f"{len(studies) - ill} without: {counted}",
        n=len(studies),
    )


def _figures(studies: Sequence[StudyScore]) -> dict[str, Any]:
    crossed = cross_fit(studies)
    ends = crossed.interval
    figures: dict[str, Any] = {
        "called rightly": {
            "value": round(crossed.right / crossed.n, 4),
            **({"low": round(ends.low, 4), "high": round(ends.high, 4)} if ends else {}),
        },
        "ill called none seen": crossed.ill_released,
        "ill": crossed.ill,
        "volumes": crossed.n,
    }
    return figures


def _refuse_learnt(bundle: Bundle, studies: Sequence[StudyScore]) -> None:
    seen = bundle.metadata.training_hashes
    if seen is None:
        return
    names = [one.name for one in studies if patient_hash(one.patient, seen.salt) in seen.patients]
    if names:
        raise InputError(
            f"volumes that {bundle.name} has learnt from: {', '.join(names)}",
            expected="whole volumes of patients that its scorer has not seen",
            action="Leave their source out: `--leave-out` of groundglass.train.slice_cohort.",
        )


def _refuse_one_kind(studies: Sequence[StudyScore]) -> None:
    kinds = Counter(bool(one.ill) for one in studies)
    if not kinds[True] or not kinds[False]:
        raise InputError(
            f"{kinds[True]} ill volumes and {kinds[False]} others that could be judged",
            expected="some of both",
            action="Give the folder with lung-volumes and luna-volumes.",
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, write and say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of public sets")
    parser.add_argument("--bundle", type=Path, required=True, help="the trained bundle's folder")
    given = parser.parse_args(arguments)
    studies = score_studies(given.data, given.bundle, _say)
    made = fit_rule(load_bundle(given.bundle), studies)
    for line in report(studies):
        _say(line)
    _say(f"written to {made.folder}: {made.metadata.share_rule}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
