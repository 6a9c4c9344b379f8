"""What an encoder can tell on single slices of real patients.

    python -m benchmarks.real_slices train synthetic|mixed|covid-ct --data DATA --work runs
    python -m benchmarks.real_slices cross --data DATA --work runs
    python -m benchmarks.real_slices probe --data DATA --work runs
    python -m benchmarks.real_slices report --data DATA --work runs --out docs/explanation

`train synthetic` comes first: the others begin where it ended. `mixed` trains five encoders, one
per fold of MosMedData's patients; `covid-ct` two, a fifth held out by patient and by slice. A run
that was cut off goes on where it stopped. `cross` tests the first encoder of each on the other set.
`probe` shows the `mixed` encoders their test slices with the lungs removed.
`report` writes real-slices.json and real-slices.png and prints the tables of
docs/explanation/real-slices.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.cohort import Case, Cohort, SplitSettings, hold_out_fold, split_cohort
from groundglass.cohort.importers import import_dataset
from groundglass.errors import ReadError
from groundglass.evaluate.run.probes import Probe, probe_slices
from groundglass.evaluate.statistics import auc, auc_interval
from groundglass.infer import load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.prepare import classifier_image
from groundglass.train.classifier.encoder_stage import (
    predict_slices,
    train_encoder,
    trained_encoder,
)
from groundglass.train.data.cache import CacheSettings, PreparedCase, prepare_cohort
from groundglass.train.data.prepare_case import Lungs, segmenter_of
from groundglass.train.data.real_slices import read_slice
from groundglass.train.data.tensors import to_tensor
from groundglass.train.mixed_cohort import MixedSettings, mixed_cohort
from groundglass.train.networks import SliceEncoder
from groundglass.train.run import TrainingRun
from groundglass.train.settings import read_experiment

FOLDS = 5
BY_PATIENT, BY_SLICE = 1, 2
SEVERITIES = {
    "CT-1": ("CT-1",),
    "CT-2": ("CT-2",),
    "CT-3": ("CT-3",),
    "CT-4": ("CT-4",),
    "CT-2 and worse": ("CT-2", "CT-3", "CT-4"),
    "all": ("CT-1", "CT-2", "CT-3", "CT-4"),
}
PROBES = (Probe.LUNGS_BLACK, Probe.BACKGROUND_ONLY, Probe.SILHOUETTE, Probe.LUNGS_ONLY)
VIEWS = ("as-in-service", *(one.value for one in PROBES))
_EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def synthetic(data: Path, work: Path, _fold: int) -> tuple[str, Cohort]:
    """No real disease in training; every MosMedData patient tests."""
    settings = MixedSettings("synthetic", copies=4)
    return "synthetic", mixed_cohort(data, None, work / "synthetic", settings)


def mixed(data: Path, work: Path, fold: int) -> tuple[str, Cohort]:
    """As the shipped bundle's encoder, without phantom studies; one fold of MosMedData held out."""
    settings = MixedSettings("real", fold)
    return "best", mixed_cohort(data, None, work / f"mixed-{fold}", settings)


def covid_ct(data: Path, _work: Path, fold: int) -> tuple[str, Cohort]:
    """COVID-CT, a fifth held out: 1 by patient, 2 by slice, which leaks patients."""
    folder = data / "covid-ct-slices"
    found = import_dataset("ucsd-covid-ct", folder, folder / "cohort.csv").cohort
    if fold == BY_SLICE:
        by_slice = (replace(case, patient=case.study.stem) for case in found.cases)
        found = replace(found, cases=tuple(by_slice))
    settings = SplitSettings(validation=0, test=0, seed=1, folds=FOLDS)
    return "covid-ct", hold_out_fold(split_cohort(found, settings), 1)


#: Per word of the command line: how a fold's cohort is made, and how many folds there are.
RUNS: dict[str, tuple[Callable[[Path, Path, int], tuple[str, Cohort]], int]] = {
    "synthetic": (synthetic, 1),
    "mixed": (mixed, FOLDS),
    "covid-ct": (covid_ct, BY_SLICE),
}


def train(word: str, data: Path, work: Path, folds: Sequence[int]) -> None:
    """Train the encoders of an experiment that are not trained yet."""
    make, count = RUNS[word]
    for fold in folds or range(1, count + 1):
        out = work / (word if count == 1 else f"{word}-{fold}")
        if (out / "test.csv").exists():
            continue
        name, cohort = make(data, work, fold)
        run = _run_of(name, cohort, out, work)
        result = train_encoder(run)
        test = [case for case in result.prepared.cases if case.case.split == "test"]
        _write(test, predict_slices(result.net, test, run.labels, 1).probabilities, run, out)


def cross(data: Path, work: Path) -> None:
    """The covid-ct encoder (by patient) on MosMedData, and the first mixed one on COVID-CT."""
    for word, make, on in (("covid-ct", synthetic, "mosmed"), ("mixed", covid_ct, "covid-ct")):
        cohort = make(data, work, 1)[1]
        cases = [case for case in cohort.cases if case.source != "finding-lungs"]
        bundle = load_bundle("paper")
        lungs = Lungs.of(bundle.path(SEGMENTER))
        cache = CacheSettings(work / "cache", 2)
        found = prepare_cohort(cases, lungs, bundle.recipe, cache, lambda *_: None)
        run = _run_of("best" if word == "mixed" else word, cohort, work / f"{word}-1", work)
        net = trained_encoder(run)
        rows = predict_slices(net, found.cases, run.labels, 1).probabilities
        _write(found.cases, rows, run, run.out, f"on-{on}.csv")


def probe(data: Path, work: Path) -> None:
    """Every mixed encoder on its test slices as in service and with lungs or background removed."""
    bundle = load_bundle("paper")
    segmenter = segmenter_of(bundle.path(SEGMENTER))
    for fold in range(1, FOLDS + 1):
        name, cohort = mixed(data, work, fold)
        run = _run_of(name, cohort, work / f"mixed-{fold}", work)
        net = trained_encoder(run)
        cases = [one for one in cohort.cases if one.split == "test" and one.source == "mosmed"]
        kept, shown, lungs = [], [], []
        for case in cases:
            try:
                found = read_slice(case.study, segmenter, bundle.recipe)
            except ReadError:
                continue  # set aside in training as well
            kept.append(case)
            everything = np.ones_like(found.lung)
            shown.append(classifier_image(found.hu, everything, found.frame, bundle.recipe))
            lungs.append(found.lung)
        answers = probe_slices(
            np.stack(shown), np.stack(lungs), partial(_answers, net), bundle.recipe.mask_margin_px
        )
        for view, rows in answers.items():
            _write_cases(kept, rows, run, run.out / f"probe-{view}.csv")
        say(f"  mixed {fold}: {len(kept)} slices")


@torch.no_grad()
def _answers(net: SliceEncoder, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    parts = [net(to_tensor(images[k : k + 10])) for k in range(0, len(images), 10)]
    found: NDArray[np.float64] = torch.softmax(torch.cat(parts).double(), dim=1).numpy()
    return found


def _run_of(name: str, cohort: Cohort, out: Path, work: Path) -> TrainingRun:
    experiment = read_experiment(_EXPERIMENTS / f"{name}.toml")
    if experiment.encoder.init_from:
        begin = str(work / "synthetic" / "encoder" / "best.ckpt")
        experiment = replace(experiment, encoder=replace(experiment.encoder, init_from=begin))
    cache = CacheSettings(work / "cache", 2)
    resume = (out / "encoder" / "last.ckpt").exists()
    return TrainingRun(experiment, cohort, None, out, cache, resume, say, _counting)


def say(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _counting(words: str) -> Iterator[Callable[[int, int], None]]:
    say(words)
    yield lambda done, total: say(f"  {done}/{total}") if done % 500 == 0 else None


def _write(
    cases: Sequence[PreparedCase],
    rows: NDArray[np.float64],
    run: TrainingRun,
    out: Path,
    name: str = "test.csv",
) -> None:
    _write_cases([one.case for one in cases], rows, run, out / name)


def _write_cases(
    cases: Sequence[Case], rows: NDArray[np.float64], run: TrainingRun, path: Path
) -> None:
    """Predictions with what the report needs; patients as numbers."""
    number = {p: k for k, p in enumerate(sorted({case.patient for case in cases}))}
    healthy = run.labels.index(run.experiment.healthy)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "label", "severity", "source", "p_ill", "p_cp"])
        for case, row in zip(cases, rows, strict=True):
            known = (number[case.patient], case.label, case.extra.get("severity", ""), case.source)
            ill, cp = 1 - row[healthy], row[run.labels.index("CP")]
            writer.writerow([*known, f"{ill:.6f}", f"{cp:.6f}"])


def read(paths: Sequence[Path], source: str = "") -> list[dict[str, str]]:
    """Rows of one or more tables; a patient of another table is another patient."""
    rows = []
    for k, path in enumerate(paths):
        with path.open(encoding="utf-8") as file:
            rows += [{**row, "patient": f"{k}/{row['patient']}"} for row in csv.DictReader(file)]
    return [row for row in rows if not source or row["source"] == source]


def area(rows: Sequence[dict[str, str]], column: str) -> dict[str, Any]:
    """AUC of CP against the rest, with its interval by patient."""
    scores = np.array([float(row[column]) for row in rows])
    positive = np.array([row["label"] == "CP" for row in rows])
    patients = np.unique([row["patient"] for row in rows], return_inverse=True)[1]
    interval = auc_interval(scores, positive, patients=patients.astype(np.int64))
    return {
        "auc": round(float(auc(scores, positive) or 0), 4),
        "interval_95": [round(interval.low, 4), round(interval.high, 4)] if interval else None,
        "positives": int(positive.sum()),
        "negatives": int((~positive).sum()),
    }


def by_severity(rows: Sequence[dict[str, str]], column: str) -> dict[str, Any]:
    """AUC of each severity against the healthy."""
    return {
        name: area([r for r in rows if r["label"] != "CP" or r["severity"] in kinds], column)
        for name, kinds in SEVERITIES.items()
    }


def floor(work: Path, data: Path) -> dict[str, Any]:
    """What image statistics reach: a linear discriminant on grey values inside the lungs."""
    cohort = synthetic(data, work, 1)[1]
    cases = [case for case in cohort.cases if case.source == "mosmed"]
    bundle = load_bundle("paper")
    cache = CacheSettings(work / "cache", 2)
    lungs = Lungs.of(bundle.path(SEGMENTER))
    found = prepare_cohort(cases, lungs, bundle.recipe, cache, lambda *_: None).cases
    values = np.array([statistics_of(np.array(case.images()[0])) for case in found])
    ill = np.array([case.case.label == "CP" for case in found])
    fold = np.array([int(case.case.extra["fold"]) for case in found])
    score = np.empty(len(found))
    for k in range(1, FOLDS + 1):
        score[fold == k] = discriminant(values[fold != k], ill[fold != k], values[fold == k])
    rows = [
        {
            "patient": str(k), "label": case.case.label, "p_ill": str(value),
            "severity": case.case.extra["severity"],
        }
        for k, (case, value) in enumerate(zip(found, score, strict=True))
    ]  # fmt: skip
    return by_severity(rows, "p_ill")


def statistics_of(image: NDArray[np.uint8]) -> list[float]:
    """Ten numbers of the grey values inside the lungs."""
    inside = image[image > 0].astype(np.float64)
    tail = [float(v) for v in np.percentile(inside, (5, 25, 50, 75, 90, 95, 99))]
    return [inside.mean(), inside.std(), float((image > 0).mean()), *tail]


def discriminant(
    values: NDArray[np.float64], ill: NDArray[np.bool_], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scores of `others` by a linear discriminant that learnt from `values`."""
    centre, spread = values.mean(axis=0), values.std(axis=0) + 1e-9
    known, asked = (values - centre) / spread, (others - centre) / spread
    means = known[ill].mean(axis=0) - known[~ill].mean(axis=0)
    within = np.cov(known[ill].T) + np.cov(known[~ill].T) + 0.1 * np.eye(len(means))
    return np.asarray(asked @ np.linalg.solve(within, means))


def report(work: Path, data: Path, out: Path) -> None:
    """Collect, print and draw."""
    folds = range(1, FOLDS + 1)
    mosmed = read([work / f"mixed-{k}" / "test.csv" for k in folds], "mosmed")
    by_patient = read([work / f"covid-ct-{BY_PATIENT}" / "test.csv"])
    by_slice = read([work / f"covid-ct-{BY_SLICE}" / "test.csv"])
    found: dict[str, dict[str, Any]] = {
        "mosmed": {
            "floor": floor(work, data),
            "synthetic": by_severity(read([work / "synthetic" / "test.csv"]), "p_ill"),
            "mixed": by_severity(mosmed, "p_ill"),
            "trained on covid-ct": by_severity(
                read([work / f"covid-ct-{BY_PATIENT}" / "on-mosmed.csv"]), "p_cp"
            ),
        },
        "covid-ct": {
            "by patient": area(by_patient, "p_cp") | accuracy(by_patient),
            "by slice (leaks)": area(by_slice, "p_cp") | accuracy(by_slice),
            "trained on mosmed": area(read([work / "mixed-1" / "on-covid-ct.csv"]), "p_cp"),
        },
    }
    found["mosmed, probed"] = {
        view: by_severity(read([work / f"mixed-{k}" / f"probe-{view}.csv" for k in folds]), "p_ill")
        for view in VIEWS
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1) + "\n"
    (out / "real-slices.json").write_text(text, encoding="utf-8")
    for data_set, tables in found.items():
        print(f"\n{data_set}")
        for name, table in tables.items():
            print(f"  {name}: {json.dumps(table)}")
    draw(found["mosmed"], out / "real-slices.png")


def accuracy(rows: Sequence[dict[str, str]]) -> dict[str, float]:
    """Share of slices called right at a half."""
    right = [(float(row["p_cp"]) > 0.5) == (row["label"] == "CP") for row in rows]
    return {"accuracy": round(float(np.mean(right)), 4)}


def draw(found: dict[str, Any], path: Path) -> None:
    """AUC per severity, with intervals, beside the floor."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (an extra)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = [name for name in SEVERITIES if name != "CT-4"]
    for k, (series, table) in enumerate(found.items()):
        x = np.arange(len(names)) + 0.16 * (k - 1.5)
        y = np.array([table[name]["auc"] for name in names])
        ends = np.array([table[name]["interval_95"] for name in names]).T
        axes.errorbar(x, y, np.abs(ends - y), fmt="osD^"[k], capsize=3, label=series)
    axes.axhline(0.5, color="0.6", linewidth=1, linestyle=":")
    axes.axhline(0.9, color="0.6", linewidth=1, linestyle="--")
    counts = [found["mixed"][name]["positives"] for name in names]
    labels = [f"{name}\nn={n}" for name, n in zip(names, counts, strict=True)]
    axes.set_xticks(range(len(names)), labels)
    axes.set_ylabel("AUC against healthy (95 % interval)")
    axes.set_ylim(0.4, 1.08)
    axes.set_title("One slice a patient: MosMedData, healthy against COVID-19", fontsize=10)
    axes.legend(fontsize=8, loc="upper right", ncols=2)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("part", choices=("train", "cross", "probe", "report"))
    parser.add_argument("word", nargs="?", choices=tuple(RUNS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("docs/explanation"))
    parser.add_argument("--folds", type=int, nargs="*", default=())
    given = parser.parse_args()
    data, work = given.data.resolve(), given.work.resolve()
    if given.part == "train":
        train(given.word, data, work, given.folds)
    elif given.part == "cross":
        cross(data, work)
    elif given.part == "probe":
        probe(data, work)
    else:
        report(work, data, given.out)


if __name__ == "__main__":
    main()
