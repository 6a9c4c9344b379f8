"""Whether images are such as the networks know: each quantity against its range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import CheckName, InputCheck
from groundglass.core.volume import Volume
from groundglass.prepare.coverage import Coverage
from groundglass.prepare.image_quality import LungBox, area_excess, blood_hu, metal_ml, noise_hu

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class InputRanges:
    """From where on images are left to a reader.

    What training had: whole real volumes (6 of MedSeg, 2 of NSCLC-Radiomics; beside them 3 of LUNA
    and 4 series of 2 patients of Lung-PET-CT-Dx) and phantoms. All limits are our choice, beyond
    what these show; none was tested on images that misled a network
    (docs/explanation/what-a-verdict-means.md).
    """

    blood_hu: tuple[float, float] = (0.0, 400.0)
    """Median HU of heart and great vessels. Without contrast medium 30 to 44 in 14 real volumes,
    with it 137 in one; phantoms, a quarter of them with contrast medium, 46 to 344; they can draw
    365. Below: no HU. Above: a denser phase than any seen in training."""
    most_turns: float = 0.3
    """Rise and fall of the lungs' area beyond one. Whole real volumes have 0.11 or less on the
    shipped masks (0.23 on those before); resampled as if a breath of 10 mm went through them every
    30 mm, 14 of 15 have 0.31 or more."""
    most_metal_ml: float = 1.0
    """Metal in the box about the lungs, in ml. Real volumes have 0.03 or less, phantoms none. A
    pacemaker has some 10, clips and wires of a sternum less than 1."""
    most_noise_hu: float = 150.0
    """Noise of soft tissue at the networks' pixel size, in HU. Real volumes have 4 to 42 (those in
    HU 6 to 33), phantoms up to 79, and they can draw some 140."""
    most_spacing_mm: float = 20.0
    """Between slices, in mm. Real volumes have 1.25 to 8, phantoms 0.75 to 5. A slice looks the
    same however far the next one is, and every second slice of real volumes (up to 16 mm) gave the
    same verdicts; farther apart, too little of the lungs is seen."""
    field_mm: tuple[float, float] = (250.0, 600.0)
    """Shorter side of the image, in mm. Real volumes have 331 to 500, phantoms 300 to 500."""
    most_cut: float = 0.1
    """Share of the slices with lung in which the field of view cuts it. Real volumes have none."""
    least_smaller_share: float = 0.35
    """Share of the lung that holds air on the side with less. Real volumes have 0.42 or more; a
    lobe resected leaves about 0.3."""


INPUT_RANGES = InputRanges()


def check_input(
    axial: Volume, square: Mask, lung: Mask, seen: Coverage, ranges: InputRanges = INPUT_RANGES
) -> tuple[InputCheck, ...]:
    """Measure an axial volume and its lungs against the ranges.

    Parameters
    ----------
    axial : Volume
        In axial order (`Volume.to_axial`).
    square : ndarray of bool, shape (slices, size, size)
        Lung mask on the networks' square, some of it True.
    lung : ndarray of bool, shape of the volume
        The same on its own pixels.
    seen : Coverage
        What of the lungs was seen, of the same.
    ranges : InputRanges, optional
        What is answered.
    """
    return (*_images(axial, square, lung, ranges), *_lungs(seen, ranges))


def _images(axial: Volume, square: Mask, lung: Mask, ranges: InputRanges) -> tuple[InputCheck, ...]:
    """What misleads a network whatever it says: out of range there is no verdict."""
    check, geometry = partial(InputCheck, refuses_findings=True), axial.geometry
    slice_mm, row_mm, column_mm = geometry.spacing_mm
    field_mm = min(geometry.shape[1] * row_mm, geometry.shape[2] * column_mm)
    excess = area_excess(np.count_nonzero(square, axis=(1, 2)))
    box = LungBox.of(lung)
    blood, noise, metal = blood_hu(axial, lung, box), noise_hu(axial, box), metal_ml(axial, box)
    name = CheckName
    return (
        check(name.CONTRAST_PHASE, "median HU of heart and vessels", blood, *ranges.blood_hu),
        check(
            name.MOTION, "rise and fall of lung area beyond one", excess, None, ranges.most_turns
        ),
        check(name.METAL, "ml of metal about the lungs", metal, None, ranges.most_metal_ml),
        check(name.NOISE, "HU of noise in soft tissue", noise, None, ranges.most_noise_hu),
        check(name.SLICE_SPACING, "mm between slices", slice_mm, None, ranges.most_spacing_mm),
        check(name.FIELD_OF_VIEW, "mm on the image's shorter side", field_mm, *ranges.field_mm),
    )


def _lungs(seen: Coverage, ranges: InputRanges) -> tuple[InputCheck, ...]:
    """What was not seen of the lungs: out of range what was seen is not called clear."""
    check, name, told = partial(InputCheck, refuses_findings=False), CheckName, seen.settings
    cut = seen.edge_slices / seen.lung_slices if seen.edge_ml >= told.edge_ml else 0.0
    ends, smaller = (
        max(seen.feet_share, seen.head_share),
        min(seen.right_share, 1 - seen.right_share),
    )
    return (
        check(
            name.CUT_LUNGS, "share of slices whose lung the field cuts", cut, None, ranges.most_cut
        ),
        check(
            name.SCANNED_LUNGS,
            "lung area of an end slice over the largest",
            ends,
            None,
            told.partial_share,
        ),
        check(
            name.SMALLER_LUNG,
            "share of the air held by the lung with less (surgery, collapse, consolidation)",
            smaller,
            ranges.least_smaller_share,
            None,
        ),
    )


def out_of_range(checks: Sequence[InputCheck]) -> str | None:
    """Say which checks leave the study to a reader, with what was found and expected, or None."""
    failed = "; ".join(check.text for check in checks if not check.ok)
    if not failed:
        return None
    return f"The images are not such as the networks know. {failed[0].upper()}{failed[1:]}."
