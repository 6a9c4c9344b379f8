"""Everything an analysis found, and what made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from groundglass.core.analysis import Analysis
from groundglass.core.geometry import Reorientation
from groundglass.core.notes import Note
from groundglass.core.result.ends import Outcome
from groundglass.core.result.heat import CoarseHeat, HeatConsistency, Heatmap
from groundglass.core.result.images import InputCheck
from groundglass.core.result.opacity import NotJudged, OpacityBurden
from groundglass.core.result.slices import SliceRecord
from groundglass.core.result.verdict import GroupPrediction, Verdict


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made the result, so that it can be made again."""

    groundglass_version: str
    """Version of the program."""
    bundle: str
    """Name and version of the weights."""
    bundle_sha256: Mapping[str, str]
    """SHA-256 of each file of the bundle."""
    bundle_statement: str
    """What the weights were trained on and what that means for the verdict; shown in every
    output."""
    recipe: Mapping[str, object]
    """Every setting of preparing."""
    precision: str
    """Number format the engine computed in."""
    versions: Mapping[str, str]
    """Versions of the libraries that computed it."""


@dataclass(frozen=True, slots=True, eq=False)
class TriageResult:
    """Everything an analysis found."""

    outcome: Outcome
    """How it ended."""
    reason: str
    """In words, for the reader: why there is no verdict, or how the verdict came about."""
    labels: tuple[str, ...]
    """The bundle's classes, in the networks' order."""
    verdict: Verdict | None
    """Only with Outcome.VERDICT."""
    groups: tuple[GroupPrediction, ...]
    """Feet to head."""
    slices: tuple[SliceRecord, ...]
    """One per slice of the volume, by index."""
    mask: NDArray[np.bool_]
    """Shape of the volume. Lungs, on the volume's own grid."""
    heatmaps: tuple[Heatmap, ...]
    """The slices that argue for the explained class, the strongest argument first."""
    timings_ms: Mapping[str, float]
    """Wall time per stage in ms."""
    provenance: Provenance
    """What made it."""
    coarse_heat: CoarseHeat | None = None
    """Every classified slice's map at low resolution; only with a verdict."""
    consistency: HeatConsistency | None = None
    """How steady the heat is; None without heat, or where it was not asked for."""
    opacity_burden: OpacityBurden | None = None
    """Only with a verdict."""
    not_judged: NotJudged | None = None
    """What was measured and not judged; None where nothing was classified. By thirds of the lungs,
    so the same on every grid."""
    notes: tuple[Note, ...] = ()
    """What of the lungs was not seen, or not as finely as the networks expect."""
    checks: tuple[InputCheck, ...] = ()
    """What was measured of the images, each against its range; empty where no lungs were found."""
    analysis: Analysis = field(default_factory=Analysis.now)
    """When it was found, as which revision of the study, and whether all of that was there."""

    def reoriented(self, reorientation: Reorientation) -> TriageResult:
        """The same findings on the grid that a reorientation leads to.

        Where anything was found on slices, they must stay slices (`keeps_slices`), as those of a
        chest CT do. The opacity burden's cells stay axial.
        """
        if reorientation.is_identity:
            return self
        slices = len(self.mask)

        def at(index: int) -> int:
            return reorientation.apply_index(index, slices)

        def image(heat: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.ascontiguousarray(reorientation.apply_image(heat))

        groups = (
            replace(g.group, slice_indices=tuple(map(at, g.group.slice_indices)))
            for g in self.groups
        )
        records = (replace(record, index=at(record.index)) for record in self.slices)
        coarse, consistency = self.coarse_heat, self.consistency
        return replace(
            self,
            groups=tuple(
                replace(g, group=group) for g, group in zip(self.groups, groups, strict=True)
            ),
            slices=tuple(sorted(records, key=lambda record: record.index)),
            mask=np.ascontiguousarray(reorientation.apply(self.mask)),
            heatmaps=tuple(
                replace(one, slice_index=at(one.slice_index), heat=image(one.heat))
                for one in self.heatmaps
            ),
            coarse_heat=coarse
            and replace(
                coarse,
                slice_indices=tuple(map(at, coarse.slice_indices)),
                heat=np.stack([image(one) for one in coarse.heat]),
            ),
            consistency=consistency
            and replace(consistency, slice_indices=tuple(map(at, consistency.slice_indices))),
        )

    @property
    def all_notes(self) -> tuple[Note, ...]:
        """Those on the analysis itself, then those on the lungs."""
        return (*self.analysis.notes, *self.notes)

    @property
    def notes_beside_reason(self) -> tuple[Note, ...]:
        """The notes that `reason` does not already say."""
        return tuple(note for note in self.all_notes if note.text not in self.reason)

    @property
    def finest_heat(self) -> dict[int, NDArray[np.float32]]:
        """The finest map there is of each slice, by index: its own, else the coarse one."""
        coarse = self.coarse_heat
        found = {} if coarse is None else dict(zip(coarse.slice_indices, coarse.heat, strict=True))
        return found | {heatmap.slice_index: heatmap.heat for heatmap in self.heatmaps}

    @property
    def explained_label(self) -> str | None:
        """The class that contributions and heat speak for; None without a verdict."""
        if self.coarse_heat is not None:
            return self.coarse_heat.label
        return self.verdict.label if self.verdict else None

    @property
    def heat_outside_lung(self) -> float | None:
        """Share of all key slices' heat outside the lung mask, 0 to 1; None without heat."""
        heat = [float(heatmap.heat.sum()) for heatmap in self.heatmaps]
        if not sum(heat) > 0:
            return None
        inside = sum(
            one * heatmap.share_in_lung for one, heatmap in zip(heat, self.heatmaps, strict=True)
        )
        return max(0.0, 1.0 - inside / sum(heat))
