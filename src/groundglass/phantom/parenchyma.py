"""The lungs of one slice: where they are, and what is in them."""

from __future__ import annotations

import numpy as np

from groundglass.phantom.anatomy import Anatomy
from groundglass.phantom.disease import Plane, fill_plane, fissure
from groundglass.phantom.mediastinum import AIR_HU
from groundglass.phantom.patient import Patient
from groundglass.phantom.raster import Byte, Canvas, Float, Grid, noise_plane, oval
from groundglass.phantom.vessels import HILAR_BRONCHUS_MM, HILAR_VESSEL_MM, draw_tree
from groundglass.phantom.wall import spine_zone

TISSUE_HU = 42.0
_DESTROYED_HU = -990.0
_BRONCHUS_WALL_HU = -250.0


def hilar_mask(grid: Grid, patient: Patient, z_mm: float) -> Byte:
    """Canvas mask of the thick vessels and bronchi of the lung roots: not lung."""
    mask = Canvas(grid)
    slab = min(patient.scan.thickness_mm, 3.0)
    for tree, limit, wall in (
        (patient.trees.vessels, HILAR_VESSEL_MM, 0.0),
        (patient.trees.bronchi, HILAR_BRONCHUS_MM, 1.4),
    ):
        pieces = tree.at(z_mm, slab)
        draw_tree(mask, pieces.thicker(limit), widen_mm=wall)
    return np.asarray((mask.image > 0) * np.uint8(255), np.uint8)


def lung_space(grid: Grid, person: Anatomy, level: float, inner: Byte, middle: Byte) -> Byte:
    """Canvas mask of where lungs can be, the diaphragm apart.

    Parameters
    ----------
    grid : Grid
        The slice's pixels.
    person : Anatomy
        Whose.
    level : float
        Where.
    inner, middle : ndarray of uint8
        Canvas masks of the inside of the rib cage and of the mediastinum.
    """
    space = Canvas(grid)
    if not -0.02 <= level < 1.0:
        return space.image
    if level > 0.7:
        for side in (0, 1):
            (cx, cy), (rx, ry) = person.apex(side, np.array([level]))
            centre = (cx + person.spine(level)[0] * 0.5, float(cy[0]))
            space.fill(oval(centre, (float(rx[0]), float(ry[0]))), 255)
        space.image &= inner
    else:
        space.image |= inner
    space.fill(spine_zone(person, level), 0)
    space.image &= ~middle
    return space.image


def fluid_mask(grid: Grid, patient: Patient, level: float) -> Byte:
    """Canvas mask of pleural fluid: deepest at the base, none above three quarters of the lung."""
    person = patient.person
    fluid = np.zeros_like(Canvas(grid).image)
    for side, sign in enumerate((-1.0, 1.0)):
        depth = patient.findings.effusion_mm[side] * (1 - level / 0.75)
        if depth < 1.5:
            continue
        half = Canvas(grid)
        half.fill(np.array([(0, -400), (sign * 400, -400), (sign * 400, 400), (0, 400)]), 255)
        # The cage moved forward by the fluid's depth: what it leaves behind is a crescent.
        half.fill(person.outline(person.cage(level), level) - np.array([0.0, depth]), 0)
        fluid |= half.image
    return fluid


def parenchyma(patient: Patient, grid: Grid, z_mm: float) -> tuple[Float, Float]:
    """HU inside the lungs on every pixel of a grid, and the share of air disease has replaced."""
    person, scan = patient.person, patient.scan
    lung = _tissue(patient, grid, z_mm)
    full, diseased, destroyed = fill_plane(
        patient.findings, person, Plane(grid, z_mm, scan.thickness_mm)
    )
    if person.dependent > 0.1:
        edge = np.clip((_depth(person, grid, z_mm) - np.float32(0.86)) * np.float32(7), 0, 1)
        full = np.maximum(full, edge * np.float32(0.3 * person.dependent))
    lung += (np.float32(_DESTROYED_HU) - lung) * destroyed
    lung += (np.float32(TISSUE_HU) - lung) * full
    vessels = Canvas(grid)
    draw_tree(vessels, patient.trees.vessels.at(z_mm, scan.thickness_mm))
    lung += (np.float32(TISSUE_HU + 0.6 * person.contrast_hu) - lung) * vessels.down()
    pieces = patient.trees.bronchi.at(z_mm, scan.thickness_mm)
    wall, hole = Canvas(grid), Canvas(grid)
    draw_tree(wall, pieces, widen_mm=0.7)
    draw_tree(hole, pieces)
    lung += (np.float32(_BRONCHUS_WALL_HU) - lung) * wall.down() * np.float32(0.7)
    lung += (np.float32(AIR_HU) - lung) * hole.down()
    return lung, diseased


def _depth(person: Anatomy, grid: Grid, z_mm: float) -> Float:
    """0 at the front of the rib cage, 1 at its back, per row."""
    _, front, back = person.cage(person.level(z_mm))
    return np.asarray((grid.axes()[1] - np.float32(front)) / np.float32(back - front), np.float32)


def _tissue(patient: Patient, grid: Grid, z_mm: float) -> Float:
    """Healthy lung: heavier behind, uneven, with vessels too fine to draw, and the fissures."""
    person = patient.person
    x, y = grid.axes()
    lung = 20 * noise_plane(grid, z_mm, 22.0, person.offsets[3])
    fine = noise_plane(grid, z_mm, 1.9, person.offsets[2])
    lung += 16 * fine + 80 * np.maximum(fine - np.float32(1.1), 0)
    slope = person.gradient_hu * (_depth(person, grid, z_mm) - np.float32(0.5))
    lung += np.float32(person.parenchyma_hu) + slope
    # The fissure stands oblique in the slab, so a thick slice shows it wide and faint.
    width = float(np.hypot(0.8, 0.35 * patient.scan.thickness_mm))
    line = fissure(person, x, y, z_mm) / np.float32(width)
    lung += np.float32(110 / width) * np.exp(-(line**2))
    return np.asarray(lung, np.float32)
