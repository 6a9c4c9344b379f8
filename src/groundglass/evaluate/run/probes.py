"""Source-shift probes: what a model answers when the lungs, or their surroundings, are taken away.

A model that still tells the classes apart without seeing a lung has learnt something else: the
hospital, the scanner, the way the images were cut. (Such shortcuts are the rule in this field:
DeGrave, Janizek and Lee, Nat Mach Intell 2021;3:610; Maguolo and Nanni, Inf Fusion 2021;76:1.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import Outcome, StudyEnd, Verdict
from groundglass.core.volume import Volume
from groundglass.errors import SettingsError
from groundglass.prepare import (
    Grouping,
    Letterbox,
    PreparedStudy,
    Recipe,
    classifier_image,
    prepare,
)

Image = NDArray[np.uint8]
Lung = NDArray[np.bool_]
#: Answers for a prepared study: a bundle's classifier and vote, or a made one.
StudyJudge = Callable[[PreparedStudy], Verdict]
#: Class probabilities, shape (slices, classes), of images of shape (slices, size, size): an encoder
#: with a classifying layer, or a made one.
SlicePredictor = Callable[[Image], NDArray[np.float64]]


class Probe(StrEnum):
    """One way of altering what the model sees.

    The first four alter the images after preparing: the slices taken and their groups stay those of
    the study as it is. The others alter the volume and its mask, and preparing follows.
    """

    #: What the model sees in service, with every pixel of the lung mask black. Left is what the
    #: recipe shows around the lungs: a rim of `mask_margin_px`, or the whole slice.
    LUNGS_BLACK = "lungs-black"
    #: The whole slice, with every pixel of the lung mask black: body, table, air, letters; also
    #: what the recipe hides from the model in service.
    BACKGROUND_ONLY = "background-only"
    #: What the model sees in service, with everything seen painted in one grey: the outline alone.
    SILHOUETTE = "silhouette"
    #: The pixels of the lung mask, without any rim; everything else black.
    LUNGS_ONLY = "lungs-only"
    #: Head and feet exchanged, in volume and mask.
    Z_FLIPPED = "z-flipped"
    #: All HU moved down, or up, by `window_shift_hu`: as a window moved the other way.
    HU_LOWER = "hu-lower"
    HU_HIGHER = "hu-higher"
    #: Each two neighbouring slices averaged: twice as thick, half as many.
    TWICE_AS_THICK = "twice-as-thick"


#: Probes with the lungs removed: an honest model knows nothing there.
WITHOUT_LUNGS = (Probe.LUNGS_BLACK, Probe.BACKGROUND_ONLY)


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How far the probes go."""

    window_shift_hu: float = 50.0
    """HU by which the window is moved. Our choice: 50, some times what scanners and kernels differ
    by in lung, little beside the window's width of 1500."""
    silhouette_hu: float = -600.0
    """HU of the one grey. Our choice: -600, the middle of the usual lung window."""

    def __post_init__(self) -> None:
        if not self.window_shift_hu > 0:
            raise SettingsError(
                f"window_shift_hu = {self.window_shift_hu}",
                expected="above 0",
                action="Change ProbeSettings.window_shift_hu.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class ProbedStudy:
    """An axial volume with its lungs, ready to be probed."""

    axial: Volume
    """`Volume.to_axial`."""
    lungs: Lung
    """Shape (slices, size, size). Lung mask on the recipe's square, of the volume as it is."""
    recipe: Recipe
    """How the model wants it prepared."""
    grouping: Grouping
    """How it wants the slices grouped."""

    def prepare(self, volume: Volume, lungs: Lung) -> PreparedStudy:
        """What the model sees of a volume and its lungs."""
        return prepare(volume, lungs, self.recipe, self.grouping)


def probe_study(
    study: ProbedStudy, judge: StudyJudge, settings: ProbeSettings
) -> Iterator[tuple[Probe, Verdict | StudyEnd]]:
    """The verdict on a study with some lung under each probe, or why there is none."""
    as_is = study.prepare(study.axial, study.lungs)
    for probe in Probe:
        if probe in _OF_IMAGES:
            yield probe, judge(_redrawn(as_is, study, probe, settings))
            continue
        hu, lungs, thicker = _altered(study, probe, settings)
        if len(hu) < study.recipe.min_slices:
            reason = f"{len(hu)} slices are left, {study.recipe.min_slices} are needed"
            yield probe, StudyEnd(Outcome.TOO_FEW_SLICES, reason)
            continue
        spacing = study.axial.geometry.spacing_mm
        geometry = replace(
            study.axial.geometry,
            shape=(len(hu), *study.axial.geometry.shape[1:]),
            spacing_mm=(spacing[0] * thicker, *spacing[1:]),
        )
        yield probe, judge(study.prepare(Volume(hu, geometry), lungs))


def probe_slices(
    images: Image, lungs: Lung, predict: SlicePredictor, margin_px: int | None
) -> dict[str, NDArray[np.float64]]:
    """Class probabilities of single slices as in service, and under each probe of images.

    Parameters
    ----------
    images : ndarray of uint8, shape (slices, size, size)
        Whole slices, windowed and equalised, before anything is blacked out.
    lungs : ndarray of bool, same shape
        Their lung masks.
    predict : SlicePredictor
        What answers; is given the images as it shall see them and must not mask them again.
    margin_px : int or None
        Pixels around the mask that the model sees in service; None where it sees whole slices.

    Returns
    -------
    dict of str to ndarray of float64, shape (slices, classes)
        By "as-in-service" and by the probes LUNGS_BLACK, BACKGROUND_ONLY, SILHOUETTE, LUNGS_ONLY.
    """
    seen = np.ones_like(lungs) if margin_px is None else dilate(lungs, margin_px)
    views = {
        "as-in-service": images * seen,
        Probe.LUNGS_BLACK.value: images * (seen & ~lungs),
        Probe.BACKGROUND_ONLY.value: images * ~lungs,
        Probe.SILHOUETTE.value: seen * np.uint8(128),
        Probe.LUNGS_ONLY.value: images * lungs,
    }
    return {name: predict(np.ascontiguousarray(view)) for name, view in views.items()}


def dilate(lungs: Lung, margin_px: int) -> Lung:
    """Masks of shape (slices, size, size) with a rim, as preparing lets the classifier see it."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin_px + 1, 2 * margin_px + 1))
    return np.stack([cv2.dilate(lung.astype(np.uint8), kernel) > 0 for lung in lungs])


#: Probes of images; the others alter the volume.
_OF_IMAGES = (Probe.LUNGS_BLACK, Probe.BACKGROUND_ONLY, Probe.SILHOUETTE, Probe.LUNGS_ONLY)


def _redrawn(
    as_is: PreparedStudy, study: ProbedStudy, probe: Probe, settings: ProbeSettings
) -> PreparedStudy:
    """The study with the images of the slices that stayed drawn as a probe of images wants it."""
    frame = Letterbox.of(study.axial.geometry, study.recipe.image_size)
    images = {}
    for index in as_is.images:
        lung = np.asarray(study.lungs[index], dtype=np.bool_)
        hu = study.axial.hu[index]
        if probe is Probe.SILHOUETTE:
            hu = np.full_like(hu, settings.silhouette_hu)
        seen = np.ones_like(lung) if probe is Probe.BACKGROUND_ONLY else lung
        image = classifier_image(hu, seen, frame, study.recipe)
        if probe in WITHOUT_LUNGS:
            image = image * ~lung
        elif probe is Probe.LUNGS_ONLY:
            image = image * lung
        images[index] = image
    return replace(as_is, images=images)


def _altered(
    study: ProbedStudy, probe: Probe, settings: ProbeSettings
) -> tuple[NDArray[np.int16] | NDArray[np.float32], Lung, int]:
    """HU and lungs under a probe, and how many times as far apart the slices are."""
    hu, lungs = study.axial.hu, study.lungs
    if probe is Probe.Z_FLIPPED:
        return hu[::-1], lungs[::-1], 1
    if probe is Probe.TWICE_AS_THICK:
        pairs = len(hu) // 2
        thick = hu[: 2 * pairs].reshape(pairs, 2, *hu.shape[1:]).mean(axis=1, dtype=np.float32)
        both = lungs[0 : 2 * pairs : 2] | lungs[1 : 2 * pairs : 2]
        return thick, both, 2
    sign = -1 if probe is Probe.HU_LOWER else 1
    shifted = hu.astype(np.float32) + np.float32(sign * settings.window_shift_hu)
    return shifted, lungs, 1
