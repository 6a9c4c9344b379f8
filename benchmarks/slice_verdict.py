"""How the default bundle's scorer of slices, and its verdict, do on what it has not seen.

    python -m benchmarks.slice_verdict slices --run runs/slices --cache runs/cache
    python -m benchmarks.slice_verdict studies --data ../shared/data --bundle runs/slices/bundle

`slices`: the test split of `groundglass.train.slice_cohort`'s table, by source, beside the floor of
what ten statistics of the grey values tell. `studies`: MedSeg's and LUNA16's whole volumes, which
the table leaves out, through the whole program: what `groundglass.train.verdict.fit` would fit on
them, and what becomes of each by thresholds fitted on the others. Nothing is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_slices import discriminant, statistics_of
from groundglass.cohort import read_cohort
from groundglass.evaluate.statistics import auc, auc_interval, wilson
from groundglass.train.classifier.encoder_stage import predict_slices, trained_encoder
from groundglass.train.data.cache import CacheSettings, PreparedCase, Progress, prepare_cohort
from groundglass.train.data.prepare_case import Lungs
from groundglass.train.run import TrainingRun, segmenter_path
from groundglass.train.settings import read_experiment
from groundglass.train.slice_cohort import HEALTHY
from groundglass.train.verdict.fit import score_studies
from groundglass.train.verdict.thresholds import in_words, report

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "slices.toml"


def report_slices(run: TrainingRun) -> None:
    """By source of the table's test split: AUC or false alarms, beside the floor."""
    cases = [case for case in run.cohort.cases if case.split in ("train", "test")]
    plain = [c for c in cases if not c.extra.get("look_seed") and not c.extra.get("laid_seed")]
    lungs = Lungs.of(segmenter_path(run))
    found = prepare_cohort(plain, lungs, run.experiment.recipe, run.cache, lambda *_: None).cases
    net = trained_encoder(run)
    test = [one for one in found if one.case.split == "test"]
    healthy = run.labels.index(run.experiment.healthy)
    score = 1 - predict_slices(net, test, run.labels, 1).probabilities[:, healthy]
    base = _floor([one for one in found if one.case.split == "train"], test)
    for name, part in _parts(test).items():
        _print_part(name, [test[k] for k in part], score[part], base[part])


def _floor(train: Sequence[PreparedCase], test: Sequence[PreparedCase]) -> NDArray[np.float64]:
    """What ten statistics of grey values, fitted on the training slices as they are, tell."""
    values, asked = (
        np.array([statistics_of(np.array(one.images()[0])) for one in part])
        for part in (train, test)
    )
    return discriminant(values, np.array([_is_ill(one) for one in train]), asked)


def _is_ill(one: PreparedCase) -> bool:
    return one.case.label != HEALTHY


def _parts(test: Sequence[PreparedCase]) -> dict[str, NDArray[np.int64]]:
    """Slices that are set against one another."""
    source = np.array([one.case.source for one in test])
    severity = np.array([one.case.extra.get("severity", "") for one in test])
    ill = np.array([_is_ill(one) for one in test])
    return {
        "MedSeg, marked against unmarked slices": np.flatnonzero(source == "medseg"),
        "MedSeg, marked slices, against LUNA16's volumes": np.flatnonzero(
            ((source == "medseg") & ill) | (source == "luna-volumes")
        ),
        "MosMedData, CT-2 and worse against CT-0": np.flatnonzero(
            (source == "mosmed") & (severity != "CT-1")
        ),
        "MosMedData, CT-1 against CT-0": np.flatnonzero(
            (source == "mosmed") & np.isin(severity, ("CT-0", "CT-1"))
        ),
        "LUNA16, single slices": np.flatnonzero(source == "luna16"),
        "LUNA16, volumes": np.flatnonzero(source == "luna-volumes"),
        "Finding and Measuring Lungs": np.flatnonzero(source == "finding-lungs"),
        "COVID-19-CT-Seg": np.flatnonzero(source == "covid-19-ct-seg"),
    }


def _print_part(
    name: str,
    cases: Sequence[PreparedCase],
    score: NDArray[np.float64],
    base: NDArray[np.float64],
) -> None:
    """Patients, AUC with its interval and the floor's, false alarms and hits at 0.5."""
    if not cases:
        return
    ill = np.array([_is_ill(one) for one in cases])
    patients = np.unique([one.case.patient for one in cases], return_inverse=True)[1]
    said = [
        f"{len(set(patients.tolist()))} patients, {int(ill.sum())} ill, {int((~ill).sum())} not"
    ]
    for word, values in (("AUC", score), ("floor", base)):
        area = auc(values, ill)
        if area is not None:
            interval = auc_interval(values, ill, patients=patients.astype(np.int64))
            said.append(f"{word} {area:.3f} {in_words(interval)}")
    for word, chosen in (("false alarms", ~ill), ("found", ill)):
        count, called = int(chosen.sum()), int((score[chosen] >= 0.5).sum())
        if count:
            share = f"{called / count:.3f} {in_words(wilson(called, count))}"
            said.append(f"{word} at 0.5: {called} of {count}, {share}")
    print(f"{name}: {'; '.join(said)}")


@contextmanager
def _silent(_words: str) -> Iterator[Progress]:
    yield lambda _done, _total: None


def main() -> None:
    """Do what the command asks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("slices", "studies"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bundle", default="demonstration")
    parser.add_argument("--run", type=Path, default=Path("runs/slices"))
    parser.add_argument("--segmenter", type=Path, default=Path("runs/segmenter-volumes"))
    parser.add_argument("--cohort", type=Path, help="its table; cohort.csv in the run's folder")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT)
    given = parser.parse_args()
    if given.what == "studies":
        for line in report(score_studies(given.data, given.bundle, print)):
            print(line)
        return
    run = TrainingRun(
        experiment=read_experiment(given.experiment),
        cohort=read_cohort(given.cohort or given.run / "cohort.csv"),
        lung_cohort=None,
        out=given.run,
        cache=CacheSettings(given.cache, processes=1),
        resume=True,
        tell=print,
        counting=_silent,
        segmenter=given.segmenter,
    )
    report_slices(run)


if __name__ == "__main__":
    main()
