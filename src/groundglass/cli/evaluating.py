"""The whole of `groundglass evaluate`: read, refuse, judge, measure, report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import groundglass
from groundglass.cli.console import Terminal, progress_bar, spinner
from groundglass.cli.failures import ExitCode
from groundglass.cohort import Cohort, read_cohort
from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.errors import InputError
from groundglass.evaluate.run.case_prediction import CasePrediction
from groundglass.evaluate.run.checkpoint import Checkpoint, Table
from groundglass.evaluate.run.evaluation import (
    CohortFacts,
    Evaluation,
    compared_with,
    evaluate,
)
from groundglass.evaluate.run.predict import RunSettings, predict_cohort
from groundglass.evaluate.run.probes import ProbeSettings
from groundglass.evaluate.run.reporting import MANIFEST, PAGE, write_evaluation
from groundglass.evaluate.run.training_overlap import refuse_leaks, rows_in_words
from groundglass.evaluate.statistics import Interval
from groundglass.evaluate.statistics.plots import figure_class
from groundglass.infer import Bundle, CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import sha256_of
from groundglass.infer.bundle_paths import MANIFEST as BUNDLE_MANIFEST
from groundglass.report.writing import refuse_unusable

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, on what, and how; the options of the command.

    Parameters
    ----------
    cohort, out : Path
        The table, and where the report goes.
    bundle : str
        Name or folder.
    compare : str or None
        A second bundle.
    split : str
        Which cases, or "all".
    probe : bool
        Whether to probe.
    workers : int
        Processes.
    resume : bool
        Go on with a broken run.
    precision : str
        A value of `Precision`.
    """

    cohort: Path
    out: Path
    bundle: str
    compare: str | None
    split: str
    probe: bool
    workers: int
    resume: bool
    precision: str


def run(request: Request) -> ExitCode:
    """Evaluate and report.

    Parameters
    ----------
    request : Request
        The options.

    Raises
    ------
    GroundglassError
        The cohort, a bundle or the report's place is not usable, or no case has a verdict.
    """
    figure_class()
    refuse_unusable(request.out, MANIFEST)
    terminal = Terminal()
    cohort = _chosen(read_cohort(request.cohort), request.split)
    facts = CohortFacts(cohort.path.name, sha256_of(cohort.path), request.split)
    bundle = load_bundle(request.bundle)
    second = load_bundle(request.compare) if request.compare is not None else None
    # Settled once: what another processor offers must not be mixed in where a run goes on there.
    format_in_use = CpuEngine(Precision(request.precision)).precision.value
    request = replace(request, precision=format_in_use)
    checks = []
    for one in filter(None, (bundle, second)):
        _refuse_labels(cohort, one)
        with progress_bar(f"Looking for what {one.name} was trained on") as progress:
            checks.append(refuse_leaks(cohort, one, progress))
        terminal.print(checks[-1].words, "" if checks[-1].looked_for else "yellow")
    partial = request.out.with_name(f"{request.out.name}.partial")
    first = _Answers(request, cohort, facts, bundle, partial / "bundle")
    cases = first.judge(probe=request.probe)
    evaluation = evaluate(cases, bundle, facts, checks[0])
    tables = {"predictions.csv": first.table(probe=request.probe).content(cases)}
    if second is not None:
        other = _Answers(request, cohort, facts, second, partial / "compared")
        theirs = other.judge(probe=False)
        evaluation = compared_with(evaluation, theirs, second, checks[1])
        tables["predictions-compared.csv"] = other.table(probe=False).content(theirs)
    with spinner("Writing the report"):
        write_evaluation(evaluation, request.precision, tables, request.out)
    Checkpoint.end(partial)
    _tell(evaluation, request.out, terminal)
    return ExitCode.DONE


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


def _refuse_labels(cohort: Cohort, bundle: Bundle) -> None:
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


@dataclass(frozen=True, slots=True)
class _Answers:
    """One bundle's answers, with the checkpoint that keeps them."""

    request: Request
    cohort: Cohort
    facts: CohortFacts
    bundle: Bundle
    folder: Path

    def settings(self, *, probe: bool) -> RunSettings:
        return RunSettings(
            bundle=self.bundle.folder,
            precision=Precision(self.request.precision),
            probes=ProbeSettings() if probe else None,
            workers=self.request.workers,
        )

    def table(self, *, probe: bool) -> Table:
        return Table(self.bundle.labels, self.settings(probe=probe).images)

    def judge(self, *, probe: bool) -> tuple[CasePrediction, ...]:
        settings = self.settings(probe=probe)
        checkpoint = Checkpoint(self.folder, self.table(probe=probe))
        identity = {
            "groundglass": groundglass.__version__,
            "cohort": asdict(self.facts),
            "bundle": sha256_of(self.bundle.path(BUNDLE_MANIFEST)),
            "precision": settings.precision.value,
            "images": list(settings.images),
        }
        done = checkpoint.begin(identity, resume=self.request.resume)
        with progress_bar(f"Judging with {self.bundle.name}") as progress:
            return predict_cohort(self.cohort.cases, settings, checkpoint, done, progress)


def _tell(evaluation: Evaluation, out: Path, terminal: Terminal) -> None:
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
    _tell_missing(evaluation, terminal)
    if evaluation.probed is not None:
        terminal.heading("Source-shift probe")
        caught = evaluation.probed.source.learnt_source
        terminal.print(f"  {evaluation.probed.source.words}", "bold red" if caught else "")
    terminal.heading("Report")
    terminal.print(f"  {out / PAGE}  to read in a browser")
    terminal.print(f"  {out / MANIFEST}  for machines")
    terminal.print()
    terminal.print(evaluation.bundle.statement, "yellow")
    terminal.print(RESEARCH_USE_ONLY, "bold yellow")


def _tell_missing(evaluation: Evaluation, terminal: Terminal) -> None:
    missing = evaluation.without_verdict
    if not missing:
        return
    terminal.heading(f"Without a verdict: {len(missing)}")
    for one in missing[:_SHOWN]:
        terminal.print(f"  row {one.row}: {one.answer.reason}")
    if len(missing) > _SHOWN:
        terminal.print(f"  and {len(missing) - _SHOWN} more, in the report")


def _figure(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "not defined here"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval.low:.3f}–{interval.high:.3f})"
