"""The lungs as a DICOM Segmentation (PS3.3 A.51), on the CT's own pixels."""

from __future__ import annotations

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
    rows = np.flatnonzero(mask.any(axis=(1, 2)))
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
        source_images=source.stand_ins(envelope.identity, rows.tolist()),
        pixel_array=mask[rows],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[lungs],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="LUNGS",
        content_description="Lungs, research use only",
        **envelope.series(_KIND),
    )
    source.refer_to_images(dataset)
    return envelope.seal(dataset, _KIND, "segmentation.dcm")
