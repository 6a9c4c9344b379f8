"""`groundglass train`: from a cohort to a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

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
    "all": "Segmenter (unless a bundle's is taken), encoder and sequence head, then the bundle.",
}


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
            typer.Option(
                "--out",
                metavar="DIR",
                file_okay=False,
                show_default=False,
                help="Folder of this run: checkpoints, tables, the bundle. Made if missing.",
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
        from groundglass.cli.training import Request, train

        train(stage, Request(experiment, cohort, out, lungs, cache, processes, resume))

    return command


for _stage, _words in _STAGES.items():
    app.command(_stage, help=_words)(_command(_stage))
