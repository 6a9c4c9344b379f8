"""`groundglass calibrate`: a bundle's thresholds fitted on a site's own cases, as a new bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli import options
from groundglass.cli.console import Terminal
from groundglass.cli.judging import checked, chosen_cases, figure_in_words, judged
from groundglass.core.choices import DEFAULT_BUNDLE, Precision

if TYPE_CHECKING:
    from groundglass.evaluate.calibrate.calibrating import SiteCalibration
    from groundglass.infer import Bundle

_EPILOG = """[bold]Examples[/bold]

  groundglass calibrate cohort.csv --out ours

  groundglass calibrate cohort.csv --out ours --split all --error 0.05 --sensitivity 0.95

  groundglass run STUDY --out report --bundle ./ours

[bold]Exit codes[/bold]  0 calibrated · 1 refused, too few cases among other reasons, which are \
printed · 2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def calibrate(
    cohort: options.CohortTable,
    out: Annotated[
        Path,
        options.out_folder(
            "Where the new bundle goes: empty or missing. Answers are kept in DIR.partial until it "
            "is whole."
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    name: Annotated[
        str | None,
        typer.Option("--name", show_default="that of DIR", help="What the new bundle is called."),
    ] = None,
    split: options.CohortSplit = "validation",
    error: Annotated[
        float,
        typer.Option(
            "--error",
            help="How often the true answer may be missing, for the ill and for the others apart. "
            "0.1 needs nine patients of either kind, 0.05 nineteen.",
        ),
    ] = 0.1,
    sensitivity: Annotated[
        float | None,
        typer.Option(
            "--sensitivity",
            show_default="largest sum of sensitivity and specificity",
            help="What the study threshold must reach on these cases.",
        ),
    ] = None,
    workers: options.JudgingWorkers = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a broken run of the same calibration.")
    ] = False,
    precision: options.PrecisionOption = Precision.AUTO,
) -> None:
    """Fit a bundle's thresholds on your own cases, and write a new bundle.

    COHORT is a table of patients; its labels need say no more than ill (the bundle's classes, or
    `pneumonia`) or not. Fits from which share of ill slices findings are called, how sure that is,
    and which scores are left for a reader; the networks stay as they are. Says what the thresholds
    are worth on patients left out of them. Do not measure on these cases afterwards: `evaluate`
    refuses them.
    """
    from groundglass.cohort import read_cohort
    from groundglass.evaluate.calibrate.calibrated_bundle import Site, write_calibrated
    from groundglass.evaluate.calibrate.calibrating import CalibrationSettings, refuse_calibrated
    from groundglass.evaluate.calibrate.calibrating import calibrate as fit
    from groundglass.evaluate.run.checkpoint import Checkpoint
    from groundglass.evaluate.run.evaluation import CohortFacts
    from groundglass.evaluate.run.predict import RunSettings
    from groundglass.infer import CpuEngine, load_bundle
    from groundglass.infer.bundle import MANIFEST, sha256_of
    from groundglass.infer.model_store import refuse_name
    from groundglass.report.writing import refuse_unusable

    settings = CalibrationSettings(error, sensitivity)
    called = name if name is not None else out.absolute().name
    refuse_name(called)
    refuse_unusable(out, MANIFEST)
    terminal = Terminal()
    chosen = chosen_cases(read_cohort(cohort), split)
    facts = CohortFacts(cohort.name, sha256_of(cohort), split)
    base = load_bundle(bundle)
    refuse_calibrated(base)
    checked(chosen, base, terminal)
    running = RunSettings(base.folder, CpuEngine(precision).precision, workers=workers)
    partial = out.with_name(f"{out.name}.partial")
    cases, _ = judged(chosen, facts, running, partial / "bundle", resume=resume)
    on = f"a site's own cases (table with SHA-256 {facts.sha256[:12]}…, split {split})"
    found = fit(cases, base, settings, on)
    site = Site(facts, chosen.cases, settings.criterion)
    made = write_calibrated(base, called, found, site, out)
    Checkpoint.end(partial)
    missing = [f"row {one.row}: {one.answer.reason}" for one in cases if not one.answer.has_verdict]
    _tell(found, made, missing, terminal)


def _tell(found: SiteCalibration, made: Bundle, missing: list[str], terminal: Terminal) -> None:
    fitted = found.conformal
    terminal.heading(f"{made.name} {made.version}")
    terminal.print(
        f"  fitted on {fitted.n_ill} patients with and {fitted.n_not_ill} without pneumonia"
    )
    if found.rule is not None:
        terminal.print(
            f"  findings are called from {found.rule.study_threshold:.1%} of ill slices on"
        )
    terminal.print(
        f"  possible: findings from {fitted.findings_quantile:.1%} on, none up to "
        f"{fitted.none_quantile:.1%}; where not one of them alone, for a reader"
    )
    terminal.heading("Patients left out of the fit")
    for one in found.cross_fitted:
        terminal.print(
            f"  {one.name:<34}{figure_in_words(one.share.value, one.share.interval)}, n = {one.n}"
        )
    terminal.some("Without a verdict, and without a part in it", missing, "left out")
    terminal.heading("Bundle")
    terminal.print(f"  {made.folder}  use it with --bundle ./{made.folder.name}")
    terminal.limits(made.statement)
