"""A cohort small enough to train on in a second, and an experiment to match."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundglass.cohort import Case, Cohort, write_cohort
from groundglass.cohort.phantoms import phantom_json
from groundglass.phantom import LABELS, PhantomSettings
from groundglass.prepare import Recipe
from groundglass.settings.toml import read_settings
from groundglass.train.data.cache import CacheSettings, Progress
from groundglass.train.run import TrainingRun
from groundglass.train.settings import Experiment

SIZE = 64
#: A segmenter has to find nothing here: phantoms bring their true lungs.
TINY: dict[str, Any] = {
    "name": "tiny",
    "true_lungs": True,
    "recipe": {"image_size": SIZE, "group_size": 6, "min_lung_ml": 1.0},
    "network": {
        "segmenter_widths": [4, 4, 4, 4],
        "encoder_widths": [4, 6, 8, 8],
        "encoder_dropout": 0.2,
        "sequence_units": 4,
        "sequence_width": 8,
    },
    "segmenter": {"bundle": "demonstration"},
    "encoder": {"epochs": 4, "batch": 4, "slices_per_patient": 4, "lesion_weight": 0.5},
    "sequence": {"epochs": 4, "batch": 4, "variants": 1},
}


def tiny(**changes: Any) -> Experiment:
    """The tiny experiment, some tables changed key by key."""
    values = {
        name: {**TINY.get(name, {}), **value} if isinstance(value, dict) else value
        for name, value in {**TINY, **changes}.items()
    }
    return read_settings(Experiment, values, Path(), "Correct it.")


def toml(values: dict[str, Any]) -> str:
    """An experiment as TOML; JSON's numbers, strings and lists are TOML's."""
    lines = [f"{name} = {json.dumps(v)}" for name, v in values.items() if not isinstance(v, dict)]
    for table, inner in values.items():
        if isinstance(inner, dict):
            lines += ["", f"[{table}]", *(f"{k} = {json.dumps(v)}" for k, v in inner.items())]
    return "\n".join(lines) + "\n"


def recipe() -> Recipe:
    return tiny().recipe


def make_cohort(folder: Path, each: int = 2, labels: tuple[str, ...] = LABELS) -> Cohort:
    """Phantoms of every class in every split; a class the phantom does not know looks like CP."""
    cases = []
    for split, count in (("train", each), ("validation", 1), ("test", 1)):
        for label in labels:
            for _ in range(count):
                seed = len(cases)
                shown = label if label in LABELS else "CP"
                settings = PhantomSettings(
                    shown, 0.9, seed, matrix=SIZE, slice_count=14, slice_spacing_mm=20.0
                )
                path = folder / f"{seed}.phantom.json"
                path.write_text(phantom_json(settings))
                cases.append(Case(f"made-{seed}", path, label, split, "phantom", seed + 2))
    cohort = Cohort(folder / "cohort.csv", tuple(cases))
    write_cohort(cohort, cohort.path)
    return cohort


@dataclass
class Heard:
    """Lines told; at a line that begins so, what a cut does: nothing more is done."""

    lines: list[str]
    cut_at: str = ""

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if self.cut_at and line.strip().startswith(self.cut_at):
            raise CutOffError


class CutOffError(Exception):
    """The power fails."""


@contextmanager
def uncounted(_words: str) -> Iterator[Progress]:
    yield lambda _done, _total: None


def make_run(
    cohort: Cohort, experiment: Experiment, out: Path, *, resume: bool = False, cut_at: str = ""
) -> TrainingRun:
    """A run on a cohort, its slices kept beside the table."""
    return TrainingRun(
        experiment=experiment,
        cohort=cohort,
        lung_cohort=None,
        out=out,
        cache=CacheSettings(cohort.path.parent / "prepared", processes=1),
        resume=resume,
        tell=Heard([], cut_at),
        counting=uncounted,
    )
