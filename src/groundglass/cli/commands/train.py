"""`groundglass train`: from a cohort to a bundle."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli import options
from groundglass.cli.console import Terminal, progress_bar
from groundglass.errors import SettingsError, install_extra

if TYPE_CHECKING:
    from groundglass.train.run import TrainingRun

_HELP = (
    "Train the networks on a cohort: the lung segmenter, the slice encoder, the sequence head, or "
    "all of them, which ends in a bundle.\n\n"
    "An experiment (a TOML file; see experiments/) says how. Needs "
    "the `train` extra (in a checkout: `pip install '.\\[train]'`)."
)
_EPILOG = """[bold]Examples[/bold]

  groundglass cohort phantom --out phantoms [dim]· a cohort of made patients[/dim]

  groundglass train all --experiment mine.toml --cohort phantoms/cohort.csv --out runs/mine

  groundglass train encoder --experiment synthetic.toml --cohort slices.csv --out runs/slices

  groundglass train all --experiment mine.toml --cohort phantoms/cohort.csv --out runs/mine \
--resume [dim]· go on where it was cut off[/dim]

[bold]Exit codes[/bold]  0 trained · 1 could not, the reason is printed · 2 wrong use"""
_STAGES = {
    "segmenter": "The lung U-Net, on slices whose lungs were marked (column `mask`) and phantoms.",
    "encoder": "The CNN, on slices with their patient's label. Takes single-slice cases too.",
    "sequence": "The biLSTM on groups of slices, the trained encoder frozen.",
    "all": "Segmenter (unless another run's or a bundle's is taken), encoder and sequence head, "
    "then the bundle.",
}
#: Which stage comes after which; `all` then makes the bundle of what is trained.
_AFTER = {"segmenter": "encoder", "encoder": "sequence", "sequence": "all"}
#: Modules that training needs and running does not.
_NEEDED = ("torch", "lightning", "onnx", "tensorboard")


app = typer.Typer(help=_HELP, epilog=_EPILOG, no_args_is_help=True, add_completion=False)


def _command(stage: str) -> Callable[..., None]:
    def command(
        experiment: Annotated[
            Path,
            typer.Option(
                "--experiment",
                metavar="FILE",
                show_default=False,
                help="How to train: a TOML file as in experiments/.",
            ),
        ],
        cohort: Annotated[
            Path,
            typer.Option(
                "--cohort",
                metavar="TABLE",
                show_default=False,
                help="On whom: a CSV or Parquet table; `groundglass cohort check` looks it over.",
            ),
        ],
        out: Annotated[
            Path,
            options.out_folder(
                "Folder of this run: checkpoints, tables, the bundle. Made if missing."
            ),
        ],
        lungs: Annotated[
            Path | None,
            typer.Option(
                "--lungs",
                metavar="TABLE",
                show_default="the cohort's own",
                help="Cohort of slices with marked lungs, for the segmenter.",
            ),
        ] = None,
        segmenter: Annotated[
            Path | None,
            typer.Option(
                "--segmenter",
                metavar="DIR",
                exists=True,
                file_okay=False,
                show_default="as the experiment's [segmenter] says",
                help="Folder of a run of `train segmenter`, whose U-Net finds the lungs.",
            ),
        ] = None,
        cache: Annotated[
            Path | None,
            typer.Option(
                "--cache",
                metavar="DIR",
                file_okay=False,
                show_default="OUT/prepared",
                help="Where prepared slices are kept; several runs may share it.",
            ),
        ] = None,
        processes: Annotated[
            int, typer.Option("--processes", min=1, help="Studies prepared at once, 1 GB each.")
        ] = 2,
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on with what an earlier run left in OUT.")
        ] = False,
    ) -> None:
        _refuse_without_extra()
        from groundglass.cohort import read_cohort
        from groundglass.train.data.cache import CacheSettings
        from groundglass.train.run import PREPARED_FOLDER, TrainingRun
        from groundglass.train.settings import read_experiment

        run = TrainingRun(
            experiment=read_experiment(experiment),
            cohort=read_cohort(cohort),
            lung_cohort=read_cohort(lungs) if lungs else None,
            out=out.resolve(),
            cache=CacheSettings(cache or out.resolve() / PREPARED_FOLDER, processes),
            resume=resume,
            segmenter=segmenter.resolve() if segmenter else None,
            tell=say,
            counting=progress_bar,
            bar=sys.stderr.isatty(),
        )
        given = {"--experiment": experiment, "--cohort": cohort, "--out": out, "--lungs": lungs,
                 "--segmenter": segmenter, "--cache": cache, "--processes": processes}  # fmt: skip
        _train(stage, run, {name: str(value) for name, value in given.items() if value is not None})

    return command


def say(line: str) -> None:
    """One line on standard error; a function of a module, so that other processes can call it."""
    Terminal(stderr=True).print(line)


def _train(stage: str, run: TrainingRun, given: Mapping[str, str]) -> None:
    """Train one stage, or all, and say what came of it and how to go on."""
    from groundglass.train.stages import STAGES

    summary = STAGES[stage](run)
    terminal = Terminal()
    terminal.heading(summary.title)
    for name, value in summary.facts:
        terminal.print(f"  {name:<12} {value}")
    terminal.heading("Next")
    terminal.print(f"  {shlex.join(['groundglass', *_next(stage, run, given)])}")
    if _AFTER.get(stage) == "sequence":
        terminal.print("  It needs studies of many slices; single slices end here.")


def _next(stage: str, run: TrainingRun, given: Mapping[str, str]) -> list[str]:
    """The words of the command to go on with, to be copied as they stand."""
    from groundglass.train.run import BUNDLE_FOLDER

    if stage in _AFTER:
        after = _AFTER[stage]
        options = [word for pair in given.items() for word in pair]
        return ["train", after, *options, *(["--resume"] if after == "all" else [])]
    out = Path(given["--out"])
    bundle = f"{out / BUNDLE_FOLDER}/"
    if not any(case.split == "test" for case in run.cohort.cases):
        return ["models", "card", bundle]
    return ["evaluate", given["--cohort"], "--bundle", bundle, "--out", str(out / "evaluation")]


def _refuse_without_extra() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"no {', '.join(missing)} in this installation",
            expected="what training needs and running does not",
            action=install_extra("train"),
        )


for _stage, _words in _STAGES.items():
    app.command(_stage, help=_words)(_command(_stage))
