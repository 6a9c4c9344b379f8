"""What every stage is given, and what they share: cases, classes, prepared slices."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from groundglass.cohort import Case, Cohort
from groundglass.errors import InputError, SettingsError
from groundglass.infer import load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.train.data.cache import (
    CacheSettings,
    ExcludedCase,
    PreparedCase,
    PreparedCohort,
    Progress,
)
from groundglass.train.data.cache import prepare_cohort as prepare_cases
from groundglass.train.data.prepare_case import Lungs
from groundglass.train.segmenter.slices import MASK_COLUMN
from groundglass.train.settings import Experiment, StageSettings

#: Told one line about what happens.
Tell = Callable[[str], None]

#: Folders of a run.
SEGMENTER_FOLDER, ENCODER_FOLDER, SEQUENCE_FOLDER = "segmenter", "encoder", "sequence"
BUNDLE_FOLDER, PREPARED_FOLDER = "bundle", "prepared"
EXCLUDED = "set-aside.json"
#: Cases set aside that are told one by one.
_TOLD = 5


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run of training."""

    experiment: Experiment
    """What to do."""
    cohort: Cohort
    """On whom."""
    lung_cohort: Cohort | None
    """Whose lungs the segmenter learns from, if not those of `cohort`."""
    out: Path
    """Where to."""
    cache: CacheSettings
    """Where prepared slices are kept."""
    resume: bool
    """Whether to go on with what an earlier run left in `out`."""
    tell: Tell
    """Told lines; with several devices a function of a module."""
    counting: Callable[[str], AbstractContextManager[Progress]]
    """Given words, a context that yields what is told (done, in all)."""
    segmenter: Path | None = None
    """Folder of another run, whose segmenter finds the lungs; None: as `experiment` says."""
    bar: bool = False
    """Whether a bar on standard error shows each epoch."""

    @property
    def segmenter_run(self) -> Path | None:
        """Folder of the run that trains the segmenter; None where a bundle lends its."""
        lent = self.experiment.segmenter.bundle and self.segmenter is None
        return None if lent else self.segmenter or self.out

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes in the networks' order."""
        if self.experiment.labels:
            return self.experiment.labels
        found = {case.label for case in self.cohort.cases if not has_lungs(case)}
        return tuple(sorted(found - {self.experiment.ill}))

    @property
    def targets(self) -> tuple[str, ...]:
        """What a case may be labelled: the classes, then "ill, nobody knows with which"."""
        return (*self.labels, self.experiment.ill) if self.experiment.ill else self.labels


def has_lungs(case: Case) -> bool:
    """Whether somebody marked the lungs of a case: it trains the segmenter, not the classifier."""
    return bool(case.extra.get(MASK_COLUMN))


def prepared_cohort(run: TrainingRun) -> PreparedCohort:
    """The cohort as the classifier sees it; what cannot be used is told and listed in a file.

    Raises
    ------
    InputError
        A case of an unknown class, or a class without patients in training or validation.
    BundleError
        The bundle that lends its segmenter is missing or altered.
    """
    experiment = run.experiment
    cases = [case for case in run.cohort.cases if case.split and not has_lungs(case)]
    _refuse_unknown(cases, run.targets)
    lungs = Lungs.of(segmenter_path(run), true_lungs=experiment.true_lungs)
    if not experiment.true_lungs:
        refuse_other_segmenter(run)
    with run.counting("Preparing studies") as progress:
        found = prepare_cases(cases, lungs, experiment.recipe, run.cache, progress)
    tell_excluded(found.excluded, len(cases), run)
    refuse_empty([case.case for case in found.cases], run.labels, experiment.healthy)
    return found


def classifier_stages(run: TrainingRun) -> tuple[str, ...]:
    """Folders of the stages that make this run's classifier."""
    by_slice = run.experiment.share_rule is not None
    return (ENCODER_FOLDER,) if by_slice else (ENCODER_FOLDER, SEQUENCE_FOLDER)


def segmenter_path(run: TrainingRun) -> Path:
    """The U-Net that finds the lungs: one trained in this run or another, or a bundle's."""
    if run.segmenter_run is None:
        return load_bundle(run.experiment.segmenter.bundle).path(SEGMENTER)
    path = run.segmenter_run / SEGMENTER_FOLDER / SEGMENTER
    if not path.exists():
        raise InputError(
            f"no {path}",
            expected="a segmenter trained in this folder, as no bundle's is named",
            action="Run `groundglass train segmenter` first, or `train all`; name another run's "
            "folder with --segmenter, or a bundle in [segmenter].",
        )
    return path


def refuse_other_segmenter(run: TrainingRun) -> None:
    """Refuse a segmenter from elsewhere that was made for other images than are prepared here.

    Raises
    ------
    SettingsError
        Image size or, where it is a bundle's, the segmenter's window differ.
    """
    recipe = run.experiment.recipe
    if run.segmenter_run == run.out:
        return
    if run.segmenter_run is None:
        theirs = load_bundle(run.experiment.segmenter.bundle).recipe
        names = ("image_size", "segmenter_low_hu", "segmenter_high_hu")
        differ = [name for name in names if getattr(theirs, name) != getattr(recipe, name)]
    else:
        same = image_size_of(segmenter_path(run)) == recipe.image_size
        differ = [] if same else ["image_size"]
    if differ:
        raise SettingsError(
            f"another {', '.join(differ)} in the experiment's [recipe] than the segmenter's",
            expected="what the segmenter was trained with",
            action="Take its values, or train a segmenter: [segmenter] bundle = ''.",
        )


def image_size_of(segmenter: Path) -> int:
    """Rows of the images that an exported segmenter takes."""
    graph = onnx.load(str(segmenter)).graph
    return int(graph.input[0].type.tensor_type.shape.dim[2].dim_value)


def identity(run: TrainingRun, cases: Sequence[Any], stage: StageSettings) -> dict[str, Any]:
    """What makes a stage's training this one and no other, for resuming.

    `cases`: whom it learns from, in a form that JSON takes.
    """
    experiment = run.experiment
    return {
        "seed": experiment.seed,
        "precision": experiment.precision,
        "devices": experiment.devices,
        "network": asdict(experiment.network),
        "stage": asdict(stage),
        "cohort": hashlib.sha256(json.dumps(cases).encode()).hexdigest(),
    }


def classifier_identity(
    run: TrainingRun, cases: Sequence[PreparedCase], stage: StageSettings
) -> dict[str, Any]:
    """`identity` of a stage that learns from prepared cases and their classes."""
    rows = [(case.path.name, case.case.label, case.case.split) for case in cases]
    return identity(run, rows, stage) | {"labels": list(run.labels)}


def tell_excluded(
    excluded: Sequence[ExcludedCase], cases: int, run: TrainingRun, file: str = EXCLUDED
) -> None:
    """Tell how many of the cases were set aside, and list all with their reasons in a file."""
    run.out.mkdir(parents=True, exist_ok=True)
    listed = [{"row": one.row, "reason": one.reason} for one in excluded]
    path = run.out / file
    path.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    if not excluded:
        return
    run.tell(f"{len(excluded)} of {cases} cases set aside:")
    for one in excluded[:_TOLD]:
        run.tell(f"  row {one.row}: {one.reason}")
    if len(excluded) > _TOLD:
        run.tell(f"  … all in {path}")


def _refuse_unknown(cases: Sequence[Case], labels: Sequence[str]) -> None:
    unknown = [case for case in cases if case.label not in labels]
    if unknown:
        rows = ", ".join(str(case.row) for case in unknown[:_TOLD])
        raise InputError(
            f"the class {unknown[0].label!r} ({len(unknown)} cases of unknown classes, rows {rows}"
            f"{' …' if len(unknown) > _TOLD else ''})",
            expected=f"one of {', '.join(labels)}",
            action="Correct the labels, leave the rows' split empty, or change the experiment's "
            "`labels` or `ill`.",
        )


def refuse_empty(cases: Sequence[Case], labels: Sequence[str], healthy: str) -> None:
    """Refuse classes that make no sense, or without patients in training or validation.

    Raises
    ------
    InputError
        Naming the class and the split.
    """
    if len(labels) < 2 or healthy not in labels:
        raise InputError(
            f"the classes {', '.join(labels) or 'none'}",
            expected=f"two or more, the healthy class {healthy!r} among them",
            action="Correct the labels, or the experiment's `labels` and `healthy`.",
        )
    count = Counter((case.split, case.label) for case in cases)
    for split in ("train", "validation"):
        for label in labels:
            if not count[split, label]:
                raise InputError(
                    f"no usable {label!r} case in the split {split!r}",
                    expected="patients of every class to train on and to validate on",
                    action="`groundglass cohort split` makes stratified splits by patient; cases "
                    "set aside are listed with their reasons.",
                )
