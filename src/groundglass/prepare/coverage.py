"""What of the lungs a volume shows: whether it ends within them, cuts them, or holds one only.

The networks judge what they are given. Lung that was not scanned, lies outside the field of view or
holds no air is not judged, and whoever reads the verdict must know.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.notes import Note, NoteKind
from groundglass.core.volume import Volume
from groundglass.prepare.letterbox import Letterbox

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CoverageSettings:
    """From where on something is told, and from where on lungs are not called healthy.

    Measured on 12 whole real volumes with all of both lungs in them, each cut at every height
    (docs/explanation/what-a-verdict-means.md).
    """

    told_share: float = 0.02
    """Lung area of the end slice, as a share of the largest slice's, from which the cut is told.
    Our choice: 0.02. The 11 volumes that end beyond the lungs have 0.005 or less; what is not told
    leaves 8 ml unseen at most."""
    partial_share: float = 0.15
    """The same from which a study is not called healthy. Our choice: 0.15. Up to it a cut leaves 57
    ml and 1 % of the lungs unseen at most, a scan that ends in the costophrenic recess; every cut
    that leaves 75 ml unseen lies beyond it."""
    edge_mm: float = 3.0
    """Lung nearer than this to the edge of the image, or of the reconstructed circle, lies at the
    edge. Our choice: 3; the thinnest chest wall is twice as thick, the lung mask may stop a pixel
    or two short."""
    edge_ml: float = 1.5
    """Lung at the edge from which the field of view is said to cut the lungs. Our choice: 1.5, a
    cut surface of 5 cm². Whole lungs have none."""
    one_sided_share: float = 0.15
    """Share of the lung that holds air on one side of the body under which that side is told. Our
    choice: 0.15; pairs of lungs have 0.42 or more, a lobe resected about 0.3."""
    air_below_hu: float = -300.0
    """Lung that holds air, in HU. As in `OpacitySettings`: consolidation begins at -300."""
    coarser: float = 1.05
    """Pixel size over the networks' from which pixels are called coarse. Our choice: 1.05, beyond
    rounding."""


COVERAGE = CoverageSettings()

#: A slice with less than this share of its pixels above this HU shows no body: filled with air
#: where the scan had ended. The smallest body fills a twentieth of the field of view.
_BODY_SHARE, _BODY_ABOVE_HU = 0.01, -500
#: What lies outside the reconstructed circle is air, or below, in every slice.
_OUTSIDE_UP_TO_HU = -1000
#: Every so many pixels, and so many slices, are enough to find body and circle.
_STRIDE, _SLICES = 4, 32
#: Columns with less body than this share of the fullest one's are arms' edges, table and covers.
_TRUNK_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of the lungs was seen.

    Parameters
    ----------
    feet_share, head_share : float
        Lung area of the lowest and of the topmost slice that shows the body, as a share of the
        largest slice's, 0 to 1.
    edge_ml, edge_slices : float, int
        Lung at the edge of the field of view, in ml, and the slices with any.
    right_share : float
        Share of the lung that holds air on the patient's right side, 0 to 1; 0.5 without any.
    pixel_mm, seen_pixel_mm : float
        The longer side of a pixel, and the side of one of the networks' square.
    """

    feet_share: float
    head_share: float
    edge_ml: float
    edge_slices: int
    lung_slices: int
    right_share: float
    pixel_mm: float
    seen_pixel_mm: float
    settings: CoverageSettings = COVERAGE

    @classmethod
    def of(
        cls, axial: Volume, square: Mask, lung: Mask, settings: CoverageSettings = COVERAGE
    ) -> Coverage:
        """Look at an axial volume and its lung mask.

        Parameters
        ----------
        axial : Volume
            In axial order (`Volume.to_axial`): slices feet to head, columns right to left.
        square : ndarray of bool, shape (slices, size, size)
            Lung mask on the networks' square (`clean_lung_mask`).
        lung : ndarray of bool, shape of the volume
            The same on its own pixels (`lungs_on_volume`).
        """
        feet, head = end_shares(axial, square)
        edge = _at_edge(axial, lung, settings)
        frame = Letterbox.of(axial.geometry, square.shape[1])
        return cls(
            feet_share=feet,
            head_share=head,
            edge_ml=float(edge.sum()) * axial.geometry.voxel_ml,
            edge_slices=int(np.count_nonzero(edge)),
            lung_slices=int(np.count_nonzero(lung.any(axis=(1, 2)))),
            right_share=right_share(axial, lung, settings),
            pixel_mm=max(axial.geometry.spacing_mm[1:]),
            seen_pixel_mm=frame.pixel_mm,
            settings=settings,
        )

    @property
    def partial(self) -> bool:
        """Whether so much lung lies beyond an end that the whole cannot be called healthy."""
        return max(self.feet_share, self.head_share) > self.settings.partial_share

    @property
    def cuts(self) -> tuple[Note, ...]:
        """Which end is cut, and by how much of the area."""
        ends = (
            (NoteKind.CUT_AT_FEET, self.feet_share, "feet", "lowest"),
            (NoteKind.CUT_AT_HEAD, self.head_share, "head", "topmost"),
        )
        return tuple(
            Note(
                kind,
                f"The scan ends within the lungs towards the {end}: the {which} slice still shows "
                f"{share:.0%} of the largest lung area.",
            )
            for kind, share, end, which in ends
            if share >= self.settings.told_share
        )

    @property
    def notes(self) -> tuple[Note, ...]:
        """All that is to be told; nothing where both lungs were seen whole and finely enough."""
        found = (self._field(), self._one_lung(), self._coarse())
        return (*self.cuts, *(note for note in found if note is not None))

    def _field(self) -> Note | None:
        if self.edge_ml < self.settings.edge_ml:
            return None
        return Note(
            NoteKind.CUT_BY_FIELD,
            f"The field of view cuts the lungs: in {self.edge_slices} of {self.lung_slices} slices "
            "with lung it reaches the edge of the image.",
        )

    def _one_lung(self) -> Note | None:
        side, share = min(
            ("right", self.right_share), ("left", 1 - self.right_share), key=itemgetter(1)
        )
        if share >= self.settings.one_sided_share:
            return None
        return Note(
            NoteKind.ONE_LUNG,
            f"Hardly any lung that holds air was found on the patient's {side} side ({share:.0%} "
            "of both sides'). A lung that is consolidated, collapsed, compressed or removed is "
            "not judged.",
        )

    def _coarse(self) -> Note | None:
        if self.pixel_mm <= self.settings.coarser * self.seen_pixel_mm:
            return None
        return Note(
            NoteKind.COARSE_PIXELS,
            f"Pixels of {self.pixel_mm:.1f} mm are coarser than the {self.seen_pixel_mm:.1f} mm at "
            "which the networks see the slices: detail they look for is not in these images.",
        )


def end_shares(axial: Volume, square: Mask) -> tuple[float, float]:
    """Lung area of the lowest and topmost slice that shows the body, over the largest; 0 to 1.

    Of an axial volume and its mask on the square. Slices filled with air where the scan had ended
    are passed over: else one of them would make a scan that is cut look whole.
    """
    area = np.count_nonzero(square, axis=(1, 2))
    largest = int(area.max())
    if largest == 0:
        return 0.0, 0.0
    slices = range(len(area))
    first = next((k for k in slices if area[k] or _shows_body(axial, k)), 0)
    last = next((k for k in reversed(slices) if area[k] or _shows_body(axial, k)), 0)
    return float(area[first]) / largest, float(area[last]) / largest


def _shows_body(axial: Volume, index: int) -> bool:
    image = axial.hu[index, ::_STRIDE, ::_STRIDE]
    return bool(image.min() < image.max() and np.mean(image > _BODY_ABOVE_HU) >= _BODY_SHARE)


def _at_edge(axial: Volume, lung: Mask, settings: CoverageSettings) -> NDArray[np.intp]:
    """Voxels of lung at the edge of the field of view, per slice."""
    edge = _edge(axial.hu[_some(lung)], axial.geometry, settings.edge_mm)
    return np.asarray(np.count_nonzero(lung[:, edge], axis=1))


def _edge(hu: NDArray[np.int16] | NDArray[np.float32], geometry: Geometry, reach_mm: float) -> Mask:
    """Pixels near the edge of the image or of the reconstructed circle."""
    rows, columns = geometry.shape[1:]
    outside = np.ones((rows + 2, columns + 2), np.uint8)
    outside[1:-1, 1:-1] = hu.max(axis=0, initial=-32768) <= _OUTSIDE_UP_TO_HU
    reach = [max(1, round(reach_mm / mm)) for mm in geometry.spacing_mm[1:]]
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach[1] + 1, 2 * reach[0] + 1))
    near = cv2.dilate(outside, kernel)
    return np.asarray((near - outside)[1:-1, 1:-1]).astype(np.bool_)


def _some(lung: Mask) -> NDArray[np.intp]:
    """A sample of the slices with lung."""
    seen = np.flatnonzero(lung.any(axis=(1, 2)))
    return seen[:: max(1, len(seen) // _SLICES)]


def right_share(axial: Volume, lung: Mask, settings: CoverageSettings = COVERAGE) -> float:
    """Share of the lung that holds air on the patient's right of the body's middle, 0 to 1.

    Of an axial volume (columns run right to left) and a mask on its own pixels; 0.5 without any.
    """
    some = _some(lung)
    hu = axial.hu[some, ::_STRIDE]
    aerated = np.count_nonzero(lung[some, ::_STRIDE] & (hu < settings.air_below_hu), axis=(0, 1))
    body = np.count_nonzero(hu > _BODY_ABOVE_HU, axis=(0, 1))
    if not aerated.any() or not body.any():
        return 0.5
    trunk = np.flatnonzero(body >= _TRUNK_SHARE * body.max())
    middle = (int(trunk[0]) + int(trunk[-1]) + 1) // 2
    return float(aerated[:middle].sum() / aerated.sum())
