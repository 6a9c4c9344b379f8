"""The heat maps as a DICOM Parametric Map (PS3.3 A.75), on the CT's own pixels."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import highdicom
import imagecodecs
import numpy as np
from highdicom.pm import (
    DerivedPixelContrastValues,
    ImageFlavorValues,
    ParametricMap,
    RealWorldValueMapping,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from groundglass.core.result import TriageResult
from groundglass.report import codes
from groundglass.report.envelope import DicomObject, Envelope
from groundglass.report.identity import ResultKind
from groundglass.report.source_images import SourceImages
from groundglass.report.words import class_name

_KIND = ResultKind.SALIENCY
_ENCODERS = min(8, os.cpu_count() or 1)
#: The stored value of the study's hottest pixel: heat in thousandths. Finer than anyone sees, and
#: half the bytes and time of 65536 steps.
HOTTEST = 1000


def saliency_map(result: TriageResult, source: SourceImages, envelope: Envelope) -> DicomObject:
    """The heat of every slice that has it, 0 to 1, in JPEG 2000 without loss.

    Key slices have their own fine maps; the other classified slices, where the result holds them,
    the networks' coarse ones, enlarged. Slices that were not classified have no frame.

    Parameters
    ----------
    result : TriageResult
        With at least one heat map.
    source : SourceImages
        The CT images the heat maps lie on.
    envelope : Envelope
        The study.
    """
    heat = _heat(result)
    indices = sorted(heat)
    label = class_name(result.heatmaps[0].label)
    dataset = ParametricMap(
        source_images=source.stand_ins(envelope.identity, indices),
        pixel_array=np.stack([heat[index] for index in indices]),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping()],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(
                window_center=(HOTTEST + 1) / 2, window_width=HOTTEST + 1
            )
        ],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="SALIENCY",
        content_description=envelope.letters(f"Argues for {label}, research use only")[:64],
        image_flavor=ImageFlavorValues.VOLUME,
        derived_pixel_contrast=DerivedPixelContrastValues.NONE,
        **envelope.series(_KIND),
    )
    _order(dataset, source)
    source.refer_to_images(dataset)
    dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy()]
    _compress(dataset)
    return envelope.seal(dataset, _KIND, "saliency.dcm")


def _heat(result: TriageResult) -> dict[int, NDArray[np.uint16]]:
    """Stored values by slice."""
    _, rows, columns = result.mask.shape
    found: dict[int, NDArray[np.uint16]] = {}
    coarse = result.coarse_heat
    if coarse is not None:
        for index, cells in zip(coarse.slice_indices, coarse.heat, strict=True):
            large = cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_LINEAR)
            found[index] = _stored(np.asarray(large, dtype=np.float32))
    for heatmap in result.heatmaps:
        found[heatmap.slice_index] = _stored(heatmap.heat)
    return found


def _stored(heat: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.rint(np.clip(heat, 0.0, 1.0) * HOTTEST).astype(np.uint16)


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


def _order(dataset: ParametricMap, source: SourceImages) -> None:
    """Frames along the slice normal; highdicom begins at the other end.

    A frame's place is in its Plane Position, but some readers of maps go by the order alone.
    """
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    normal = np.asarray(source.geometry.directions[0])
    positions = [group.PlanePositionSequence[0].ImagePositionPatient for group in groups]
    order = np.argsort(np.asarray(positions, dtype=np.float64) @ normal, kind="stable")
    frames = _frames(dataset)[order]
    dataset.PixelData = frames.tobytes()
    ordered = [groups[int(k)] for k in order]
    for number, group in enumerate(ordered, 1):
        group.FrameContentSequence[0].DimensionIndexValues = number
    dataset.PerFrameFunctionalGroupsSequence = ordered


def _frames(dataset: ParametricMap) -> NDArray[np.uint16]:
    size = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
    return np.frombuffer(dataset.PixelData, "<u2").reshape(size)


def _anatomy() -> Dataset:
    """Both lungs (PS3.3 C.7.6.16.2.8)."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "B"
    anatomy.AnatomicRegionSequence = [codes.concept(codes.LUNG)]
    return anatomy


def _compress(dataset: ParametricMap) -> None:
    """JPEG 2000 without loss (PS3.5 A.4.4), which highdicom would need another codec for."""
    with ThreadPoolExecutor(_ENCODERS) as pool:
        coded = list(pool.map(_encode, _frames(dataset)))
    dataset.PixelData = encapsulate(coded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def _encode(frame: NDArray[np.uint16]) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            frame, level=0, reversible=True, codecformat="J2K", bitspersample=16
        )
    )
