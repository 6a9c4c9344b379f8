"""How the default bundle's scorer of slices, and its verdict, do on what it has not seen.

    python -m benchmarks.slice_verdict slices --run runs/slices --cache runs/cache
    python -m benchmarks.slice_verdict studies --data ../shared/data --bundle runs/slices/bundle

`slices`: the test split of `groundglass.train.slice_cohort`'s table, by source, beside the floor of
what ten statistics of the grey values tell. `studies`: MedSeg's and LUNA16's whole volumes, which
the table leaves out, through the whole program; thresholds are fitted on all and, for every study
by itself, on the others. Lung cancer's are shown and counted nowhere: they are neither answer.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_slices import discriminant, statistics_of
from groundglass.analyse.triage import Triage
from groundglass.cohort import read_cohort
from groundglass.cohort.image_files import read_image
from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.evaluate.statistics import Interval, auc, auc_interval, wilson
from groundglass.infer import Precision
from groundglass.train.classifier.encoder_stage import predict_slices, trained_encoder
from groundglass.train.data.cache import CacheSettings, PreparedCase, Progress, prepare_cohort
from groundglass.train.data.marked_slices import volume_window
from groundglass.train.data.prepare_case import Lungs
from groundglass.train.run import TrainingRun, segmenter_path
from groundglass.train.settings import read_experiment
from groundglass.train.slice_cohort import HEALTHY, LUNA_WINDOW

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "slices.toml"
#: Studies in which a reader marked lesions, and those without; the rest are neither.
ILL = ("medseg-2", "medseg-3", "medseg-5", "medseg-7", "medseg-8")
WELL = ("medseg-6", "luna-volume-1", "luna-volume-2", "luna-volume-3")
OTHER = ("lung1-001", "lung1-002")
#: One patient, thick and thin slices: left out together.
TWICE = {"medseg-3": "medseg-2"}
#: LUNA16's volumes state no spacing; this is usual for them, at 256 × 256.
LUNA_SPACING_MM = (1.25, 1.4, 1.4)
#: Scores from which a slice may be called ill.
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class StudyScore:
    """One study: whether it is ill, if that is known, and the scores of its judged slices."""

    name: str
    ill: bool | None
    scores: tuple[float, ...]

    def share(self, threshold: float) -> float:
        """Share of slices that reach the threshold."""
        return float(np.mean(np.array(self.scores) >= threshold))


def volumes(data: Path) -> Iterator[tuple[str, Volume]]:
    """The studies in HU; MedSeg's and lung cancer's begin at the head, LUNA16's at the feet."""
    for path in sorted((data / "lung-volumes").glob("*.npz")):
        with np.load(path) as found:
            down, across, along = (float(one) for one in found["spacing_mm"])
            if "hu" in found:
                hu = found["hu"].astype(np.float32)
            else:
                hu = _in_hu(found["image"], volume_window(found["image"], found["lung"] > 0))
        yield path.stem, _volume(hu, (down, across, along), headward=-1.0)
    for folder in sorted((data / "luna-volumes").glob("luna-volume-*")):
        grey = np.stack([read_image(one) for one in sorted(folder.glob("*.jpg"))])
        yield folder.name, _volume(_in_hu(grey, LUNA_WINDOW), LUNA_SPACING_MM, headward=1.0)


def _in_hu(grey: NDArray[Any], window: tuple[float, float]) -> NDArray[np.float32]:
    center, width = window
    return np.asarray(center - width / 2 + grey * (width / 255), dtype=np.float32)


def _volume(
    hu: NDArray[np.float32], spacing_mm: tuple[float, float, float], headward: float
) -> Volume:
    directions = ((0.0, 0.0, headward), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    slices, rows, columns = hu.shape
    return Volume(hu, Geometry((slices, rows, columns), spacing_mm, (0.0, 0.0, 0.0), directions))


def score_studies(data: Path, bundle: str) -> list[StudyScore]:
    """Every study through the whole program."""
    triage = Triage.load(bundle, Precision.F32)
    healthy = triage.bundle.healthy
    found = []
    for name, volume in volumes(data):
        scores = [1 - one[healthy] for group in triage(volume).groups for one in group.of_slices]
        found.append(StudyScore(name, None if name in OTHER else name in ILL, tuple(scores)))
        print(f"{name}: {len(scores)} slices judged, mean score {np.mean(scores):.3f}", flush=True)
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """What is fitted: from which score a slice, from which share of them a study is ill."""

    slice_threshold: float
    study_threshold: float
    gap: float
    """Between the nearest shares above and below the study's threshold."""

    def calls(self, study: StudyScore) -> bool:
        """Whether it calls findings."""
        return study.share(self.slice_threshold) >= self.study_threshold

    @property
    def slope(self) -> float:
        """Gives 0.9 and 0.1 to the nearest studies above and below."""
        return 2 * math.log(9) / self.gap


def fitted(studies: Sequence[StudyScore]) -> Rule:
    """The rule that calls fewest studies wrongly; of several the one with the widest gap."""

    def worth(rule: Rule) -> tuple[int, float]:
        return sum(rule.calls(one) == one.ill for one in studies), rule.gap

    rules = [
        Rule(threshold, (low + high) / 2, high - low)
        for threshold in THRESHOLDS
        for low, high in pairwise(sorted({0.0, 1.0, *(one.share(threshold) for one in studies)}))
    ]
    return max(rules, key=worth)


def report_studies(studies: Sequence[StudyScore]) -> None:
    """The rule fitted on all, what rules fitted on the other patients call, and every share."""
    known = [one for one in studies if one.ill is not None]
    rule = fitted(known)
    print(
        f"fitted on {len(known)}: slice threshold {rule.slice_threshold}, study threshold "
        f"{rule.study_threshold:.3f}, slope {rule.slope:.1f}"
    )
    called = [
        fitted([two for two in known if _patient(two) != _patient(one)]).calls(one) for one in known
    ]
    right = sum(one.ill == call for one, call in zip(known, called, strict=True))
    print(
        f"by rules fitted on the other patients {right} of {len(known)} right, "
        f"{_ends(wilson(right, len(known)))}"
    )
    for threshold in THRESHOLDS:
        shares = np.array([one.share(threshold) for one in known])
        area = auc(shares, np.array([bool(one.ill) for one in known]))
        print(f"AUC of the share of slices from {threshold}: {area}")
    for one in studies:
        truth = {True: "ill", False: "not ill", None: "neither"}[one.ill]
        shown = "  ".join(f"{t}: {one.share(t):.3f}" for t in THRESHOLDS)
        call = "findings" if rule.calls(one) else "none seen"
        print(f"| {one.name} | {truth} | {len(one.scores)} | {call} | {shown} |")


def _ends(interval: Interval | None) -> str:
    return "not defined" if interval is None else f"({interval.low:.3f}-{interval.high:.3f})"


def _patient(study: StudyScore) -> str:
    return TWICE.get(study.name, study.name)


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
            said.append(f"{word} {area:.3f} {_ends(interval)}")
    for word, chosen in (("false alarms", ~ill), ("found", ill)):
        count, called = int(chosen.sum()), int((score[chosen] >= 0.5).sum())
        if count:
            share = f"{called / count:.3f} {_ends(wilson(called, count))}"
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
    parser.add_argument("--cohort", type=Path, help="its table; cohort.csv in the run's folder")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT)
    given = parser.parse_args()
    if given.what == "studies":
        report_studies(score_studies(given.data, given.bundle))
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
    )
    report_slices(run)


if __name__ == "__main__":
    main()
