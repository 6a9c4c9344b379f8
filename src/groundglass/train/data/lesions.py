"""Lesions of the phantom laid into real healthy slices.

A source that shows one class only teaches the source. Here every healthy slice of every source can
give every class: the phantom's findings of a made person are laid over the slice, so that a class
is told by what is in the lung and by nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.phantom import PhantomSettings
from groundglass.phantom.anatomy import Anatomy, draw_anatomy
from groundglass.phantom.disease import Findings, Plane, Site, draw_findings, fill_plane
from groundglass.phantom.raster import Grid
from groundglass.phantom.settings import stream
from groundglass.phantom.vessels import sample_lung
from groundglass.train.data.filling import fill_alveoli

#: HU of destroyed lung (emphysema), the phantom's everyday confuser.
_DESTROYED_HU = -965.0
#: Filling of the alveoli from which a reader sees a lesion, as in the phantom's truth.
_VISIBLE = 0.1
_PLACES = 1200
#: Levels of the lung (0 its base, 1 its apex) tried for one that shows the disease.
_LEVELS = (0.25, 0.7)
_TRIES = 24
#: Sigma in pixels of 256 a side of what a scanner, and whoever made the picture, blurs.
_SHARPNESS = (0.35, 0.9)


@dataclass(frozen=True, slots=True)
class LesionSettings:
    """What is laid into a slice."""

    label: str
    """"CP", "NCP" or "healthy"; healthy gets everyday confusers only (nodules, bands, bullae),
    which the other classes get as well."""
    severity: float
    """0 to 1, as in `PhantomSettings`."""
    seed: int
    """Decides person and disease."""
    thickness_mm: float = 5.0
    """Slice thickness assumed."""
    least_share: float = 0.01
    """Part of the slice's lung that must be visibly diseased, else another height is tried; a slice
    labelled ill without disease teaches nothing."""


def insert_lesions(
    hu: NDArray[np.float32], lung: NDArray[np.bool_], settings: LesionSettings
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A slice with a made person's findings in its lungs.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns)
        A healthy axial slice in HU, front of the body up.
    lung : ndarray of bool, same shape
        Its lungs.
    settings : LesionSettings
        What to lay.

    Returns
    -------
    hu : ndarray of float32, same shape
        The slice, ill.
    lesion : ndarray of bool, same shape
        Visible disease (confusers are not disease).
    """
    asked = PhantomSettings(label=settings.label, severity=settings.severity, seed=settings.seed)
    person = draw_anatomy(stream(asked.seed, "anatomy"))
    pools = sample_lung(person, _PLACES, stream(asked.seed, "places"))
    findings = draw_findings(Site(person, pools), asked)
    filled, diseased, destroyed = _planes(findings, person, lung, settings)
    share = cv2.GaussianBlur(lung.astype(np.float32), (3, 3), 0)
    rng = stream(asked.seed, "scanner")
    filled, destroyed = (
        _seen(one, rng.uniform(*_SHARPNESS)) * share for one in (filled, destroyed)
    )
    ill = hu + (np.float32(_DESTROYED_HU) - np.minimum(hu, -700)) * destroyed * (hu < -700)
    ill = fill_alveoli(np.asarray(ill, dtype=np.float32), lung, filled, rng)
    return ill, np.asarray(lung & (diseased > _VISIBLE))


def _seen(plane: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """What is drawn sharply as a scanner shows it."""
    sigma = blur * len(plane) / 256
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), dtype=np.float32)


def _planes(
    findings: Findings, person: Anatomy, lung: NDArray[np.bool_], settings: LesionSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Filling by anything, by disease, and destruction, at a height that shows enough disease."""
    rng = stream(settings.seed, "height")
    tried = []
    for _ in range(1 if settings.label == "healthy" else _TRIES):
        level = float(rng.uniform(*_LEVELS))
        grid = _grid(person, level, lung)
        plane = Plane(grid, level * person.lung_height_mm, settings.thickness_mm)
        planes = fill_plane(findings, person, plane)
        tried.append((float((planes[1][lung] > _VISIBLE).mean()), planes))
        if tried[-1][0] >= settings.least_share:
            break
    return max(tried, key=lambda one: one[0])[1]


def _grid(person: Anatomy, level: float, lung: NDArray[np.bool_]) -> Grid:
    """The slice's pixels in the made person's frame: lungs as wide and in the middle as theirs."""
    rows, columns = np.flatnonzero(lung.any(axis=1)), np.flatnonzero(lung.any(axis=0))
    half, front, back = person.cage(level)
    pixel = 2 * 0.97 * half / max(1, columns[-1] - columns[0] + 1)
    middle = ((columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2)
    first = (-middle[0] * pixel, (front + back) / 2 - middle[1] * pixel)
    return Grid(lung.shape[0], lung.shape[1], pixel, first)
