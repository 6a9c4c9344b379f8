"""`groundglass evaluate`: a bundle on a cohort, with figures, intervals and a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli import options
from groundglass.cli.console import Terminal, spinner
from groundglass.cli.judging import checked, chosen_cases, figure_in_words, judged
from groundglass.core.choices import DEFAULT_BUNDLE, Precision

if TYPE_CHECKING:
    from groundglass.evaluate.run.evaluation import Evaluation
    from groundglass.evaluate.run.two_answers import TwoAnswers

_EPILOG = """[bold]Examples[/bold]

  groundglass evaluate cohort.csv --out evaluation

  groundglass evaluate cohort.csv --out evaluation --bundle ./mine --compare demonstration

  groundglass evaluate cohort.csv --out evaluation --probe --workers 4

  groundglass evaluate cohort.csv --out evaluation --resume [dim]· goes on with a broken run[/dim]

[bold]Exit codes[/bold]  0 evaluated · 1 refused or no verdict at all, the reason is printed · \
2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def evaluate(
    cohort: options.CohortTable,
    out: Annotated[
        Path,
        options.out_folder(
            "Where the report goes: empty, missing, or with an earlier evaluation, which is "
            "replaced. Answers are kept in DIR.partial until it is whole."
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    split: options.CohortSplit = "test",
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="NAME|DIR",
            show_default=False,
            help="A second bundle on the same studies, with paired tests.",
        ),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Judge each study again with the lungs removed, flipped, shifted and thickened: "
            "finds a model that has learnt the source. Takes several times as long.",
        ),
    ] = False,
    workers: options.JudgingWorkers = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a broken run of the same evaluation.")
    ] = False,
    precision: options.PrecisionOption = Precision.AUTO,
) -> None:
    """Judge every study of a cohort and measure how good the verdicts are.

    COHORT is a table of patients (CSV or Parquet: patient, study, label, split, source). Writes
    DIR/report.html for people, DIR/evaluation.json for machines, the figures as PNG and
    DIR/predictions.csv, which names rows and no patients. Refuses a cohort that shares a patient or
    a study with the bundle's training data.
    """
    from groundglass.cohort import read_cohort
    from groundglass.evaluate.report.reporting import MANIFEST, write_evaluation
    from groundglass.evaluate.run.checkpoint import Checkpoint
    from groundglass.evaluate.run.evaluation import CohortFacts, compared_with
    from groundglass.evaluate.run.evaluation import evaluate as measure
    from groundglass.evaluate.run.predict import RunSettings
    from groundglass.evaluate.run.probes import ProbeSettings
    from groundglass.evaluate.statistics.plots import figure_class
    from groundglass.infer import CpuEngine, load_bundle
    from groundglass.infer.bundle import sha256_of
    from groundglass.report.writing import refuse_unusable

    figure_class()
    refuse_unusable(out, MANIFEST)
    terminal = Terminal()
    chosen = chosen_cases(read_cohort(cohort), split)
    facts = CohortFacts(cohort.name, sha256_of(cohort), split)
    bundles = [load_bundle(name) for name in (bundle, compare) if name is not None]
    # Settled once: what another processor offers must not be mixed in where a run goes on there.
    precision = CpuEngine(precision).precision
    leaks = [checked(chosen, one, terminal) for one in bundles]
    partial = out.with_name(f"{out.name}.partial")
    runs = [RunSettings(one.folder, precision, workers=workers) for one in bundles]
    runs[0] = replace(runs[0], probes=ProbeSettings() if probe else None)
    cases, table = judged(chosen, facts, runs[0], partial / "bundle", resume=resume)
    evaluation, tables = measure(cases, bundles[0], facts, leaks[0]), {"predictions.csv": table}
    if compare is not None:
        cases, table = judged(chosen, facts, runs[1], partial / "compared", resume=resume)
        evaluation = compared_with(evaluation, cases, bundles[1], leaks[1])
        tables["predictions-compared.csv"] = table
    with spinner("Writing the report"):
        write_evaluation(evaluation, precision.value, tables, out)
    Checkpoint.end(partial)
    _tell(evaluation, out, terminal)


def _tell(evaluation: Evaluation, out: Path, terminal: Terminal) -> None:
    from groundglass.evaluate.report.reporting import MANIFEST, PAGE

    cases, verdicts = len(evaluation.cases), evaluation.two.ill + evaluation.two.not_ill
    terminal.heading(f"{evaluation.bundle.name} {evaluation.bundle.version}")
    terminal.print(
        f"  {cases} studies of {evaluation.patients} patients, {verdicts} with a verdict"
    )
    for name, words in (*_two_answers(evaluation.two), *_kinds(evaluation)):
        terminal.print(f"  {name:<24}{words}")
    missing = [f"row {one.row}: {one.answer.reason}" for one in evaluation.without_verdict]
    terminal.some("Without a verdict", missing, "in the report")
    if evaluation.probed is not None:
        terminal.heading("Source-shift probe")
        caught = evaluation.probed.source.learnt_source
        terminal.print(f"  {evaluation.probed.source.words}", "bold red" if caught else "")
    terminal.heading("Report")
    terminal.print(f"  {out / PAGE}  to read in a browser")
    terminal.print(f"  {out / MANIFEST}  for machines")
    terminal.limits(evaluation.bundle.statement)


def _two_answers(two: TwoAnswers) -> Iterator[tuple[str, str]]:
    """Who was released wrongly, first; then how findings are told from none."""
    share = figure_in_words(two.released_share.value, two.released_share.interval)
    yield (
        "ill among the released",
        f"{two.released_ill} of {two.released} called none seen: {share}",
    )
    named = {
        "findings sensitivity": two.sensitivity,
        "findings specificity": two.specificity,
        "findings AUC": two.area,
        "floor of that AUC": two.floor,
    }
    for name, one in named.items():
        yield name, figure_in_words(one.value, one.interval)


def _kinds(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """How the classes are told apart, one forced where the kind was left open."""
    metrics, intervals = evaluation.figures.metrics, evaluation.figures.intervals
    whole = evaluation.accuracy_of_all
    yield "right, of the verdicts", figure_in_words(metrics.accuracy, intervals.get("accuracy"))
    yield "right, of all cases", figure_in_words(whole.value, whole.interval)
    for one in metrics.classes:
        for name in ("sensitivity", "specificity", "auc"):
            interval = intervals.get(f"class/{one.label}/{name}")
            yield f"{one.label} {name}", figure_in_words(getattr(one.measures, name), interval)
