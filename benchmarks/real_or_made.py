"""How well lesions that are laid in can be told from real ones, by source and by kind.

    python -m benchmarks.real_or_made --data ../shared/data

Two classifiers on all features (`groundglass.train.data.realism`), boosted trees and a logistic
regression, and the one that throws out slices. AUC of patients left out, 95 % interval by DeLong
clustered by patient; then a classifier of one source on the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from groundglass.evaluate.statistics.roc import auc, auc_interval
from groundglass.train.data.made_beside_real import CUT, made_beside_real
from groundglass.train.data.marked_slices import lesion_slices, volume_slices
from groundglass.train.data.realism import FEATURES, REAL, RealOrMade, SeenSlice
from groundglass.train.slice_cohort import SliceCohortSettings

_FOLDS = 8


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    seed = SliceCohortSettings().seed
    sources = {
        "covid-19-ct-seg": [*made_beside_real([*lesion_slices(data / "lesion-slices")], seed)],
        "medseg": [*made_beside_real([*volume_slices(data / "lung-volumes")], seed)],
    }
    for name, seen in (
        *sources.items(),
        ("both", [one for all_ in sources.values() for one in all_]),
    ):
        for kind in ("CP", "NCP", CUT):
            _print_told(f"{name:16s} {kind:4s}", [one for one in seen if one.kind in (REAL, kind)])
        print(f"{name:16s} single features:", ", ".join(_giveaways(seen)))
    for one, other in (tuple(sources), tuple(sources)[::-1]):
        _print_across(one, other, sources)


def _print_told(what: str, seen: Sequence[SeenSlice]) -> None:
    rows, made, patients = _table(seen)
    numbers = np.unique(patients, return_inverse=True)[1]
    if numbers.max() == 0:
        print(what, "of one patient: nobody is left out")
        return
    said = []
    for name, model in _models().items():
        folds = GroupKFold(min(_FOLDS, len(np.unique(patients))))
        left_out = cross_val_predict(
            model, rows, made, groups=patients, cv=folds, method="predict_proba"
        )[:, 1]
        interval = auc_interval(left_out, made, patients=numbers)
        assert interval is not None
        said.append(f"{name} {auc(left_out, made):.3f} ({interval.low:.3f}-{interval.high:.3f})")
    counts = f"{(~made).sum()} real, {made.sum()} made, {len(np.unique(patients))} patients"
    print(what, f"[{counts}]", "; ".join(said), flush=True)


def _models() -> dict[str, BaseEstimator]:
    return {
        "trees": HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=8, learning_rate=0.12, random_state=0
        ),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")),
    }


def _giveaways(seen: Sequence[SeenSlice], count: int = 6) -> list[str]:
    rows, made, _ = _table(seen)
    areas = [auc(rows[:, column], made) or 0.5 for column in range(len(FEATURES))]
    best = np.argsort([-abs(area - 0.5) for area in areas])[:count]
    return [f"{FEATURES[k]} {areas[k]:.2f}" for k in best]


def _print_across(one: str, other: str, sources: dict[str, list[SeenSlice]]) -> None:
    """All features, and those that throw out, learnt from one source and tried on another."""
    rows, made, _ = _table(sources[one])
    tried, truth, _ = _table(sources[other])
    model = _models()["logistic"].fit(rows, made)
    print(
        f"{one} -> {other}: all features {auc(model.predict_proba(tried)[:, 1], truth):.3f}", end=""
    )
    judge = RealOrMade.fit(sources[one])
    if judge is None:
        return
    shown = [seen for seen in sources[other] if len(seen.features)]
    scores = np.array([judge(seen.features) for seen in shown])
    is_made = np.array([seen.made for seen in shown])
    thrown = scores > judge.limit
    print(
        f"; what throws out: own {judge.auc:.3f} ({judge.auc_low:.3f}-{judge.auc_high:.3f}), "
        f"{auc(scores, is_made):.3f} of {len(shown)} slices; thrown out "
        f"{thrown[is_made].mean():.3f} of made, {thrown[~is_made].mean():.3f} of real"
    )


def _table(
    seen: Sequence[SeenSlice],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.str_]]:
    shown = [one for one in seen if len(one.features)]
    counts = [len(one.features) for one in shown]
    return (
        np.concatenate([one.features for one in shown]),
        np.repeat([one.made for one in shown], counts),
        np.repeat([one.patient for one in shown], counts),
    )


if __name__ == "__main__":
    main()
