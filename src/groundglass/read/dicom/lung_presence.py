"""Whether there is lung in slices that nothing describes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundglass.read.dicom.frames import Frame, slice_normal
from groundglass.read.dicom.pixels.frame_reader import FrameReader
from groundglass.read.dicom.pixels.padding import outside_the_field
from groundglass.read.hounsfield import store_hu

#: Slices looked at; over 300 mm that is one every 20 mm.
_SAMPLES = 16
#: Side of the pixels looked at, in mm: lungs are large, and small is fast.
_COARSE_MM = 3.0
#: Aerated tissue is below this; what is connected to the image's edge is the air around the body.
_AIR_HU = -400.0
#: Mean HU of lung. Gas in bowel, stomach, sinuses and trachea is emptier than any lung.
_LUNG_MEAN_HU = (-950.0, -450.0)
#: Lung in one slice, at least, in mm². Mid-chest has 20 000 and more in adults.
_LEAST_AREA_MM2 = 2000.0


def lung_height_mm(frames: Sequence[Frame]) -> float:
    """Height in mm of the part of a stack that shows lung, judged on a few of its slices."""
    normal = slice_normal(frames[0].orientation or ())
    along = np.array([frame.position_mm for frame in frames], dtype=np.float64) @ normal
    order = np.argsort(along, kind="stable")
    picked = order[np.unique(np.linspace(0, len(order) - 1, _SAMPLES).round().astype(int))]
    with FrameReader() as reader:
        shown = [_lung_area_mm2(frames[int(i)], reader) >= _LEAST_AREA_MM2 for i in picked]
    step = float(along[order[-1]] - along[order[0]]) / max(len(picked) - 1, 1)
    return step * sum(shown)


def _lung_area_mm2(frame: Frame, reader: FrameReader) -> float:
    from scipy import ndimage  # noqa: PLC0415  (slow to import; few studies come this way)

    stored = reader.read(frame.instance, frame.number)
    rows_mm, columns_mm = frame.header.pixel_spacing_mm
    skip = max(1, round(_COARSE_MM / rows_mm)), max(1, round(_COARSE_MM / columns_mm))
    coarse = stored[:: skip[0], :: skip[1]]
    hu = np.empty(coarse.shape, np.float32)
    outside, _ = outside_the_field(frame, stored)
    store_hu(
        coarse, *frame.rescale, hu, None if outside is None else outside[:: skip[0], :: skip[1]]
    )
    labels, count = ndimage.label(hu < _AIR_HU)
    if count == 0:
        return 0.0
    numbers = np.arange(1, count + 1)
    means = ndimage.mean(hu, labels, numbers)
    sizes = ndimage.sum_labels(np.ones_like(hu), labels, numbers)
    edge = np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    lung = (means > _LUNG_MEAN_HU[0]) & (means < _LUNG_MEAN_HU[1]) & ~np.isin(numbers, edge)
    pixel_mm2 = rows_mm * skip[0] * columns_mm * skip[1]
    return float(sizes[lung].max(initial=0.0)) * pixel_mm2
