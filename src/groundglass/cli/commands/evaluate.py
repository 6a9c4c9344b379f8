"""`groundglass evaluate`: a bundle on a cohort, with figures, intervals and a report."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from groundglass.cli import options
from groundglass.cli.console import Terminal, progress_bar, spinner
from groundglass.core.choices import DEFAULT_BUNDLE, Precision
from groundglass.errors import InputError

if TYPE_CHECKING:
    from groundglass.cohort import Cohort
    from groundglass.evaluate.run.case_prediction import CasePrediction
    from groundglass.evaluate.run.evaluation import CohortFacts, Evaluation
    from groundglass.evaluate.run.predict import RunSettings
    from groundglass.evaluate.run.training_overlap import LeakCheck
    from groundglass.evaluate.statistics import Interval
    from groundglass.infer import Bundle

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
    cohort: Annotated[
        Path,
        typer.Argument(
            metavar="COHORT",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="The table of patients.",
        ),
    ],
    out: Annotated[
        Path,
        options.out_folder(
            "Where the report goes: empty, missing, or with an earlier evaluation, which is "
            "replaced. Answers are kept in DIR.partial until it is whole."
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    split: Annotated[
        Literal["train", "validation", "test", "all"],
        typer.Option("--split", help="Which cases; all also takes those without a split."),
    ] = "test",
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
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes; each loads the networks.")
    ] = 1,
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
    from groundglass.evaluate.run.checkpoint import Checkpoint
    from groundglass.evaluate.run.evaluation import CohortFacts, compared_with
    from groundglass.evaluate.run.evaluation import evaluate as measure
    from groundglass.evaluate.run.predict import RunSettings
    from groundglass.evaluate.run.probes import ProbeSettings
    from groundglass.evaluate.run.reporting import MANIFEST, write_evaluation
    from groundglass.evaluate.statistics.plots import figure_class
    from groundglass.infer import CpuEngine, load_bundle
    from groundglass.infer.bundle import sha256_of
    from groundglass.report.writing import refuse_unusable

    figure_class()
    refuse_unusable(out, MANIFEST)
    terminal = Terminal()
    chosen = _chosen(read_cohort(cohort), split)
    facts = CohortFacts(cohort.name, sha256_of(cohort), split)
    bundles = [load_bundle(name) for name in (bundle, compare) if name is not None]
    # Settled once: what another processor offers must not be mixed in where a run goes on there.
    precision = CpuEngine(precision).precision
    leaks = [_checked(chosen, one, terminal) for one in bundles]
    partial = out.with_name(f"{out.name}.partial")
    runs = [RunSettings(one.folder, precision, workers=workers) for one in bundles]
    runs[0] = replace(runs[0], probes=ProbeSettings() if probe else None)
    cases, table = _judge(chosen, facts, runs[0], partial / "bundle", resume=resume)
    evaluation, tables = measure(cases, bundles[0], facts, leaks[0]), {"predictions.csv": table}
    if compare is not None:
        cases, table = _judge(chosen, facts, runs[1], partial / "compared", resume=resume)
        evaluation = compared_with(evaluation, cases, bundles[1], leaks[1])
        tables["predictions-compared.csv"] = table
    with spinner("Writing the report"):
        write_evaluation(evaluation, precision.value, tables, out)
    Checkpoint.end(partial)
    _tell(evaluation, out, terminal)


def _chosen(cohort: Cohort, split: str) -> Cohort:
    chosen = cohort if split == "all" else cohort.of_split(split)
    if not chosen.cases:
        there = ", ".join(name or "(none)" for name in cohort.splits)
        raise InputError(
            f"no case in the split '{split}' of {cohort.path.name}",
            expected=f"cases in it; the table has the splits {there}",
            action="Give another --split, or split the cohort with `groundglass cohort split`.",
        )
    return replace(cohort, cases=chosen.cases)


def _checked(cohort: Cohort, bundle: Bundle, terminal: Terminal) -> LeakCheck:
    """Refuse a cohort that a bundle cannot judge, or was trained on."""
    from groundglass.evaluate.run.training_overlap import refuse_leaks

    _refuse_labels(cohort, bundle)
    with progress_bar(f"Looking for what {bundle.name} was trained on") as progress:
        check = refuse_leaks(cohort, bundle, progress)
    terminal.print(check.words, "" if check.looked_for else "yellow")
    return check


def _refuse_labels(cohort: Cohort, bundle: Bundle) -> None:
    from groundglass.evaluate.run.training_overlap import rows_in_words

    unknown = [case for case in cohort.cases if case.label not in bundle.labels]
    if not unknown:
        return
    rows = rows_in_words([case.row for case in unknown])
    words = ", ".join(sorted({case.label for case in unknown}))
    raise InputError(
        f"labels that {bundle.name} does not know ({words}) in {rows}",
        expected=f"its classes: {', '.join(bundle.labels)}",
        action="Write the labels as the bundle does, leave these rows out, or use a bundle with "
        "these classes.",
    )


def _judge(
    cohort: Cohort, facts: CohortFacts, settings: RunSettings, folder: Path, *, resume: bool
) -> tuple[tuple[CasePrediction, ...], bytes]:
    """One bundle's answers, kept in the folder as they come, and their table."""
    import groundglass
    from groundglass.evaluate.run.checkpoint import Checkpoint, Table
    from groundglass.evaluate.run.predict import predict_cohort
    from groundglass.infer import load_bundle
    from groundglass.infer.bundle import sha256_of
    from groundglass.infer.bundle_paths import MANIFEST as BUNDLE_MANIFEST

    bundle = load_bundle(settings.bundle)
    table = Table(bundle.labels, settings.images)
    checkpoint = Checkpoint(folder, table)
    identity = {
        "groundglass": groundglass.__version__,
        "cohort": asdict(facts),
        "bundle": sha256_of(bundle.path(BUNDLE_MANIFEST)),
        "precision": settings.precision.value,
        "images": list(settings.images),
    }
    done = checkpoint.begin(identity, resume=resume)
    with progress_bar(f"Judging with {bundle.name}") as progress:
        cases = predict_cohort(cohort.cases, settings, checkpoint, done, progress)
    return cases, table.content(cases)


def _tell(evaluation: Evaluation, out: Path, terminal: Terminal) -> None:
    from groundglass.evaluate.run.reporting import MANIFEST, PAGE

    metrics, intervals = evaluation.figures.metrics, evaluation.figures.intervals
    cases, verdicts = len(evaluation.cases), len(evaluation.predictions.truth)
    terminal.heading(f"{evaluation.bundle.name} {evaluation.bundle.version}")
    terminal.print(
        f"  {cases} studies of {evaluation.patients} patients, {verdicts} with a verdict"
    )
    whole = evaluation.accuracy_of_all
    lines: list[tuple[str, float | None, Interval | None]] = [
        ("right, of the verdicts", metrics.accuracy, intervals.get("accuracy")),
        ("right, of all cases", whole.value, whole.interval),
    ]
    for one in metrics.classes:
        for name in ("sensitivity", "specificity", "auc"):
            value = getattr(one.measures, name)
            lines.append((f"{one.label} {name}", value, intervals.get(f"class/{one.label}/{name}")))
    for name, value, interval in lines:
        terminal.print(f"  {name:<24}{_figure(value, interval)}")
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


def _figure(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "not defined here"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval.low:.3f}–{interval.high:.3f})"
