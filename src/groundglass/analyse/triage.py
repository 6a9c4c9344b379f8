"""The whole way of the data, from a volume to a verdict with its evidence."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import groundglass
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.core.result import (
    GroupPrediction,
    InputCheck,
    NotJudged,
    Outcome,
    Provenance,
    TriageResult,
    Verdict,
    is_ill,
)
from groundglass.core.verdict_words import caveat, share_sentences
from groundglass.core.volume import Volume
from groundglass.explain import (
    Explainer,
    ExplainSettings,
    ExplanationTarget,
    GroupHeat,
    SeenScan,
    coarse_heat,
    head_of,
    heatmaps,
    opacity_by_slice,
)
from groundglass.infer import (
    Bundle,
    Classifier,
    CpuEngine,
    Engine,
    Precision,
    Segmenter,
    load_bundle,
)
from groundglass.infer.bundle import HEAD, SEGMENTER
from groundglass.infer.conformal import why_not_given
from groundglass.prepare import (
    Coverage,
    Grouping,
    Letterbox,
    PreparedStudy,
    Recipe,
    check_input,
    clean_lung_mask,
    gather,
    group_slices,
    interpolate_masks,
    lungs_on_volume,
    out_of_range,
    prepare,
    segmenter_images,
    slices_to_segment,
    whole_groups,
    why_for_a_reader,
    why_not_chest_ct,
)

#: Told the name of each stage as it begins.
Progress = Callable[[str], None]


def _silent(_stage: str) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class _Clock:
    """Wall time per stage."""

    progress: Progress
    timings_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.progress(name)
        begin = time.perf_counter()
        yield
        self.timings_ms[name] = (time.perf_counter() - begin) * 1000


@dataclass(frozen=True, slots=True, eq=False)
class LungsFound:
    """What segmenting gave, on an axial volume."""

    square: NDArray[np.bool_]
    """Shape (slices, size, size). Lung mask on the networks' square."""
    volume: NDArray[np.bool_]
    """Shape of the volume. The same on the volume's own pixels."""
    volume_ml: float
    """Lung volume in ml."""


class Triage:
    """Study in, verdict out.

    Parameters
    ----------
    bundle : Bundle
        Weights and recipe.
    engine : Engine
        What runs the networks.
    explaining : ExplainSettings, optional
        How heat maps are made.
    """

    def __init__(
        self, bundle: Bundle, engine: Engine, explaining: ExplainSettings | None = None
    ) -> None:
        explaining = explaining or ExplainSettings()
        self.bundle = bundle
        self._segmenter = Segmenter(bundle.path(SEGMENTER), engine)
        self._classifier = Classifier(bundle, engine)
        head = head_of(engine.constants(bundle.path(HEAD)))
        self._explainer = Explainer.of(bundle, self._classifier, head, explaining)
        self._provenance = _provenance(bundle, engine)

    @classmethod
    def load(
        cls,
        bundle: str | Path = DEFAULT_BUNDLE,
        precision: Precision = Precision.AUTO,
        explaining: ExplainSettings | None = None,
    ) -> Triage:
        """Load a bundle, its hashes checked, on this machine's CPU.

        Parameters
        ----------
        bundle : str or Path
            Name of a shipped bundle, or a bundle's folder.
        precision : Precision
            Number format of the networks.
        explaining : ExplainSettings, optional
            How heat maps are made.

        Raises
        ------
        BundleError
            If the bundle is missing or altered.
        """
        return cls(load_bundle(bundle), CpuEngine(precision), explaining)

    def __call__(
        self, volume: Volume, progress: Progress = _silent, explain: str | None = None
    ) -> TriageResult:
        """Analyse one volume.

        Parameters
        ----------
        volume : Volume
            A chest CT of axial slices, its axes running either way.
        progress : callable, optional
            Told the name of each stage as it begins.
        explain : str, optional
            The class whose evidence is shown; the verdict's unless given.

        Returns
        -------
        TriageResult
            On the volume's own grid. Without a verdict where the volume cannot be
            judged; the outcome and the reason say why.

        Raises
        ------
        SettingsError
            If the bundle has no class of the name to explain.
        """
        self.bundle.refuse_unknown(explain)
        clock = _Clock(progress)
        axial, reorientation = volume.to_axial()
        reason = why_not_chest_ct(volume)
        if reason:
            found = self._result(axial, Outcome.NOT_CHEST_CT, f"Not a chest CT: {reason}.")
        else:
            found = self._judge(axial, clock, explain)
        return replace(found, timings_ms=clock.timings_ms).reoriented(reorientation.inverse)

    def find_lungs(self, axial: Volume) -> LungsFound:
        """Lung mask of an axial volume, on the networks' square and on its own pixels."""
        return find_lungs(axial, self._segmenter, self.bundle.recipe)

    def prepare(self, axial: Volume, lung: NDArray[np.bool_]) -> PreparedStudy:
        """What the classifier sees of an axial volume and its lungs on the networks' square."""
        return prepare(axial, lung, self.bundle.recipe, self.grouping)

    @property
    def grouping(self) -> Grouping:
        """How the classifier wants slices grouped: the paper's way, or each slice as it is."""
        return whole_groups if self._classifier.by_slice else group_slices

    def _judge(self, axial: Volume, clock: _Clock, explain: str | None) -> TriageResult:
        """The result on the axial grid, but for its timings."""
        recipe = self.bundle.recipe
        if len(axial.hu) < recipe.min_slices:
            reason = (
                f"Too few slices: {len(axial.hu)} found, at least {recipe.min_slices} expected."
            )
            return self._result(axial, Outcome.TOO_FEW_SLICES, reason)
        with clock.stage("segment"):
            lungs = self.find_lungs(axial)
            seen = Coverage.of(axial, lungs.square, lungs.volume)
        if lungs.volume_ml < recipe.min_lung_ml:
            ended = self._result(axial, Outcome.NO_LUNG, _too_little(lungs, recipe))
            return replace(ended, mask=lungs.volume, notes=seen.notes)
        with clock.stage("measure"):
            opacity = opacity_by_slice(axial, lungs.volume)
            checks = check_input(axial, lungs.square, lungs.volume, seen)
        with clock.stage("prepare"):
            prepared = self.prepare(axial, lungs.square)
        with clock.stage("classify"):
            groups, heats = self._classify(prepared)
        verdict = self._classifier.verdict(groups)
        left_out = opacity.not_judged(prepared.judged)
        untold = self._not_called(verdict, checks, seen, left_out)
        ended = replace(
            self._result(axial, *(untold or (Outcome.VERDICT, _how(verdict, len(groups))))),
            mask=lungs.volume,
            notes=seen.notes,
            checks=checks,
            not_judged=left_out,
        )
        if untold is not None:
            slices = tuple(replace(record, groups=()) for record in prepared.slices)
            return replace(ended, slices=slices)
        found = replace(ended, verdict=verdict, groups=groups, opacity_burden=opacity.burden)
        with clock.stage("explain"):
            scan = SeenScan(axial, lungs.square)
            return self._explained(found, explain or verdict.label, heats, prepared, scan)

    def _not_called(
        self,
        verdict: Verdict,
        checks: tuple[InputCheck, ...],
        seen: Coverage,
        left_out: NotJudged,
    ) -> tuple[Outcome, str] | None:
        """Why what was found, or that nothing was, is not called so; or None.

        What the paper's elimination leaves out is part of the paper's verdict: by vote it is said,
        and changes nothing.
        """
        healthy, allowed = self.bundle.healthy, self.bundle.metadata.conformal
        reason = out_of_range([check for check in checks if check.refuses_findings])
        if reason is None and verdict.label == healthy:
            if seen.partial:
                return Outcome.PART_OF_LUNGS, _part_of_lungs(seen)
            reason = out_of_range(checks)
            if reason is None and verdict.by_share is not None:
                reason = why_for_a_reader(left_out)
        if reason is None and allowed is not None:
            reason = why_not_given(verdict, healthy, allowed)
        return (Outcome.FOR_A_READER, reason) if reason else None

    def _result(self, axial: Volume, outcome: Outcome, reason: str) -> TriageResult:
        """A result without anything found."""
        return TriageResult(
            outcome=outcome,
            reason=reason,
            labels=self.bundle.labels,
            verdict=None,
            groups=(),
            slices=(),
            mask=np.zeros(axial.hu.shape, dtype=np.bool_),
            heatmaps=(),
            timings_ms={},
            provenance=self._provenance,
        )

    def _classify(
        self, prepared: PreparedStudy
    ) -> tuple[tuple[GroupPrediction, ...], tuple[GroupHeat, ...]]:
        predictions, heats = [], []
        for group in prepared.groups:
            evidence = self._classifier(group, gather(group, prepared.group_images(group)))
            predictions.append(evidence.prediction)
            heats.append(self._explainer.of_group(evidence))
        return tuple(predictions), tuple(heats)

    def _explained(
        self,
        found: TriageResult,
        label: str,
        heats: tuple[GroupHeat, ...],
        prepared: PreparedStudy,
        scan: SeenScan,
    ) -> TriageResult:
        """The result with what speaks for a class."""
        frame, score = scan.frame, slice_scores(found.groups, self.bundle.healthy)
        explained = self._explainer.explain(
            ExplanationTarget(
                self.bundle.explainable.index(label),
                heats,
                prepared.images,
                scan,
                self._strength(label, score),
            )
        )
        contribution, method = explained.contribution, self._explainer.method.name
        return replace(
            found,
            slices=tuple(
                replace(r, contribution=contribution.get(r.index), score=score.get(r.index))
                for r in prepared.slices
            ),
            heatmaps=heatmaps(explained.heat, label, method, frame, found.mask),
            coarse_heat=coarse_heat(explained.heat, label, frame),
            consistency=explained.consistency,
        )

    def _strength(self, label: str, score: dict[int, float]) -> dict[int, float] | None:
        """What key slices are ranked by, `ExplanationTarget.strength`."""
        if label == self.bundle.healthy:
            return {} if self._explainer.method.of_findings else None
        rule = self.bundle.metadata.share_rule
        if rule is None:
            return None
        return {index: one for index, one in score.items() if is_ill(one, rule.slice_threshold)}


def find_lungs(axial: Volume, segmenter: Segmenter, recipe: Recipe) -> LungsFound:
    """Lung mask of an axial volume, for service and for training alike.

    Parameters
    ----------
    axial : Volume
        In axial order (`Volume.to_axial`).
    """
    frame = Letterbox.of(axial.geometry, recipe.image_size)
    images = segmenter_images(axial, recipe)
    at = slices_to_segment(len(images), axial.geometry.spacing_mm[0])
    probability = interpolate_masks(segmenter(images[at]), at, images, recipe)
    square = clean_lung_mask(probability, images, recipe)
    mask = lungs_on_volume(probability, square, frame)
    voxels = int(np.count_nonzero(mask))
    return LungsFound(square, mask, voxels * axial.geometry.voxel_ml)


def slice_scores(groups: Sequence[GroupPrediction], healthy: str) -> dict[int, float]:
    """By slice how likely it shows findings; of those that were judged by themselves."""
    return {
        index: score
        for group in groups
        for index, score in zip(group.group.slice_indices, group.scores(healthy), strict=False)
    }


def _too_little(lungs: LungsFound, recipe: Recipe) -> str:
    return (
        f"Too little lung to judge: {lungs.volume_ml:.0f} ml found, at least "
        f"{recipe.min_lung_ml:.0f} ml expected. The scan shows another part of the body, or only "
        "part of the lungs."
    )


def _part_of_lungs(seen: Coverage) -> str:
    """Why lungs are not called healthy, for the reader."""
    cuts = " ".join(note.text for note in seen.cuts)
    return f"Only part of the lungs was scanned, and lungs not seen are not called healthy. {cuts}"


def _how(verdict: Verdict, groups: int) -> str:
    """How the verdict came about, for the reader, and what it does not say."""
    if verdict.by_share is not None:
        return " ".join([*share_sentences(verdict.by_share), caveat(verdict)])
    won = verdict.votes[verdict.majority]
    words = f"{won} of {groups} group{'s' if groups > 1 else ''} voted {verdict.majority}"
    if verdict.tie:
        words += " (a tie, decided by the mean probability)"
    if verdict.rule_firings:
        firing = verdict.rule_firings[0]
        words += (
            f"; group {firing.group_index + 1} gave {firing.label} {firing.probability:.3f}, "
            f"above {firing.threshold:g}, which overrules a {verdict.majority} majority"
        )
    return f"{words}. {caveat(verdict)}".rstrip()


def _provenance(bundle: Bundle, engine: Engine) -> Provenance:
    return Provenance(
        groundglass_version=groundglass.__version__,
        bundle=f"{bundle.name} {bundle.version}",
        bundle_sha256=dict(bundle.sha256),
        bundle_statement=bundle.statement,
        recipe=bundle.recipe.to_dict(),
        precision=engine.precision.value,
        versions={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            **engine.versions,
            "scipy": version("scipy"),
        },
    )
