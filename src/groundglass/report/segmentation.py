"""The lungs as a DICOM Segmentation (PS3.3 A.51), on the CT's own pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from groundglass.dicom.own_words import MODEL
from groundglass.report import codes
from groundglass.report.envelope import DicomObject, Envelope
from groundglass.report.frames import FrameContent, put_frames
from groundglass.report.identity import ResultKind
from groundglass.report.source_images import SourceImages

_KIND = ResultKind.SEGMENTATION
#: The segment that is both lungs.
LUNGS_SEGMENT = 1
_TEAL = CIELabColor(75.0, -35.0, -5.0)


def lung_segmentation(
    mask: NDArray[np.bool_], source: SourceImages, envelope: Envelope
) -> DicomObject:
    """The lung mask as one binary segment.

    Uncompressed, one bit a pixel: the syntax every receiver of segmentations reads. Slices without
    lung are left out.

    Parameters
    ----------
    mask : ndarray of bool, shape of the volume
        Lungs, some of it True.
    source : SourceImages
        The CT images the mask lies on.
    envelope : Envelope
        The study.
    """
    rows: list[int] = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    algorithm = AlgorithmIdentificationSequence(
        name=f"{MODEL} lung segmenter",
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=envelope.version,
    )
    lungs = SegmentDescription(
        segment_number=LUNGS_SEGMENT,
        segment_label="Lungs",
        segmented_property_category=codes.ANATOMY,
        segmented_property_type=codes.LUNG,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=envelope.identity.uid("lungs"),
        tracking_id="Lungs",
        display_color=_TEAL,
    )
    lungs.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
        codes.concept(codes.BOTH_SIDES)
    ]
    dataset = Segmentation(
        source_images=[source.stand_in(envelope.identity, rows[-1])],
        pixel_array=np.ones((1, *mask.shape[1:]), dtype=np.bool_),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[lungs],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="LUNGS",
        content_description="Lungs, research use only",
        **envelope.series(_KIND),
    )
    # Frames from the head down, as highdicom orders them.
    downwards = rows[::-1]
    frames = FrameContent(downwards, (LUNGS_SEGMENT,), _bits(mask, downwards), compressed=False)
    rest = put_frames(dataset, source, frames)
    return envelope.seal(dataset, _KIND, "segmentation.dcm", rest)


def _bits(mask: NDArray[np.bool_], indices: Sequence[int]) -> list[bytes]:
    """One bit a pixel, without a gap between frames (PS3.5 8.1.1): the first is the lowest."""
    # Eight frames at once end with a whole byte, whatever their size.
    parts = (mask[list(indices[k : k + 8])] for k in range(0, len(indices), 8))
    return [np.packbits(part, bitorder="little").tobytes() for part in parts]
