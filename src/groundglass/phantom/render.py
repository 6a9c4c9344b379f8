"""From a patient to slices: the one place where everything comes together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.abdomen import paint_abdomen
from groundglass.phantom.mediastinum import mediastinum_mask, paint_mediastinum
from groundglass.phantom.parenchyma import TISSUE_HU, fluid_mask, hilar_mask, lung_space, parenchyma
from groundglass.phantom.patient import Patient
from groundglass.phantom.raster import Box, Byte, Canvas, Float, coverage, filled
from groundglass.phantom.scanner import expose, outside_circle, paint_room
from groundglass.phantom.wall import FAT_HU, paint_bones, paint_wall, spine_zone

_AIR_HU = -1000.0
_FLUID_HU = 9.0
#: Muscle and the wall of the organ beneath.
_DIAPHRAGM_HU, _DIAPHRAGM_MM = np.float32(45.0), 3.5
#: Beside the vertebrae lie rib heads, muscle and fat.
_PARASPINAL_HU = 5.0
#: Filling of the alveoli from which a reader sees a lesion.
_VISIBLE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Rendered slices with their truth."""

    hu: NDArray[np.int16]
    """Shape (slices, rows, columns). Hounsfield units."""
    lung: NDArray[np.bool_]
    """Both lungs with the vessels in them and whatever fills them; without trachea, main bronchi,
    lung roots and pleural fluid."""
    lesion: NDArray[np.bool_]
    """Visible disease inside `lung`; everyday confusers are not disease."""


def render_slices(patient: Patient, z_mm: Sequence[float]) -> Slices:
    """Slices at any heights of a patient, each independent of the others.

    Parameters
    ----------
    patient : Patient
        Whom.
    z_mm : sequence of float
        Heights in patient mm: 0 at the lowest point of the lungs, growing towards the head.

    Returns
    -------
    Slices
    """
    grid = patient.scan.grid
    shape = (len(z_mm), grid.rows, grid.columns)
    hu = np.empty(shape, np.int16)
    lung, lesion = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for k, z in enumerate(z_mm):
        hu[k], lung[k], lesion[k] = _render(patient, float(z))
    return Slices(hu, lung, lesion)


def _render(
    patient: Patient, z_mm: float
) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
    grid = patient.scan.grid
    image, body, space = _solid(patient, z_mm)
    air = coverage(grid, space)
    below = _below(patient, z_mm)
    if below is not None:
        air *= 1 - below
    diseased = np.zeros_like(image)
    box = _bounds(air)
    if box is not None:
        inside, diseased[box] = parenchyma(patient, grid.window(box), z_mm)
        image[box] += (inside - image[box]) * air[box]
    image = expose(image, patient.scan, z_mm, body)
    lung = air > 0.5
    outside = outside_circle(patient.scan)
    if outside is not None:
        lung &= ~outside
    return np.round(image).astype(np.int16), lung, lung & (diseased > _VISIBLE)


def _bounds(air: Float) -> Box | None:
    rows, columns = np.flatnonzero(air.any(axis=1)), np.flatnonzero(air.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _solid(patient: Patient, z_mm: float) -> tuple[Float, Float, Byte]:
    """Everything but the lungs: HU, body (1 inside), and the canvas mask of the lungs' space."""
    person, grid = patient.person, patient.scan.grid
    level = person.level(z_mm)
    canvas = Canvas(grid, _AIR_HU, np.float32)
    paint_room(canvas, person, patient.scan, z_mm)
    paint_wall(canvas, person, level)
    body = np.asarray(canvas.down() > -500, np.float32)
    inner = filled(grid, person.outline(person.cage(level), level))
    canvas.image[inner > 0] = FAT_HU
    hilar = hilar_mask(grid, patient, z_mm)
    middle = mediastinum_mask(canvas, person, level, hilar) & inner
    paint_mediastinum(canvas, person, level, middle)
    canvas.image[(filled(grid, spine_zone(person, level)) & inner) > 0] = _PARASPINAL_HU
    canvas.image[hilar > 0] = TISSUE_HU + 0.8 * person.contrast_hu
    paint_bones(canvas, person, level, z_mm)
    space = lung_space(grid, person, level, inner, middle)
    if max(patient.findings.effusion_mm) > 0:
        fluid = fluid_mask(grid, patient, level) & space
        canvas.image[fluid > 0] = _FLUID_HU
        space &= ~fluid
    image = canvas.down()
    below = _below(patient, z_mm)
    if below is not None:
        organs = Canvas(grid, FAT_HU, np.float32)
        paint_abdomen(organs, person, level, z_mm)
        room = inner & ~filled(grid, spine_zone(person, level))
        abdomen = organs.down()
        abdomen += (_DIAPHRAGM_HU - abdomen) * _rim(below, grid.pixel_mm)
        image += (abdomen - image) * below * coverage(grid, room)
    return image, body, space


def _rim(below: Float, pixel_mm: float) -> Float:
    """The diaphragm itself: the last millimetres under the dome, so that no gas touches lung."""
    size = 2 * max(1, round(_DIAPHRAGM_MM / pixel_mm)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(below - cv2.erode(below, kernel, borderValue=1.0), np.float32)


def _below(patient: Patient, z_mm: float) -> Float | None:
    """Share of each pixel's slab that lies under the diaphragm; None far above it."""
    person, grid = patient.person, patient.scan.grid
    level = person.level(z_mm)
    if level > max(person.dome_level) + 0.1:
        return None
    if level < -0.02:
        return np.ones((grid.rows, grid.columns), np.float32)
    dome = person.dome_mm(*grid.axes())
    slab = np.float32(max(patient.scan.thickness_mm, 1.5))
    return np.asarray(np.clip((dome - np.float32(z_mm)) / slab + np.float32(0.5), 0, 1), np.float32)
