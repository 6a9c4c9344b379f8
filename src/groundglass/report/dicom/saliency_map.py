"""The heat maps as a DICOM Parametric Map (PS3.3 A.75), on the CT's own pixels."""

from __future__ import annotations

import cv2
import imagecodecs
import numpy as np
from highdicom.pm import RealWorldValueMapping
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import JPEGLSLossless

from groundglass.core.result import TriageResult
from groundglass.core.verdict_words import class_name, in_a_sentence
from groundglass.prepare.threads import for_each
from groundglass.report.dicom import codes
from groundglass.report.dicom.multiframe import FrameContent, put_frames
from groundglass.report.dicom.result_builder import DicomObject, ResultBuilder
from groundglass.report.dicom.result_uids import ResultKind
from groundglass.report.dicom.source_images import SourceImages

_KIND = ResultKind.SALIENCY
#: The stored value of the study's hottest pixel: heat in thousandths. Finer than anyone sees, and
#: half the bytes and time of 65536 steps.
HOTTEST = 1000
_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
_DERIVATION = Code("112187", "DCM", "Unspecified method of calculation")


def saliency_map(result: TriageResult, source: SourceImages, builder: ResultBuilder) -> DicomObject:
    """The heat of every slice that has it, 0 to 1, in JPEG-LS without loss; needs a key slice.

    Key slices have their own fine maps; the other classified slices, where the result holds them,
    the networks' coarse ones, enlarged. Slices that were not classified have no frame.

    Parameters
    ----------
    source : SourceImages
        The CT images the heat maps lie on.
    """
    heat = result.finest_heat
    indices = sorted(heat)
    found = result.verdict.by_share if result.verdict else None
    label = in_a_sentence(class_name(result.heatmaps[0].label, found))
    size = result.mask.shape[1:]
    dataset = builder.create(_KIND)
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.ImageType = _TYPE
    dataset.ContentLabel = "SALIENCY"
    words = f"Argues for {label}, research use only"
    dataset.ContentDescription = builder.encodable(words)[:64]
    dataset.ContentQualification, dataset.PixelPresentation = "RESEARCH", "MONOCHROME"
    dataset.BurnedInAnnotation = dataset.RecognizableVisualFeatures = "NO"
    dataset.AcquisitionContextSequence = []
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    # JPEG-LS without loss (PS3.5 A.4.3), which highdicom would need another codec for. Smooth maps
    # take a third of the time of JPEG 2000 and a third more room; dcmtk reads it.
    coded: dict[int, bytes] = {}

    def encode(index: int) -> None:
        coded[index] = _coded(heat[index], size)

    for_each(encode, indices)
    # Frames along the slice normal: some readers of maps go by the order alone.
    streams = [coded[index] for index in indices]
    frames = FrameContent(indices, _DERIVATION, (), streams, compressed=True)
    rest = put_frames(dataset, _shared(), builder, source, frames)
    return builder.finalize(dataset, _KIND, rest)


def _coded(heat: NDArray[np.float32], size: tuple[int, ...]) -> bytes:
    """A map as a JPEG-LS stream of stored values, enlarged where it is coarse."""
    stored = np.rint(np.clip(heat, 0.0, 1.0) * HOTTEST).astype(np.uint16)
    if stored.shape != size:
        # Thousandths between thousandths: as whole numbers it is a third of the time.
        large = cv2.resize(stored, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        stored = np.asarray(large, dtype=np.uint16)
    return bytes(imagecodecs.jpegls_encode(stored))


def _shared() -> Dataset:
    """Functional groups of all frames: what they are, and how stored values are read."""
    shared, kind, window, values = Dataset(), Dataset(), Dataset(), Dataset()
    kind.FrameType = _TYPE
    window.WindowCenter, window.WindowWidth = f"{(HOTTEST + 1) / 2}", f"{HOTTEST + 1}"
    values.RescaleIntercept, values.RescaleSlope, values.RescaleType = "0", "1", "US"
    shared.ParametricMapFrameTypeSequence = [kind]
    shared.FrameVOILUTSequence = [window]
    shared.PixelValueTransformationSequence = [values]
    shared.RealWorldValueMappingSequence = [_mapping()]
    shared.FrameAnatomySequence = [_anatomy()]
    return shared


def _mapping() -> RealWorldValueMapping:
    """Stored values as heat (PS3.3 C.7.6.16.2.11)."""
    return RealWorldValueMapping(
        lut_label="SALIENCY",
        lut_explanation="Heat, 1 is the hottest pixel of the study",
        unit=codes.NO_UNIT,
        value_range=(0, HOTTEST),
        slope=1 / HOTTEST,
        intercept=0,
        quantity_definition=codes.SALIENCY,
    )


def _anatomy() -> Dataset:
    """Both lungs (PS3.3 C.7.6.16.2.8)."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "B"
    anatomy.AnatomicRegionSequence = [codes.concept(codes.LUNG)]
    return anatomy
