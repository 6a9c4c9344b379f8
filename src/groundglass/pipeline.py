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
from groundglass.core.geometry import AxialTurn
from groundglass.core.result import (
    GroupPrediction,
    Heatmap,
    Outcome,
    Provenance,
    SliceGroup,
    SliceRecord,
    TriageResult,
    Verdict,
)
from groundglass.core.volume import Volume
from groundglass.explain import (
    GroupHeat,
    HeadWeights,
    KeySlices,
    choose_key_slices,
    contributions,
    group_heat,
    heatmaps,
)
from groundglass.infer import (
    Bundle,
    Classifier,
    Engine,
    OpenVinoEngine,
    Precision,
    Segmenter,
    load_bundle,
    vote,
)
from groundglass.infer.bundle import DEFAULT, HEAD, SEGMENTER
from groundglass.prepare import (
    PreparedStudy,
    Recipe,
    SquareFrame,
    clean_lung_mask,
    gather,
    lungs_on_volume,
    prepare,
    segmenter_images,
    slice_positions_mm,
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
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle = bundle
        self._segmenter = Segmenter(bundle.path(SEGMENTER), engine)
        self._classifier = Classifier(bundle, engine)
        self._head = HeadWeights.of(engine.constants(bundle.path(HEAD)))
        self._provenance = _provenance(bundle, engine)

    @classmethod
    def load(cls, bundle: str | Path = DEFAULT, precision: Precision = Precision.AUTO) -> Triage:
        """Load a bundle, its hashes checked, on this machine's CPU.

        Parameters
        ----------
        bundle : str or Path
            Name of a shipped bundle, or a bundle's folder.
        precision : Precision
            Number format of the networks.

        Raises
        ------
        BundleError
            If the bundle is missing or altered.
        """
        return cls(load_bundle(bundle), OpenVinoEngine(precision))

    def __call__(self, volume: Volume, progress: Progress = _silent) -> TriageResult:
        """Analyse one volume.

        Parameters
        ----------
        volume : Volume
            A chest CT of axial slices, its axes running either way.
        progress : callable, optional
            Told the name of each stage as it begins.

        Returns
        -------
        TriageResult
            Mask and maps on the volume's own grid. Without a verdict where the volume cannot be
            judged; the outcome and the reason say why.
        """
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
        if lungs.volume_ml < self.bundle.recipe.min_lung_ml:
            found = (
                f"Too little lung to judge: {lungs.volume_ml:.0f} ml found, at least "
                f"{self.bundle.recipe.min_lung_ml:.0f} ml expected. The scan shows another part of "
                "the body, or only part of the lungs."
            )
            return run.without_verdict(Outcome.NO_LUNG, found, lungs.volume)
        with run.clock.stage("prepare"):
            prepared = prepare(axial, lungs.square, self.bundle.recipe)
        with run.clock.stage("classify"):
            groups, heats = self._classify(prepared)
        verdict = vote(groups, self.bundle.healthy, self.bundle.recipe.vote_threshold)
        with run.clock.stage("explain"):
            slices, maps = self._explain(axial, lungs, prepared, heats, verdict)
        return run.with_verdict(verdict, groups, slices, lungs.volume, maps)

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
            heats.append(group_heat(evidence, self._classifier.black_features, self._head))
        return tuple(predictions), tuple(heats)

    def _explain(
        self,
        axial: Volume,
        lungs: LungsFound,
        prepared: PreparedStudy,
        heats: tuple[GroupHeat, ...],
        verdict: Verdict,
    ) -> tuple[tuple[SliceRecord, ...], tuple[Heatmap, ...]]:
        label = (self.bundle.labels.index(verdict.label), verdict.label)
        contribution = contributions(heats, label[0])
        slices = tuple(
            replace(record, contribution=contribution.get(record.index))
            for record in prepared.slices
        )
        positions = slice_positions_mm(axial.geometry)
        chosen = choose_key_slices(contribution, positions, KeySlices())
        frame = SquareFrame.of(axial.geometry, self.bundle.recipe.image_size)
        return slices, heatmaps(heats, label, chosen, frame, lungs.volume)


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
    frame = SquareFrame.of(axial.geometry, recipe.image_size)
    images = segmenter_images(axial, recipe)
    probability = segmenter(images)
    square = clean_lung_mask(probability, images, frame.pixel_mm, recipe)
    mask = lungs_on_volume(probability, square, frame)
    voxels = int(np.count_nonzero(mask))
    return LungsFound(square, mask, voxels * axial.geometry.voxel_ml)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One analysis: what every result of it has in common."""

    bundle: Bundle
    axial: Volume
    turn: AxialTurn
    provenance: Provenance
    clock: _Clock

    def without_verdict(
        self, outcome: Outcome, reason: str, mask: NDArray[np.bool_] | None = None
    ) -> TriageResult:
        """A result that says why there is no verdict, with what looked like lung, if anything."""
        if mask is None:
            mask = np.zeros(self.axial.hu.shape, dtype=np.bool_)
        return self._result(outcome, reason, _Findings(mask=mask))

    def with_verdict(
        self,
        verdict: Verdict,
        groups: tuple[GroupPrediction, ...],
        slices: tuple[SliceRecord, ...],
        mask: NDArray[np.bool_],
        maps: tuple[Heatmap, ...],
    ) -> TriageResult:
        """A result with its evidence."""
        found = _Findings(mask, verdict, groups, slices, maps)
        return self._result(Outcome.VERDICT, _how(verdict, len(groups)), found)

    def _result(self, outcome: Outcome, reason: str, found: _Findings) -> TriageResult:
        return TriageResult(
            outcome=outcome,
            reason=reason,
            labels=self.bundle.labels,
            verdict=found.verdict,
            groups=tuple(replace(g, group=self._group_back(g.group)) for g in found.groups),
            slices=tuple(sorted(map(self._record_back, found.slices), key=lambda r: r.index)),
            mask=np.ascontiguousarray(self.turn.undo(found.mask)),
            heatmaps=tuple(map(self._map_back, found.maps)),
            timings_ms=dict(self.clock.timings_ms),
            provenance=self.provenance,
        )

    def _group_back(self, group: SliceGroup) -> SliceGroup:
        return replace(group, slice_indices=tuple(map(self._index_back, group.slice_indices)))

    def _record_back(self, record: SliceRecord) -> SliceRecord:
        return replace(record, index=self._index_back(record.index))

    def _map_back(self, heatmap: Heatmap) -> Heatmap:
        return replace(
            heatmap,
            slice_index=self._index_back(heatmap.slice_index),
            heat=np.ascontiguousarray(self.turn.undo_slice(heatmap.heat)),
        )

    def _index_back(self, index: int) -> int:
        return self.turn.undo_slice_index(index, len(self.axial.hu))


@dataclass(frozen=True, slots=True, eq=False)
class _Findings:
    """What an analysis found, on the axial volume."""

    mask: NDArray[np.bool_]
    verdict: Verdict | None = None
    groups: tuple[GroupPrediction, ...] = ()
    slices: tuple[SliceRecord, ...] = ()
    maps: tuple[Heatmap, ...] = ()


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
            "openvino": engine.version,
            "scipy": version("scipy"),
        },
    )
