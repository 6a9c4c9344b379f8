"""From a person, a scan and findings to slices: the one place where everything comes together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.phantom.abdomen import paint_abdomen
from groundglass.phantom.anatomy import Anatomy, draw_anatomy
from groundglass.phantom.disease import Findings, Plane, Site, draw_findings, fill_plane, fissure
from groundglass.phantom.mediastinum import AIR_HU, mediastinum_mask, paint_mediastinum
from groundglass.phantom.raster import Canvas, Float, noise_plane
from groundglass.phantom.scanner import Scan, draw_scan, expose, paint_room
from groundglass.phantom.settings import PhantomSettings, stream
from groundglass.phantom.vessels import (
    HILAR_RADIUS_MM,
    LungTrees,
    draw_tree,
    grow_lungs,
    sample_lung,
)
from groundglass.phantom.wall import FAT_HU, paint_bones, paint_wall, spine_zone

_TISSUE_HU = 42.0
_FLUID_HU = 9.0
#: Beside the vertebrae lie rib heads, muscle and fat.
_PARASPINAL_HU = 5.0
#: Filling of the alveoli from which a reader sees a lesion.
_VISIBLE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """A person, the scan and the findings, from which any slice can be rendered.

    Parameters
    ----------
    settings : PhantomSettings
        What was asked for.
    person : Anatomy
        The body.
    scan : Scan
        The scanner.
    findings : Findings
        Disease and confusers.
    trees : LungTrees
        Vessels and bronchi.
    """

    settings: PhantomSettings
    person: Anatomy
    scan: Scan
    findings: Findings
    trees: LungTrees


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Rendered slices with their truth.

    Parameters
    ----------
    hu : ndarray of int16, shape (slices, rows, columns)
        Hounsfield units.
    lung : ndarray of bool
        Both lungs with the vessels in them and whatever fills them; without trachea, main bronchi,
        lung roots and pleural fluid.
    lesion : ndarray of bool
        Visible disease inside `lung`; everyday confusers are not disease.
    """

    hu: NDArray[np.int16]
    lung: NDArray[np.bool_]
    lesion: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic chest CT and everything that is known about it.

    Parameters
    ----------
    volume : Volume
        int16 HU, feet to head, front to back, right to left.
    lung, lesion : ndarray of bool, shape of the volume
        As in `Slices`.
    label : str
        "CP", "NCP" or "healthy".
    severity : float
        0 to 1; 0 for healthy.
    scan : Scan
        How it was scanned.
    settings : PhantomSettings
        What it was made from.
    """

    volume: Volume
    lung: NDArray[np.bool_]
    lesion: NDArray[np.bool_]
    label: str
    severity: float
    scan: Scan
    settings: PhantomSettings


def make_patient(settings: PhantomSettings) -> Patient:
    """Draw person, scan and findings; renders nothing yet."""
    seed = settings.seed
    person = draw_anatomy(stream(seed, "anatomy"))
    pools = sample_lung(person, 1200, stream(seed, "places"))
    findings = draw_findings(
        Site(person, pools),
        settings.label,
        settings.severity,
        stream(seed, "disease " + settings.label),
        stream(seed, "confusers"),
    )
    trees = grow_lungs(person, pools, stream(seed, "vessels"))
    return Patient(settings, person, draw_scan(person, settings), findings, trees)


def make_phantom(settings: PhantomSettings) -> Phantom:
    """A whole synthetic chest CT.

    Parameters
    ----------
    settings : PhantomSettings
        What to show; the same settings always give the same voxels.

    Returns
    -------
    Phantom
    """
    patient = make_patient(settings)
    scan = patient.scan
    slices = render_slices(patient, scan.z_mm)
    x0, y0 = scan.grid.first_mm
    geometry = Geometry(
        shape=slices.hu.shape,
        spacing_mm=(scan.spacing_mm, scan.grid.pixel_mm, scan.grid.pixel_mm),
        origin_mm=(x0, y0, scan.z_mm[0]),
        directions=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    severity = 0.0 if settings.label == "healthy" else settings.severity
    return Phantom(
        Volume(slices.hu, geometry),
        slices.lung,
        slices.lesion,
        settings.label,
        severity,
        scan,
        settings,
    )


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
    n = patient.settings.matrix
    hu = np.empty((len(z_mm), n, n), np.int16)
    lung = np.empty((len(z_mm), n, n), np.bool_)
    lesion = np.empty((len(z_mm), n, n), np.bool_)
    for k, z in enumerate(z_mm):
        hu[k], lung[k], lesion[k] = _render(patient, float(z))
    return Slices(hu, lung, lesion)


def training_slices(settings: PhantomSettings, count: int) -> Slices:
    """Slices from anywhere between neck and abdomen of one patient, for training a segmenter.

    Parameters
    ----------
    settings : PhantomSettings
        Whom; slice count and spacing are not used.
    count : int
        How many slices. Two in three cut the lungs.

    Returns
    -------
    Slices
    """
    patient = make_patient(settings)
    rng = stream(settings.seed, "training slices")
    height = patient.person.lung_height_mm
    inside = rng.uniform(0, height, count)
    outside = np.where(
        rng.random(count) < 0.6,
        rng.uniform(-220, 0, count),
        rng.uniform(height, height + 130, count),
    )
    return render_slices(patient, np.where(rng.random(count) < 0.67, inside, outside).tolist())


def _render(patient: Patient, z: float) -> tuple[Float, NDArray[np.bool_], NDArray[np.bool_]]:
    person, scan = patient.person, patient.scan
    level = person.level(z)
    canvas = Canvas(scan.grid, -1000.0)
    paint_room(canvas, person, scan, z)
    paint_wall(canvas, person, level)
    body = np.asarray(canvas.down() > -500, np.float32)
    inner = canvas.blank(0)
    inner.fill(person.outline(person.cage(level), level), 255)
    canvas.image[inner.image > 0] = FAT_HU
    hilar = _hilar(canvas, patient, z)
    middle = mediastinum_mask(canvas, person, level, hilar.image)
    middle &= inner.image
    paint_mediastinum(canvas, person, level, middle)
    behind = canvas.blank(0)
    behind.fill(spine_zone(person, level), 255)
    canvas.image[(behind.image & inner.image) > 0] = _PARASPINAL_HU
    canvas.image[hilar.image > 128] = _TISSUE_HU + 0.8 * person.contrast_hu
    paint_bones(canvas, person, level, z)
    base = canvas.down()
    space = _lung_space(canvas, patient, level, (inner.image, middle))
    fluid = _fluid(canvas, patient, level, space)
    cavity, air = _cover(canvas, inner.image), _cover(canvas, space)
    below = _below(patient, level, z) * cavity
    if below.any():
        organs = canvas.blank(FAT_HU, np.float32)
        paint_abdomen(organs, person, level, z)
        base += (organs.down() - base) * _abdomen_share(canvas, person, level, below)
        air *= 1 - below
    if fluid is not None:
        wet = _cover(canvas, fluid) * (1 - below)
        base += (_FLUID_HU - base) * wet
    lung = air > 0.5
    inside, diseased = _parenchyma(patient, canvas, z)
    image = base + (inside - base) * air
    index = int(round(z * 1000)) + 10_000_000
    exposed = expose(image, scan, index, body)
    shown = exposed > (scan.padding_hu if scan.padding_hu is not None else -5000) + 0.5
    lung &= shown
    return np.round(exposed), lung, lung & (diseased > _VISIBLE)


def _cover(canvas: Canvas, mask: NDArray[np.uint8]) -> Float:
    other = canvas.blank(0)
    other.image = mask
    return other.down()


def _hilar(canvas: Canvas, patient: Patient, z: float) -> Canvas:
    mask = canvas.blank(0)
    for tree, widen in ((patient.trees.vessels, 0.0), (patient.trees.bronchi, 1.4)):
        ends, radius, share = tree.at(z, min(patient.scan.thickness_mm, 3.0))
        thick = radius > (HILAR_RADIUS_MM if widen == 0 else 2.6)
        draw_tree(mask, (ends[thick], radius[thick], share[thick]), widen_mm=widen, full=True)
    return mask


def _lung_space(
    canvas: Canvas,
    patient: Patient,
    level: float,
    masks: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """Canvas mask of where lungs can be, the diaphragm apart."""
    inner, middle = masks
    person = patient.person
    space = canvas.blank(0)
    if level >= 1.0 or level < -0.02:
        return space.image
    if level > 0.7:
        for side in (0, 1):
            (cx, cy), (rx, ry) = person.apex(side, np.array([level]))
            centre = (cx + person.spine(level)[0] * 0.5, float(cy[0]))
            space.fill(_oval(centre, (float(rx[0]), float(ry[0]))), 255)
        space.image &= inner
    else:
        space.image |= inner
    space.fill(spine_zone(person, level), 0)
    space.image &= ~middle
    return space.image


def _oval(centre: tuple[float, float], half: tuple[float, float]) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack(
        [centre[0] + half[0] * np.cos(angle), centre[1] + half[1] * np.sin(angle)], axis=1
    )


def _fluid(
    canvas: Canvas, patient: Patient, level: float, space: NDArray[np.uint8]
) -> NDArray[np.uint8] | None:
    """Take pleural fluid out of the lung space, in place; None where there is none."""
    person = patient.person
    fluid = canvas.blank(0)
    box = person.cage(level)
    for side, sign in enumerate((-1.0, 1.0)):
        depth = patient.findings.effusion_mm[side] * (1 - level / 0.75)
        if depth < 1.5:
            continue
        front = person.outline(box, level) * np.array([0.99, 1.0]) - np.array([0.0, depth])
        half = canvas.blank(0)
        half.fill(np.array([(0, -400), (sign * 400, -400), (sign * 400, 400), (0, 400)]), 255)
        half.fill(front, 0)
        fluid.image |= half.image
    if not fluid.image.any():
        return None
    fluid.image &= space
    space &= ~fluid.image
    return fluid.image


def _below(patient: Patient, level: float, z: float) -> Float:
    """Share of each pixel's slab that lies under the diaphragm."""
    n = patient.settings.matrix
    if level > max(patient.person.dome_level) + 0.1:
        return np.zeros((n, n), np.float32)
    if level < -0.02:
        return np.ones((n, n), np.float32)
    x, y = patient.scan.grid.axes()
    dome = patient.person.dome_mm(x, y)
    slab = np.float32(max(patient.scan.thickness_mm, 1.5))
    return np.asarray(np.clip((dome - np.float32(z)) / slab + np.float32(0.5), 0, 1), np.float32)


def _abdomen_share(canvas: Canvas, person: Anatomy, level: float, below: Float) -> Float:
    """Where organs replace what was painted: not over the spine."""
    zone = canvas.blank(0)
    zone.fill(spine_zone(person, level), 255)
    return np.asarray(below * (1 - zone.down()), np.float32)


def _parenchyma(patient: Patient, canvas: Canvas, z: float) -> tuple[Float, Float]:
    """HU inside the lungs on every pixel, and how much of it is disease."""
    person, scan = patient.person, patient.scan
    x, y = scan.grid.axes()
    _, front, back = person.cage(person.level(z))
    depth = (y - np.float32(front)) / np.float32(back - front)
    lung = person.parenchyma_hu + person.gradient_hu * (depth - np.float32(0.5))
    lung = lung + 14 * noise_plane(scan.grid, z, 22.0, person.offsets[3])
    fine = noise_plane(scan.grid, z, 1.9, person.offsets[2])
    lung += 10 * fine + 55 * np.maximum(fine - np.float32(1.3), 0)
    distance = fissure(person, x, y, z)
    # The fissure stands oblique in the slab, so a thick slice shows it wide and faint.
    width = float(np.hypot(0.8, 0.35 * scan.thickness_mm))
    lung += np.float32(110 / width) * np.exp(-((distance / np.float32(width)) ** 2))
    plane = Plane(scan.grid, z, scan.thickness_mm)
    filled, diseased, destroyed = fill_plane(patient.findings, person, plane)
    if person.dependent > 0.1:
        edge = np.clip((depth - np.float32(0.86)) * np.float32(7), 0, 1)
        filled = np.maximum(filled, edge * np.float32(0.3 * person.dependent))
    lung += (np.float32(-990) - lung) * destroyed
    lung += (np.float32(_TISSUE_HU) - lung) * filled
    vessel = canvas.blank(0)
    draw_tree(vessel, patient.trees.vessels.at(z, scan.thickness_mm))
    lung += (np.float32(_TISSUE_HU + 0.6 * person.contrast_hu) - lung) * vessel.down()
    pieces = patient.trees.bronchi.at(z, scan.thickness_mm)
    wall, hole = canvas.blank(0), canvas.blank(0)
    draw_tree(wall, pieces, widen_mm=0.7)
    draw_tree(hole, pieces)
    lung += (np.float32(-250) - lung) * wall.down() * np.float32(0.7)
    lung += (np.float32(AIR_HU) - lung) * hole.down()
    return np.asarray(lung, np.float32), diseased
