"""`groundglass cohort`: tables of patients, checked, split, imported, joined, made."""

from __future__ import annotations

import typer

from groundglass.cli.commands.cohort.check import check
from groundglass.cli.commands.cohort.make import import_dataset, join, phantom, split

_HELP = (
    "Tables of patients for training and evaluating: check, split, import, join and make them.\n\n"
    "A cohort is a CSV or Parquet table with the columns patient, study, label, split and source. "
    "Studies stay where they are."
)
_EPILOG = """[bold]Examples[/bold]

  groundglass cohort phantom --out made [dim]· patients to try everything on[/dim]

  groundglass cohort import covid-ct-md downloads/COVID-CT-MD --out md.csv

  groundglass cohort split md.csv --out split.csv --validation 0.1 --test 0.2 --seed 7

  groundglass cohort check split.csv --labels CP,NCP,healthy

[bold]Exit codes[/bold]  0 done, and `check` found no error · 1 errors found, or could not be \
done; the reason is printed · 2 wrong use"""

app = typer.Typer(help=_HELP, epilog=_EPILOG, no_args_is_help=True, add_completion=False)
app.command()(check)
app.command()(split)
app.command("import")(import_dataset)
app.command()(join)
app.command()(phantom)
