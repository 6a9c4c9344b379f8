"""DICOM series → Volume: slices ordered, checked, decoded in parallel and rescaled to HU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.core.cores import usable_cores
from groundglass.core.study import Series
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, ReadError
from groundglass.read.dicom import uids
from groundglass.read.dicom.frames import Frame, frames_in
from groundglass.read.dicom.patients import refuse_mixed_patients
from groundglass.read.dicom.pixels.frame_reader import FrameReader
from groundglass.read.dicom.pixels.padding import outside_the_field
from groundglass.read.dicom.stacks.grid import AssemblySettings, lay_out
from groundglass.read.dicom.stacks.passes import passes_of
from groundglass.read.format import Progress
from groundglass.read.hounsfield import is_exact, refuse_other_units, store_hu
from groundglass.read.limits import LIMITS

_DECODERS = min(8, len(usable_cores()))
#: Rescale Type values that mean Hounsfield units (PS3.3 C.11.1.1.2: HU, HU_MOD for modified
#: energy), and the ways scanners spell it out, some wrongly.
_HU_TYPES = frozenset(("", "HU", "HU_MOD"))
#: Unspecified. Some toolkits write it into every CT; believed only if the voxels bear it out.
_UNSPECIFIED = "US"
_HU_SPELLED = ("HOUNSFIELD", "HOUNDSFIELD")


def decode_series(series: Series, settings: AssemblySettings, progress: Progress | None) -> Volume:
    """Slices ordered, checked, decoded in parallel and rescaled to HU."""
    refuse_mixed_patients(series.instances)
    frames = frames_in(series.instances)
    for frame in frames:
        problem = problem_with_units(frame)
        if problem is not None:
            raise AssemblyError(
                f"{problem} in {frame.name}",
                expected="a CT image with a linear rescale to Hounsfield units (PS3.3 C.11.1)",
                action="Give the scanner's own CT images.",
            )
    grid = lay_out(frames, settings)
    passes = len(passes_of(grid.frames))
    if passes > 1:
        raise AssemblyError(
            f"{passes} passes over the body in one stack",
            expected="slices of one acquisition",
            action="Give one; select_chest_ct tells them apart.",
        )
    shape = grid.geometry.shape
    exact = all(is_exact(*frame.rescale) for frame in grid.frames)
    dtype = np.dtype(np.int16 if exact else np.float32)
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > LIMITS.volume_bytes:
        raise AssemblyError(
            f"a volume of {shape} voxels",
            expected=f"at most {LIMITS.volume_bytes >> 20} MiB",
            action="Give one series, or a thicker reconstruction.",
        )
    hu: NDArray[Any] = np.empty(shape, dtype)
    notes = _decode_all(grid.frames, hu, progress)
    if any(frame.header.rescale_type.upper() == _UNSPECIFIED for frame in frames):
        refuse_other_units(hu)
        notes.add("Rescale Type is US (unspecified); air and tissue are where HU has them.")
    if virtual := frames[0].virtual:
        notes.add(f"These are {virtual}, whose HU are not those of an ordinary scan.")
    notes |= uids.notes_on(series.instances)
    return Volume(hu, grid.geometry, series, tuple(sorted(notes)))


def problem_with_units(frame: Frame) -> str | None:
    """Why a frame's values cannot be brought to HU; None when they can."""
    header = frame.header
    if header.has_modality_lut:
        return "a Modality LUT instead of a rescale"
    if header.rescale_slope is None or header.rescale_intercept is None:
        return "no RescaleSlope or RescaleIntercept"
    slope, intercept = frame.rescale
    if not 0 < abs(slope) <= 1000 or abs(intercept) > 1e6:
        return f"a rescale by {slope:g} and {intercept:g}, which no CT has"
    kind = header.rescale_type.upper()
    if kind not in (*_HU_TYPES, _UNSPECIFIED) and not kind.startswith(_HU_SPELLED):
        return f"values of type {kind[:16]}, not HU"
    photometric = header.photometric_interpretation
    if photometric != "MONOCHROME2":
        return f"photometric interpretation {photometric or 'unstated'}, not MONOCHROME2"
    return None


def _decode_all(frames: tuple[Frame, ...], hu: NDArray[Any], progress: Progress | None) -> set[str]:
    """Fill the volume, one slice per task; the first failing slice in volume order is named."""
    notes: set[str] = set()
    failures: dict[int, ReadError] = {}
    with FrameReader() as reader, ThreadPoolExecutor(_DECODERS) as pool:
        tasks = {
            pool.submit(_decode_one, frame, hu[index], reader): index
            for index, frame in enumerate(frames)
        }
        for done, task in enumerate(as_completed(tasks), 1):
            error = task.exception()
            if isinstance(error, ReadError):
                failures[tasks[task]] = error
            else:
                notes |= task.result()
            if progress is not None:
                progress(done, len(frames))
    if failures:
        index = min(failures)
        raise AssemblyError(
            f"{len(failures)} of {len(frames)} slices that cannot be decoded; the first, "
            f"{frames[index].name}, holds {failures[index].found}",
            expected=failures[index].expected,
            action=failures[index].action,
        ) from failures[index]
    return notes


def _decode_one(frame: Frame, target: NDArray[Any], reader: FrameReader) -> set[str]:
    stored = reader.read(frame.instance, frame.number)
    slope, intercept = frame.rescale
    outside, note = outside_the_field(frame, stored)
    return store_hu(stored, slope, intercept, target, outside) | note
