"""Series → Volume: slices ordered, checked, decoded in parallel and rescaled to HU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.cores import usable_cores
from groundglass.core.study import Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.dicom.frames import Frame, frames_of
from groundglass.dicom.grid import AssemblySettings, lay_out
from groundglass.dicom.hounsfield import LOWEST_HU, is_exact, refuse_other_units, store_hu
from groundglass.dicom.imagestack import read_stack
from groundglass.dicom.limits import LIMITS
from groundglass.dicom.metaimage import read_metaimage
from groundglass.dicom.nifti import read_nifti
from groundglass.dicom.pixels import FrameReader, layout_of
from groundglass.errors import AssemblyError, ReadError

Progress = Callable[[int, int], None]

_DECODERS = min(8, len(usable_cores()))
#: Rescale Type values that mean Hounsfield units (PS3.3 C.11.1.1.2: HU, HU_MOD for modified
#: energy), and the ways scanners spell it out, some wrongly.
_HU_TYPES = frozenset(("", "HU", "HU_MOD"))
#: Unspecified. Some toolkits write it into every CT; believed only if the voxels bear it out.
_UNSPECIFIED = "US"
_HU_SPELLED = ("HOUNSFIELD", "HOUNDSFIELD")
#: Padding is believed up to this HU; a padding value that means tissue is a writer's mistake, and
#: believing it would punch holes into the patient.
_HIGHEST_PADDING_HU = -900.0


def read_volume(
    series: Series,
    *,
    settings: AssemblySettings = AssemblySettings(),  # noqa: B008  (frozen)
    progress: Progress | None = None,
) -> Volume:
    """Decode a series into one volume of Hounsfield units.

    The result does not depend on the order of files or threads. int16 where rescaling keeps whole
    numbers whole, else float32.

    Parameters
    ----------
    series : Series
        From `select_chest_ct`, or any series that is one stack.
    settings : AssemblySettings
        How far from a regular grid the slices may be.
    progress : callable, optional
        Called with (slices done, slices in all).

    Returns
    -------
    Volume
        Slices along the slice normal, LPS mm; `notes` say what was filled or clipped.

    Raises
    ------
    AssemblyError
        The slices make no regular grid, are not HU, or one cannot be decoded.
    """
    if series.kind is SourceKind.NIFTI:
        return read_nifti(series)
    if series.kind is SourceKind.METAIMAGE:
        return read_metaimage(series)
    if series.kind is SourceKind.IMAGE_STACK:
        return read_stack(series)
    frames = [frame for instance in series.instances for frame in frames_of(instance)]
    for frame in frames:
        problem = problem_with_units(frame)
        if problem is not None:
            raise AssemblyError(
                f"{problem} in {frame.name}",
                expected="a CT image with a linear rescale to Hounsfield units (PS3.3 C.11.1)",
                action="Give the scanner's own CT images.",
            )
    grid = lay_out(frames, settings)
    shape = grid.geometry.shape
    exact = all(is_exact(*_rescale(frame)) for frame in grid.frames)
    dtype = np.dtype(np.int16 if exact else np.float32)
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > LIMITS.volume_bytes:
        raise AssemblyError(
            f"a volume of {shape} voxels",
            expected=f"at most {LIMITS.volume_bytes >> 20} MiB",
            action="Give one series, or a thicker reconstruction.",
        )
    hu: NDArray[Any] = np.empty(shape, dtype)
    notes = _decode_all(grid.frames, hu, progress)
    if any(frame.text("RescaleType").upper() == _UNSPECIFIED for frame in frames):
        refuse_other_units(hu)
        notes.add("Rescale Type is US (unspecified); air and tissue are where HU has them.")
    return Volume(hu, grid.geometry, series, tuple(sorted(notes)))


def problem_with_units(frame: Frame) -> str | None:
    """Why a frame's values cannot be brought to HU; None when they can."""
    values = frame.values
    if "ModalityLUTSequence" in values:
        return "a Modality LUT instead of a rescale"
    if "RescaleSlope" not in values or "RescaleIntercept" not in values:
        return "no RescaleSlope or RescaleIntercept"
    slope, intercept = _rescale(frame)
    if not 0 < abs(slope) <= 1000 or abs(intercept) > 1e6:
        return f"a rescale by {slope:g} and {intercept:g}, which no CT has"
    kind = frame.text("RescaleType").upper()
    if kind not in (*_HU_TYPES, _UNSPECIFIED) and not kind.startswith(_HU_SPELLED):
        return f"values of type {kind[:16]}, not HU"
    photometric = frame.text("PhotometricInterpretation")
    if photometric != "MONOCHROME2":
        return f"photometric interpretation {photometric or 'unstated'}, not MONOCHROME2"
    return None


def _rescale(frame: Frame) -> tuple[float, float]:
    return (
        cast(float, frame.values["RescaleSlope"]),
        cast(float, frame.values["RescaleIntercept"]),
    )


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
    slope, intercept = _rescale(frame)
    padding, note = _padding(frame, stored, slope, intercept)
    return store_hu(stored, slope, intercept, target, padding) | note


def _padding(
    frame: Frame, stored: NDArray[np.integer], slope: float, intercept: float
) -> tuple[NDArray[np.bool_] | None, set[str]]:
    """Pixels outside the field of view (PS3.3 C.7.5.1.1.2), and a note if they are not believed."""
    first = frame.values.get("PixelPaddingValue")
    if not isinstance(first, int):
        return None, set()
    last = frame.values.get("PixelPaddingRangeLimit", first)
    low, high = sorted(_as_stored(cast(int, v), frame) for v in (first, last))
    top_hu = slope * (high if slope > 0 else low) + intercept
    if top_hu > _HIGHEST_PADDING_HU:
        return None, {"A PixelPaddingValue that lies within the range of tissue was not believed."}
    if top_hu <= LOWEST_HU:
        return None, set()  # clipping to the lowest HU does it
    return (stored >= low) & (stored <= high), set()


def _as_stored(value: int, frame: Frame) -> int:
    """A 16-bit header value as the pixels' own representation reads it."""
    layout = layout_of(frame.instance)
    if layout.signed and value >= 1 << 15:
        return value - (1 << 16)
    return value
