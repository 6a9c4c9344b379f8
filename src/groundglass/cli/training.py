"""The whole of `groundglass train`: read what is asked, train, say where things are."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from groundglass.cli.console import Terminal, progress_bar
from groundglass.cohort import read_cohort
from groundglass.errors import SettingsError, install_extra

if TYPE_CHECKING:
    from groundglass.train.run import TrainingRun

#: Which stage comes after which; `all` then makes the bundle of what is trained.
_AFTER = {"segmenter": "encoder", "encoder": "sequence", "sequence": "all"}

#: Modules that training needs and running does not.
_NEEDED = ("torch", "lightning", "onnx", "tensorboard")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for.

    Parameters
    ----------
    experiment, cohort, out : Path
        Settings, table of patients, folder of the run.
    lungs, cache : Path or None
        Table of slices with marked lungs; where prepared slices are kept.
    processes : int
        Studies prepared at once.
    resume : bool
        Go on with an earlier run.
    """

    experiment: Path
    cohort: Path
    out: Path
    lungs: Path | None
    cache: Path | None
    processes: int
    resume: bool


def train(stage: str, request: Request) -> None:
    """Train one stage, or all, and say what came of it.

    Parameters
    ----------
    stage : str
        "segmenter", "encoder", "sequence" or "all".
    request : Request
        How, on whom, where to.

    Raises
    ------
    GroundglassError
        Something asked for is not there or makes no sense.
    """
    _refuse_without_extra()
    from groundglass.train import stages

    run = _run_of(request)
    told = stages.STAGES[stage](run)
    terminal = Terminal()
    terminal.heading(told.title)
    for name, value in told.facts:
        terminal.print(f"  {name:<12} {value}")
    terminal.heading("Next")
    tested = any(case.split == "test" for case in run.cohort.cases)
    terminal.print(f"  {shlex.join(_next(stage, request, tested=tested))}")
    if _AFTER.get(stage) == "sequence":
        terminal.print("  It needs studies of many slices; single slices end here.")


def say(line: str) -> None:
    """One line on standard error; a function of a module, so that other processes can call it."""
    Terminal(stderr=True).print(line)


def _run_of(request: Request) -> TrainingRun:
    from groundglass.train.data.cache import CacheSettings
    from groundglass.train.experiment import read_experiment
    from groundglass.train.run import PREPARED_FOLDER, TrainingRun

    out = request.out.resolve()
    return TrainingRun(
        experiment=read_experiment(request.experiment),
        cohort=read_cohort(request.cohort),
        lung_cohort=read_cohort(request.lungs) if request.lungs else None,
        out=out,
        cache=CacheSettings(request.cache or out / PREPARED_FOLDER, request.processes),
        resume=request.resume,
        tell=say,
        counting=progress_bar,
        bar=sys.stderr.isatty(),
    )


def _next(stage: str, request: Request, *, tested: bool) -> list[str]:
    """The words of the command to go on with, to be copied as they stand."""
    if stage in _AFTER:
        after = _AFTER[stage]
        resumed = ["--resume"] if after == "all" else []
        return ["groundglass", "train", after, *_options(request), *resumed]
    from groundglass.train.run import BUNDLE_FOLDER

    bundle = f"{request.out / BUNDLE_FOLDER}/"
    if not tested:
        return ["groundglass", "models", "card", bundle]
    out = str(request.out / "evaluation")
    return ["groundglass", "evaluate", str(request.cohort), "--bundle", bundle, "--out", out]


def _options(request: Request) -> list[str]:
    """The request as it was given, for another stage of the same run."""
    named = {
        "--experiment": request.experiment,
        "--cohort": request.cohort,
        "--out": request.out,
        "--lungs": request.lungs,
        "--cache": request.cache,
        "--processes": request.processes,
    }
    given = ((name, value) for name, value in named.items() if value is not None)
    return [word for name, value in given for word in (name, str(value))]


def _refuse_without_extra() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"no {', '.join(missing)} in this installation",
            expected="what training needs and running does not",
            action=install_extra("train"),
        )
