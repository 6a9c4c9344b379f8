"""What became of each slice, and the groups that slices are judged in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
