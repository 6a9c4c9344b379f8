"""The lungs as a DICOM Segmentation (PS3.3 A.51), on the CT's own pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from groundglass.read.dicom.result_series_descriptions import MODEL
from groundglass.report.dicom import codes
from groundglass.report.dicom.multiframe import FrameContent, put_frames
from groundglass.report.dicom.result_builder import DicomObject, ResultBuilder
from groundglass.report.dicom.result_uids import ResultKind
from groundglass.report.dicom.source_images import SourceImages

_KIND = ResultKind.SEGMENTATION
#: The segment that is both lungs.
LUNGS_SEGMENT = 1
_DERIVATION = Code("113076", "DCM", "Segmentation")
_BY_SEGMENT = (0x0062000B, 0x0062000A, "Referenced Segment Number")
_TEAL = CIELabColor(75.0, -35.0, -5.0)


def lung_segmentation(
    mask: NDArray[np.bool_], source: SourceImages, builder: ResultBuilder
) -> DicomObject:
    """The lung mask as one binary segment.

    Uncompressed, one bit a pixel: the syntax every receiver of segmentations reads. Slices without
    lung are left out.

    Parameters
    ----------
    mask : ndarray of bool, shape of the volume
        Lungs, some of it True.
    """
    rows: list[int] = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    algorithm = AlgorithmIdentificationSequence(
        name=f"{MODEL} lung segmenter",
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=builder.version,
    )
    lungs = SegmentDescription(
        segment_number=LUNGS_SEGMENT,
        segment_label="Lungs",
        segmented_property_category=codes.ANATOMY,
        segmented_property_type=codes.LUNG,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=builder.identity.uid("lungs"),
        tracking_id="Lungs",
        display_color=_TEAL,
    )
    lungs.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
        codes.concept(codes.BOTH_SIDES)
    ]
    dataset = builder.create(_KIND)
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentLabel, dataset.ContentDescription = "LUNGS", "Lungs, research use only"
    dataset.SegmentationType, dataset.SegmentsOverlap = "BINARY", "NO"
    dataset.SegmentSequence = [lungs]
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    segment, shared = Dataset(), Dataset()
    segment.ReferencedSegmentNumber = LUNGS_SEGMENT
    shared.SegmentIdentificationSequence = [segment]
    # Frames from the head down, as highdicom orders them.
    downwards = rows[::-1]
    frames = FrameContent(
        indices=downwards,
        derivation=_DERIVATION,
        dimensions=((_BY_SEGMENT, LUNGS_SEGMENT),),
        pixels=_bits(mask, downwards),
        compressed=False,
    )
    rest = put_frames(dataset, shared, builder, source, frames)
    return builder.finalize(dataset, _KIND, rest)


def _bits(mask: NDArray[np.bool_], indices: Sequence[int]) -> list[bytes]:
    """One bit a pixel, without a gap between frames (PS3.5 8.1.1): the first is the lowest."""
    # Eight frames at once end with a whole byte, whatever their size.
    parts = (mask[list(indices[k : k + 8])] for k in range(0, len(indices), 8))
    return [np.packbits(part, bitorder="little").tobytes() for part in parts]
