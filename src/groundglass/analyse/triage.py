"""The whole way of the data, from a volume to a verdict with its evidence."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import groundglass
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.core.geometry import Reorientation
from groundglass.core.result import (
    CoarseHeat,
    GroupPrediction,
    HeatConsistency,
    Heatmap,
    Note,
    OpacityBurden,
    Outcome,
    Provenance,
    SliceGroup,
    SliceRecord,
    TriageResult,
    Verdict,
)
from groundglass.core.volume import Volume
from groundglass.explain import (
    Explained,
    Explainer,
    ExplainSettings,
    ExplanationTarget,
    GroupHeat,
    HeadWeights,
    Scores,
    coarse_heat,
    heatmaps,
    opacity_burden,
)
from groundglass.infer import (
    Bundle,
    Classifier,
    CpuEngine,
    Engine,
    Precision,
    Segmenter,
    load_bundle,
    vote,
)
from groundglass.infer.bundle import HEAD, SEGMENTER
from groundglass.prepare import (
    Coverage,
    Letterbox,
    PreparedStudy,
    Recipe,
    clean_lung_mask,
    gather,
    interpolate_masks,
    lungs_on_volume,
    prepare,
    segmenter_images,
    slice_positions_mm,
    slices_to_segment,
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
    """What segmenting gave, on an axial volume.

    Parameters
    ----------
    square : ndarray of bool, shape (slices, size, size)
        Lung mask on the networks' square.
    volume : ndarray of bool, shape of the volume
        The same on the volume's own pixels.
    volume_ml : float
        Lung volume in ml.
    """

    square: NDArray[np.bool_]
    volume: NDArray[np.bool_]
    volume_ml: float


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
        scores = Scores.of(
            HeadWeights.of(engine.constants(bundle.path(HEAD))),
            self._classifier.black,
            explaining.method,
            (len(bundle.labels), bundle.labels.index(bundle.healthy)),
        )
        self._explainer = Explainer(self._classifier, scores, explaining)
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
            Mask and maps on the volume's own grid. Without a verdict where the volume cannot be
            judged; the outcome and the reason say why.

        Raises
        ------
        SettingsError
            If the bundle has no class of the name to explain.
        """
        self.bundle.refuse_unknown(explain)
        axial, turn = volume.to_axial()
        run = _Run(self.bundle, axial, turn, self._provenance, _Clock(progress))
        reason = why_not_chest_ct(volume)
        if reason:
            return run.without_verdict(Outcome.NOT_CHEST_CT, f"Not a chest CT: {reason}.")
        least = self.bundle.recipe.min_slices
        if len(axial.hu) < least:
            found = f"Too few slices: {len(axial.hu)} found, at least {least} expected."
            return run.without_verdict(Outcome.TOO_FEW_SLICES, found)
        with run.clock.stage("segment"):
            lungs = self.find_lungs(axial)
            seen = Coverage.of(axial, lungs.square, lungs.volume)
        if lungs.volume_ml < self.bundle.recipe.min_lung_ml:
            found = (
                f"Too little lung to judge: {lungs.volume_ml:.0f} ml found, at least "
                f"{self.bundle.recipe.min_lung_ml:.0f} ml expected. The scan shows another part of "
                "the body, or only part of the lungs."
            )
            findings = _Findings(mask=lungs.volume, notes=seen.notes)
            return run.without_verdict(Outcome.NO_LUNG, found, findings)
        with run.clock.stage("measure"):
            burden = opacity_burden(axial, lungs.volume)
        with run.clock.stage("prepare"):
            prepared = prepare(axial, lungs.square, self.bundle.recipe)
        with run.clock.stage("classify"):
            groups, heats = self._classify(prepared)
        verdict = vote(groups, self.bundle.healthy, self.bundle.recipe.vote_threshold)
        if verdict.label == self.bundle.healthy and seen.partial:
            findings = _Findings(
                mask=lungs.volume, slices=_unvoted(prepared.slices), notes=seen.notes
            )
            return run.without_verdict(Outcome.PART_OF_LUNGS, _not_called(seen), findings)
        with run.clock.stage("explain"):
            label = explain or verdict.label
            frame = Letterbox.of(axial.geometry, self.bundle.recipe.image_size)
            explained = self._explainer.explain(self._target(label, heats, prepared, axial))
            findings = _Findings(
                mask=lungs.volume,
                verdict=verdict,
                groups=groups,
                slices=_with_contribution(prepared.slices, explained),
                maps=heatmaps(explained.heat, (label, self._explainer.method), frame, lungs.volume),
                coarse=coarse_heat(explained.heat, label, frame),
                consistency=explained.consistency,
                burden=burden,
                notes=seen.notes,
            )
        return run.with_verdict(verdict, findings)

    def find_lungs(self, axial: Volume) -> LungsFound:
        """Lung mask of an axial volume, on the networks' square and on its own pixels."""
        return find_lungs(axial, self._segmenter, self.bundle.recipe)

    def _classify(
        self, prepared: PreparedStudy
    ) -> tuple[tuple[GroupPrediction, ...], tuple[GroupHeat, ...]]:
        predictions, heats = [], []
        for group in prepared.groups:
            evidence = self._classifier(group, gather(group, prepared.group_images(group)))
            predictions.append(evidence.prediction)
            heats.append(self._explainer.of_group(evidence))
        return tuple(predictions), tuple(heats)

    def _target(
        self, label: str, heats: tuple[GroupHeat, ...], prepared: PreparedStudy, axial: Volume
    ) -> ExplanationTarget:
        frame = Letterbox.of(axial.geometry, self.bundle.recipe.image_size)
        return ExplanationTarget(
            self.bundle.labels.index(label),
            heats,
            prepared.images,
            slice_positions_mm(axial.geometry),
            frame.pixel_mm * frame.size,
        )


def _with_contribution(
    records: tuple[SliceRecord, ...], explained: Explained
) -> tuple[SliceRecord, ...]:
    return tuple(
        replace(record, contribution=explained.contribution.get(record.index)) for record in records
    )


def _unvoted(records: tuple[SliceRecord, ...]) -> tuple[SliceRecord, ...]:
    """The slices of a study whose groups are not told."""
    return tuple(replace(record, groups=()) for record in records)


def find_lungs(axial: Volume, segmenter: Segmenter, recipe: Recipe) -> LungsFound:
    """Lung mask of an axial volume, for service and for training alike.

    Parameters
    ----------
    axial : Volume
        In axial order (`Volume.to_axial`).
    segmenter : Segmenter
        The lung U-Net.
    recipe : Recipe
        Window, size and threshold.
    """
    frame = Letterbox.of(axial.geometry, recipe.image_size)
    images = segmenter_images(axial, recipe)
    at = slices_to_segment(len(images), axial.geometry.spacing_mm[0])
    probability = interpolate_masks(segmenter(images[at]), at, images, recipe)
    square = clean_lung_mask(probability, images, frame.pixel_mm, recipe)
    mask = lungs_on_volume(probability, square, frame)
    voxels = int(np.count_nonzero(mask))
    return LungsFound(square, mask, voxels * axial.geometry.voxel_ml)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One analysis: what every result of it has in common."""

    bundle: Bundle
    axial: Volume
    turn: Reorientation
    provenance: Provenance
    clock: _Clock

    def without_verdict(
        self, outcome: Outcome, reason: str, found: _Findings | None = None
    ) -> TriageResult:
        """A result that says why there is no verdict, with what looked like lung, if anything."""
        if found is None:
            found = _Findings(mask=np.zeros(self.axial.hu.shape, dtype=np.bool_))
        return self._result(outcome, reason, found)

    def with_verdict(self, verdict: Verdict, found: _Findings) -> TriageResult:
        """A result with its evidence."""
        return self._result(Outcome.VERDICT, _how(verdict, len(found.groups)), found)

    def _result(self, outcome: Outcome, reason: str, found: _Findings) -> TriageResult:
        return TriageResult(
            outcome=outcome,
            reason=reason,
            labels=self.bundle.labels,
            verdict=found.verdict,
            groups=tuple(replace(g, group=self._group_back(g.group)) for g in found.groups),
            slices=tuple(sorted(map(self._record_back, found.slices), key=lambda r: r.index)),
            mask=np.ascontiguousarray(self.turn.inverse(found.mask)),
            heatmaps=tuple(map(self._map_back, found.maps)),
            timings_ms=dict(self.clock.timings_ms),
            provenance=self.provenance,
            coarse_heat=self._coarse_back(found.coarse),
            consistency=self._consistency_back(found.consistency),
            opacity_burden=found.burden,
            notes=found.notes,
        )

    def _group_back(self, group: SliceGroup) -> SliceGroup:
        return replace(group, slice_indices=tuple(map(self._index_back, group.slice_indices)))

    def _record_back(self, record: SliceRecord) -> SliceRecord:
        return replace(record, index=self._index_back(record.index))

    def _map_back(self, heatmap: Heatmap) -> Heatmap:
        return replace(
            heatmap,
            slice_index=self._index_back(heatmap.slice_index),
            heat=np.ascontiguousarray(self.turn.inverse_slice(heatmap.heat)),
        )

    def _coarse_back(self, coarse: CoarseHeat | None) -> CoarseHeat | None:
        if coarse is None:
            return None
        return replace(
            coarse,
            slice_indices=tuple(map(self._index_back, coarse.slice_indices)),
            heat=np.stack([self.turn.inverse_slice(image) for image in coarse.heat]),
        )

    def _consistency_back(self, found: HeatConsistency | None) -> HeatConsistency | None:
        if found is None:
            return None
        return replace(found, slice_indices=tuple(map(self._index_back, found.slice_indices)))

    def _index_back(self, index: int) -> int:
        return self.turn.inverse_index(index, len(self.axial.hu))


@dataclass(frozen=True, slots=True, eq=False)
class _Findings:
    """What an analysis found, on the axial volume."""

    mask: NDArray[np.bool_]
    verdict: Verdict | None = None
    groups: tuple[GroupPrediction, ...] = ()
    slices: tuple[SliceRecord, ...] = ()
    maps: tuple[Heatmap, ...] = ()
    coarse: CoarseHeat | None = None
    consistency: HeatConsistency | None = None
    burden: OpacityBurden | None = None
    notes: tuple[Note, ...] = ()


def _not_called(seen: Coverage) -> str:
    """Why lungs are not called healthy, for the reader."""
    cuts = " ".join(note.text for note in seen.cuts)
    return f"Only part of the lungs was scanned, and lungs not seen are not called healthy. {cuts}"


def _how(verdict: Verdict, groups: int) -> str:
    """How the verdict came about, for the reader."""
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
    return f"{words}."


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
