"""Reads studies slice by slice, in a process of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Reorientation
from groundglass.core.quiet import quietly
from groundglass.core.study import Instance
from groundglass.errors import GroundglassError, ReadError
from groundglass.read.dicom.frames import Frame
from groundglass.read.dicom.identification import read_identification
from groundglass.read.dicom.pixels.frame_reader import FrameReader
from groundglass.read.dicom.pixels.padding import outside_the_field
from groundglass.read.hounsfield import store_hu
from groundglass.report import DICOM_FOLDER
from groundglass.report.overlay import encode_heat, encode_jpeg, lung_outlines, window_grey
from groundglass.web.slices.places import Place, places_of
from groundglass.web.slices.result_frames import HeatFrames, LungFrames, StoredFrames
from groundglass.web.slices.tasks import (
    Evidence,
    Identify,
    Identity,
    Open,
    Preview,
    SliceEvidence,
    SlicePixels,
    StudySource,
    Task,
    Unshown,
)

#: Studies whose headers and tables are kept; no pixels are.
_KEPT_STUDIES = 8
_PREVIEW_QUALITY = 90

_Answer = bytes | Identity | SlicePixels | SliceEvidence | Unshown
_Frames = TypeVar("_Frames", bound=StoredFrames)


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """What is kept of a study: where each of its slices lies, and not one pixel."""

    places: tuple[Place, ...]
    """In the order of the volume that was judged."""
    reorientation: Reorientation
    """To the axial grid."""
    lungs: LungFrames | None
    heat: HeatFrames | None
    """`lungs`, `heat`: the report's, where it has them."""

    def index(self, number: int) -> int:
        """Slice of the volume that has this number.

        Raises
        ------
        ReadError
            There is none.
        """
        slices = len(self.places)
        if not 1 <= number <= slices:
            raise ReadError(
                f"no slice {number}", expected=f"1 to {slices}", action="Ask for one of these."
            )
        return self.reorientation.inverse.apply_index(slices - number, slices)


class SliceReader:
    """Answers one task after the other; the studies asked for last stay open."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, OpenStudy] = OrderedDict()

    def __str__(self) -> str:
        return "slices"

    def __call__(self, task: Task) -> _Answer:
        """What was asked for, or why it cannot be had."""
        try:
            with quietly():
                return self._answer(task)
        except GroundglassError as error:
            return Unshown(f"{error.found}; expected {error.expected}")
        except OSError as error:  # retention took its files away
            return Unshown(error.strerror or type(error).__name__)

    def _answer(self, task: Task) -> _Answer:
        if isinstance(task, Identify):
            return identify(task.file)
        study = self._study(task.source)
        if isinstance(task, Open):
            return b""
        index = study.index(task.number)
        if isinstance(task, Evidence):
            return _evidence(study, index)
        image = study.reorientation.apply_image(_hu(study.places[index].frame()))
        if isinstance(task, Preview):
            return encode_jpeg(window_grey(image), _PREVIEW_QUALITY)
        rows, columns = image.shape
        return SlicePixels(rows, columns, np.ascontiguousarray(image, dtype="<i2").tobytes())

    def _study(self, source: StudySource) -> OpenStudy:
        found = self._open.pop(source.report, None) or open_study(source)
        self._open[source.report] = found
        while len(self._open) > _KEPT_STUDIES:
            self._open.popitem(last=False)
        return found


def open_study(source: StudySource) -> OpenStudy:
    """Find out which image is which slice, and where the report's frames lie.

    Raises
    ------
    ReadError
        The images are not those that were judged, or their slices are not axial.
    """
    found = places_of(source)
    _, reorientation = found.geometry.to_axial()
    if not reorientation.keeps_slices:
        raise ReadError(
            "slices that are not axial", expected="axial ones", action="Open the report's page."
        )
    folder = source.report / DICOM_FOLDER
    lungs = _opened(LungFrames, folder / "segmentation.dcm", found.geometry)
    heat = _opened(HeatFrames, folder / "saliency.dcm", found.geometry)
    return OpenStudy(found.slices, reorientation, lungs, heat)


def _opened(
    kind: Callable[[Path, Geometry], _Frames], path: Path, geometry: Geometry
) -> _Frames | None:
    return kind(path, geometry) if path.exists() else None


def _hu(frame: Frame) -> NDArray[np.int16]:
    """One slice in HU, decoded as for the analysis; rounded where HU are no whole numbers."""
    with FrameReader() as reader:
        stored = reader.read(frame.instance, frame.number)
    slope, intercept = frame.rescale
    outside, _ = outside_the_field(frame, stored)
    hu = np.empty(stored.shape, np.float32)
    store_hu(stored, slope, intercept, hu, outside)
    return np.rint(hu).astype(np.int16)


def _evidence(study: OpenStudy, index: int) -> SliceEvidence:
    turned = study.reorientation.apply_image
    mask = study.lungs.frame(index) if study.lungs else None
    heat = study.heat.frame(index) if study.heat else None
    lines: tuple[tuple[float, ...], ...] = ()
    if mask is not None:
        outlines = lung_outlines(np.ascontiguousarray(turned(mask)))
        lines = tuple(tuple(np.round(line + 0.5, 1).ravel().tolist()) for line in outlines)
    layer = b"" if heat is None else encode_heat(np.ascontiguousarray(turned(heat)))
    return SliceEvidence(lines, layer)


def identify(file: Path) -> Identity:
    """Whose study a file is of."""
    header = read_identification(Instance(file))

    def said(keyword: str) -> str:
        return " ".join(str(header.get(keyword) or "").replace("^", " ").split())[:128]

    return Identity(
        patient_name=said("PatientName"),
        patient_id=said("PatientID"),
        birth_date=said("PatientBirthDate"),
        study_date=said("StudyDate"),
        accession_number=said("AccessionNumber"),
        study_description=said("StudyDescription"),
    )
