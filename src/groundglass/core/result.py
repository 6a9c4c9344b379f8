"""What came out: verdict, evidence and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from groundglass.core.analysis import Analysis
from groundglass.core.geometry import Reorientation
from groundglass.core.notes import Note

#: Stated in every output.
RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis."
#: Stated wherever the opacity burden is shown.
MEASURED_BY_HU = (
    "A measurement by HU inside the lung mask, independent of the classifier. It counts whatever "
    "lies in the ranges: pneumonia, atelectasis, tumour, or an error of the mask."
)


#: Heat below this share of the study's hottest pixel is not drawn, and a slice all of whose heat
#: lies below it is no key slice. A quarter: below it Grad-CAM covers most of the lung and says
#: nothing.
HEAT_DRAWN_FROM = 0.25

#: Label of a verdict with findings as in pneumonia whose kind the evidence does not tell.
KIND_NOT_TOLD = "kind-not-told"


class Outcome(StrEnum):
    """How a study ended: with a verdict, or why without one.

    A `TriageResult` has one of the first six. The others are ends without a result; so is
    NOT_CHEST_CT where no series of the study was one.
    """

    VERDICT = "verdict"
    NO_LUNG = "no-lung"
    NOT_CHEST_CT = "not-a-chest-ct"
    TOO_FEW_SLICES = "too-few-slices"
    PART_OF_LUNGS = "part-of-lungs"
    #: Judged, and not fit to be answered by a machine: the reason says what a reader must look at.
    FOR_A_READER = "for-a-reader"
    #: Images of the chest CT are missing that an archive lists: a part is not judged as the whole.
    INCOMPLETE = "incomplete"
    #: No regular volume can be made of its images.
    UNREADABLE = "unreadable"
    #: Its report could not be written.
    NOT_WRITTEN = "not-written"
    #: Its analysis came to no end: memory, time, a defect.
    BROKE_DOWN = "broke-down"
    #: Its analysis broke down each time it was tried.
    GIVEN_UP = "given-up"


#: The ends that a `TriageResult` can have.
RESULT_OUTCOMES = tuple(Outcome)[:6]


@dataclass(frozen=True, slots=True)
class StudyEnd:
    """How a study ended."""

    outcome: Outcome
    """For machines."""
    reason: str
    """In words: how the verdict came about, or why there is none."""
    label: str = ""
    """The verdict; empty without."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Per class; empty without a verdict."""
    slices: int = 0
    """Of the volume that was judged; 0 where there is no result."""
    seconds: float = 0.0
    """From its files to its report."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """The same by stage, in s; empty where there is no result."""
    notes: tuple[str, ...] = ()
    """What a reader must know beside the reason."""
    by_share: ShareOfSlices | None = None
    """What decided a verdict by the share of ill slices; None by vote, and without a verdict."""


class CheckName(StrEnum):
    """What is measured of the images themselves, before a network's answer is believed."""

    CONTRAST_PHASE = "contrast-phase"
    MOTION = "motion"
    METAL = "metal"
    NOISE = "noise"
    SLICE_SPACING = "slice-spacing"
    FIELD_OF_VIEW = "field-of-view"
    CUT_LUNGS = "cut-lungs"
    SCANNED_LUNGS = "scanned-lungs"
    SMALLER_LUNG = "smaller-lung"


@dataclass(frozen=True, slots=True)
class InputCheck:
    """One quantity of the images, and what the networks know of it."""

    name: CheckName
    """For machines."""
    meaning: str
    """For people: what is measured, with its unit."""
    value: float | None
    """What was found; None where it cannot be measured on these images, which refuses nothing."""
    least: float | None
    most: float | None
    """`least`, `most`: the range that is answered, ends included; None where it is open."""
    refuses_findings: bool
    """Whether out of range no verdict is given; else only lungs without findings are not called
    so."""

    @property
    def ok(self) -> bool:
        """Whether it lies in its range, or could not be measured."""
        if self.value is None:
            return True
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    @property
    def text(self) -> str:
        """What was found and what was expected, in words."""
        found = "not measured" if self.value is None else f"{self.value:.3g} found"
        return f"{self.name}: {self.meaning}, {found}, {self._expected} expected"

    @property
    def _expected(self) -> str:
        if self.least is None:
            return f"at most {self.most:g}"
        return (
            f"at least {self.least:g}" if self.most is None else f"{self.least:g} to {self.most:g}"
        )


class SliceStatus(StrEnum):
    """What happened to a slice on its way to the networks (paper section 2.2)."""

    KEPT = "kept"
    NO_LUNG = "no-lung"
    ELIMINATED_HEADWARD = "eliminated-headward"
    ELIMINATED_FEETWARD = "eliminated-feetward"


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """One slice of the volume and what became of it."""

    index: int
    """Slice index in the volume as read."""
    position_mm: float
    """LPS z of the slice centre in mm (towards the head)."""
    lung_area_mm2: float
    """Area of the lung mask in mm²."""
    relative_area: float
    """That area over the largest of the study, 0 to 1."""
    fate: SliceStatus
    """Whether it went on."""
    reason: str
    """Why, in words."""
    groups: tuple[int, ...] = ()
    """Indices of the groups it is part of; empty when eliminated."""
    score: float | None = None
    """How likely it shows findings as in pneumonia, by itself, 0 to 1: one less the probability of
    healthy. None when it was not classified, or the bundle's network judges groups only."""
    contribution: float | None = None
    """The slice's part, roughly, in how far the score of the explained class lies above that of
    black slices; negative when it speaks against the class, None when it was not classified. The
    score is the class's logit less that of healthy (of healthy: less the others' mean). With
    HeatMethod.GRAD_CAM it is the logit, and the part is taken to first order."""


@dataclass(frozen=True, slots=True)
class SliceGroup:
    """The slices the sequence model sees at once (paper section 2.2.3)."""

    index: int
    """Number of the group, from the feet."""
    slice_indices: tuple[int, ...]
    """Volume slice indices it was made from, feet to head."""
    size: int
    """Length of the sequence fed to the network."""
    padding: int
    """How many black images were appended."""
    interpolated: bool
    """Whether its slices were resampled along z to `size`."""


@dataclass(frozen=True, slots=True)
class GroupPrediction:
    """The classifier's answer for one group."""

    group: SliceGroup
    """What was seen."""
    probabilities: Mapping[str, float]
    """Softmax probability per class label; sums to 1."""
    label: str
    """The most probable class."""
    of_slices: tuple[Mapping[str, float], ...] = ()
    """The same per slice of the group, feet to head; empty where the network judges the group as
    one."""

    @classmethod
    def of(
        cls, group: SliceGroup, labels: Sequence[str], probabilities: Sequence[float]
    ) -> GroupPrediction:
        """The prediction the networks' probabilities make, given in the labels' order."""
        named = {label: float(value) for label, value in zip(labels, probabilities, strict=True)}
        return cls(group, named, max(labels, key=lambda label: named[label]))

    @classmethod
    def of_each_slice(
        cls, group: SliceGroup, labels: Sequence[str], probabilities: NDArray[np.float64]
    ) -> GroupPrediction:
        """The mean of what a network said of each slice, shape (slices, classes)."""
        each = tuple(dict(zip(labels, row, strict=True)) for row in probabilities.tolist())
        mean = cls.of(group, labels, probabilities.mean(axis=0).tolist())
        return replace(mean, of_slices=each)

    def scores(self, healthy: str) -> tuple[float, ...]:
        """How likely each slice shows findings, by itself, 0 to 1: one less that of healthy."""
        return tuple(1 - one[healthy] for one in self.of_slices)


@dataclass(frozen=True, slots=True)
class RuleFiring:
    """The 0.9 rule changed a healthy majority (paper section 2.4)."""

    group_index: int
    """The group that spoke against healthy."""
    label: str
    """Its class."""
    probability: float
    """Its probability, above `threshold`."""
    threshold: float
    """The rule's threshold."""


def is_ill(score: float, slice_threshold: float) -> bool:
    """Whether a slice counts as one with findings."""
    return score >= slice_threshold


@dataclass(frozen=True, slots=True)
class ShareOfSlices:
    """What a verdict by the share of slices with findings was decided by; free of their order."""

    ill: int
    """Slices whose score reached `slice_threshold`."""
    judged: int
    """Slices that were judged."""
    slice_threshold: float
    """Score from which a slice counts as ill, 0 to 1."""
    study_threshold: float
    """Share of ill slices from which findings are called, 0 to 1."""
    kinds: Mapping[str, float]
    """How the findings divide among the kinds of pneumonia, mean over the ill slices (over all
    where none is); sums to 1."""
    kind_threshold: float | None
    """From which of these on the kind is told; None: never."""

    @property
    def share(self) -> float:
        """Share of the judged slices that are ill, 0 to 1."""
        return self.ill / self.judged

    @property
    def likelier_kind(self) -> str:
        """The kind that has the most of the findings."""
        return max(self.kinds, key=lambda kind: self.kinds[kind])


@dataclass(frozen=True, slots=True)
class Verdict:
    """The patient-level answer: findings as in pneumonia or none seen, and of which kind."""

    label: str
    """A class, or `KIND_NOT_TOLD`: findings whose kind the evidence does not tell."""
    probabilities: Mapping[str, float]
    """Per class. By vote: mean of the groups'. By share of slices: that of findings, from the
    bundle's calibration, divided as `ShareOfSlices.kinds`."""
    votes: Mapping[str, int]
    """Groups per class."""
    majority: str
    """The class the vote gave before the 0.9 rule; by share of slices, as `forced`."""
    tie: bool
    """Whether the vote was tied and decided by the mean probability."""
    rule_firings: tuple[RuleFiring, ...] = ()
    """Every group that made the 0.9 rule speak, strongest first."""
    by_share: ShareOfSlices | None = None
    """What decided where the bundle's rule is the share of ill slices; None by vote."""

    @property
    def forced(self) -> str:
        """The class where one must be named: the likelier kind where none is told."""
        if self.label == KIND_NOT_TOLD and self.by_share is not None:
            return self.by_share.likelier_kind
        return self.label


class HeatMethod(StrEnum):
    """How a heat map was made.

    GRAD_CAM is the paper's: the encoder's last layer (section 4). ALL_LAYERS sums the exact
    evidence of all four layers at each one's own resolution, and is sharper. REFINED_BY_HU is that
    sum times how likely the HU there are those of an opacity thicker than a vessel: no longer the
    network's evidence alone.
    """

    GRAD_CAM = "grad-cam"
    ALL_LAYERS = "all-layers"
    REFINED_BY_HU = "refined-by-hu"


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Attribution of one slice to a class: where it spoke for it."""

    slice_index: int
    """Slice of the volume as read."""
    label: str
    """The class spoken for."""
    heat: NDArray[np.float32]
    """Shape (rows, columns). On the volume's own pixel grid, 0 to 1, where 1 is the hottest pixel
    of the key slices."""
    share_in_lung: float
    """Part of the heat inside the lung mask, 0 to 1; what is outside is a reason for doubt."""
    method: HeatMethod = HeatMethod.GRAD_CAM
    """How it was made."""


@dataclass(frozen=True, slots=True, eq=False)
class CoarseHeat:
    """Attribution of every classified slice to a class, at the networks' own low resolution."""

    label: str
    """The class spoken for."""
    slice_indices: tuple[int, ...]
    """Slices of the volume as read, as the maps are ordered."""
    heat: NDArray[np.float32]
    """Shape (len(slice_indices), cells, cells). Each map covers its slice from edge to edge, rows
    and columns as in the volume; on the scale of the key slices' maps, cut at 1. With
    HeatMethod.ALL_LAYERS it is the last layer's part of the evidence, with
    HeatMethod.REFINED_BY_HU that part refined; all 0 where there is no key slice."""


@dataclass(frozen=True, slots=True)
class HeatConsistency:
    """How little the heat changes when the image is turned or shifted (paper, Discussion)."""

    similarity: Mapping[str, float]
    """Per perturbation the cosine similarity of the map, moved back, with the unperturbed one; 0 to
    1, mean over the slices."""
    slice_indices: tuple[int, ...]
    """The slices it was measured on."""

    @property
    def mean(self) -> float:
        """Mean over the perturbations."""
        return sum(self.similarity.values()) / len(self.similarity)


class LungSide(StrEnum):
    """The patient's side."""

    RIGHT = "right"
    LEFT = "left"


class LungThird(StrEnum):
    """A third of a lung's height, from the apex."""

    UPPER = "upper"
    MIDDLE = "middle"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class RegionBurden:
    """How much of a part of the lungs lies in the HU ranges of opacities."""

    lung_ml: float
    """Volume of the lung mask in ml."""
    ground_glass_ml: float
    consolidation_ml: float
    """Volume in the range of ground glass and of consolidation, vessels set aside, in ml."""
    vessel_ml: float
    """Volume in these ranges set aside because it is as thin as vessels and walls are, in ml."""

    @property
    def ground_glass_share(self) -> float:
        """Share of the lung in the range of ground glass, 0 to 1; 0 without lung."""
        return self.ground_glass_ml / self.lung_ml if self.lung_ml else 0.0

    @property
    def consolidation_share(self) -> float:
        """Share of the lung in the range of consolidation, 0 to 1; 0 without lung."""
        return self.consolidation_ml / self.lung_ml if self.lung_ml else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class OpacityCells:
    """What the lungs were counted as, cell by cell of their axial slices."""

    kind: NDArray[np.uint8]
    """Shape (slices, rows, columns). `groundglass.explain.opacity` names the values; 0 outside the
    lungs. Slices feet to head, rows front to back, columns right to left (`Volume.to_axial`)."""
    origin: tuple[int, int]
    """Row and column of the axial volume at which the first cell begins."""
    factor: tuple[int, int]
    """Rows and columns of a cell; the last one may pass the volume's edge."""


@dataclass(frozen=True, slots=True)
class OpacityBurden:
    """A measurement by HU within the lung mask; the classifier has no part in it."""

    ground_glass_hu: tuple[float, float]
    consolidation_hu: tuple[float, float]
    """The ranges, from the first value up to, not including, the second."""
    regions: Mapping[tuple[LungSide, LungThird], RegionBurden]
    """All six, in the enumerations' order; they add up to the lung mask."""
    cells: OpacityCells | None = field(default=None, compare=False, repr=False)
    """Where it was counted, for drawing; not compared."""

    @property
    def total(self) -> RegionBurden:
        """Both lungs."""
        return self.of()

    def of(self, side: LungSide | None = None, third: LungThird | None = None) -> RegionBurden:
        """The sum over a side, a third of both lungs, or, with neither given, everything."""
        parts = [
            region
            for (one_side, one_third), region in self.regions.items()
            if side in {None, one_side} and third in {None, one_third}
        ]
        return RegionBurden(
            lung_ml=sum(part.lung_ml for part in parts),
            ground_glass_ml=sum(part.ground_glass_ml for part in parts),
            consolidation_ml=sum(part.consolidation_ml for part in parts),
            vessel_ml=sum(part.vessel_ml for part in parts),
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How much of a part of the lungs lies in slices that were not judged."""

    lung_ml: float
    opacity_ml: float
    """`lung_ml`, `opacity_ml`: lung, and what was measured in it as ground glass or consolidation,
    in slices that were not judged, in ml."""
    of_lung_ml: float
    of_opacity_ml: float
    """`of_lung_ml`, `of_opacity_ml`: the same in all slices, in ml."""

    @property
    def lung_share(self) -> float:
        """Share of the lung that was not judged, 0 to 1; 0 without lung."""
        return self.lung_ml / self.of_lung_ml if self.of_lung_ml else 0.0

    @property
    def opacity_share(self) -> float:
        """Share of the opacity that was not judged, 0 to 1; 0 without opacity."""
        return self.opacity_ml / self.of_opacity_ml if self.of_opacity_ml else 0.0


@dataclass(frozen=True, slots=True)
class NotJudged:
    """What of the lungs, and of the opacity measured in them, the classifier was not shown."""

    thirds: Mapping[LungThird, LeftOut]
    """By third of each lung's height, both lungs together, in the enumeration's order."""

    @property
    def total(self) -> LeftOut:
        """Both lungs, whole."""
        parts = self.thirds.values()
        return LeftOut(
            lung_ml=sum(part.lung_ml for part in parts),
            opacity_ml=sum(part.opacity_ml for part in parts),
            of_lung_ml=sum(part.of_lung_ml for part in parts),
            of_opacity_ml=sum(part.of_opacity_ml for part in parts),
        )


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
