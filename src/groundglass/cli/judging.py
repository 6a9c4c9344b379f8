"""A cohort judged by a bundle, for the commands that measure and calibrate."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from groundglass.cli.console import Terminal, progress_bar
from groundglass.errors import InputError

if TYPE_CHECKING:
    from groundglass.cohort import Cohort
    from groundglass.evaluate.run.case_prediction import CasePrediction
    from groundglass.evaluate.run.evaluation import CohortFacts
    from groundglass.evaluate.run.predict import RunSettings
    from groundglass.evaluate.run.training_overlap import LeakCheck
    from groundglass.evaluate.statistics import Interval
    from groundglass.infer import Bundle


def chosen_cases(cohort: Cohort, split: str) -> Cohort:
    """The cases of a split, or all.

    Raises
    ------
    InputError
        There is none.
    """
    chosen = cohort if split == "all" else cohort.of_split(split)
    if not chosen.cases:
        there = ", ".join(name or "(none)" for name in cohort.splits)
        raise InputError(
            f"no case in the split '{split}' of {cohort.path.name}",
            expected=f"cases in it; the table has the splits {there}",
            action="Give another --split, or split the cohort with `groundglass cohort split`.",
        )
    return replace(cohort, cases=chosen.cases)


def checked(cohort: Cohort, bundle: Bundle, terminal: Terminal) -> LeakCheck:
    """Refuse a cohort that a bundle cannot judge, or has seen.

    Raises
    ------
    InputError
        Labels that are none of its classes, or a patient or study it learnt from.
    """
    from groundglass.evaluate.run.training_overlap import refuse_leaks

    _refuse_labels(cohort, bundle)
    with progress_bar(f"Looking for what {bundle.name} was trained on") as progress:
        check = refuse_leaks(cohort, bundle, progress)
    terminal.print(check.words, "" if check.looked_for else "yellow")
    return check


def _refuse_labels(cohort: Cohort, bundle: Bundle) -> None:
    from groundglass.cohort import PNEUMONIA
    from groundglass.evaluate.run.training_overlap import rows_in_words

    unknown = [case for case in cohort.cases if case.label not in {*bundle.labels, PNEUMONIA}]
    if not unknown:
        return
    rows = rows_in_words([case.row for case in unknown])
    words = ", ".join(sorted({case.label for case in unknown}))
    raise InputError(
        f"labels that {bundle.name} does not know ({words}) in {rows}",
        expected=f"its classes: {', '.join(bundle.labels)}; or {PNEUMONIA}, of a kind not known",
        action="Write the labels as the bundle does, leave these rows out, or use a bundle with "
        "these classes.",
    )


def judged(
    cohort: Cohort, facts: CohortFacts, settings: RunSettings, folder: Path, *, resume: bool
) -> tuple[tuple[CasePrediction, ...], bytes]:
    """One bundle's answers, kept in the folder as they come, and their table.

    Parameters
    ----------
    cohort : Cohort
        The cases.
    facts : CohortFacts
        Which they are; a broken run goes on with the same only.
    settings : RunSettings
        With which bundle, and how.
    folder : Path
        Where the answers are kept until all are there.
    resume : bool
        Whether to go on with a broken run.
    """
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


def figure_in_words(value: float | None, interval: Interval | None) -> str:
    """A figure with its interval, for the terminal."""
    if value is None:
        return "not defined here"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval.low:.3f}–{interval.high:.3f})"
