"""Below the diaphragm: liver, spleen, stomach, kidneys, bowel with gas."""

from __future__ import annotations

import numpy as np

from groundglass.phantom.anatomy import Anatomy, between
from groundglass.phantom.mediastinum import BLOOD_HU, vessels_at
from groundglass.phantom.raster import Canvas, oval, turned
from groundglass.phantom.settings import stream
from groundglass.phantom.wall import FAT_HU, MUSCLE_HU

_GAS_HU = -960.0


def paint_abdomen(canvas: Canvas, person: Anatomy, level: float, z_mm: float) -> None:
    """Organs on a canvas of their own; the diaphragm decides where it shows."""
    half, front, back = person.cage(level)
    spine_x, spine_y = person.spine(level)
    rng = stream(person.detail_seed, "abdomen")
    shape = rng.normal(1.0, 0.1, 12)
    gas = rng.random(4)
    boost = 0.25 * person.contrast_hu
    _left_side(canvas, person, level, (shape, gas))
    liver = between(level, [-0.75, -0.45, -0.1, 0.15, 0.6], [0, 0.55, 1.0, 1.05, 1.05])
    if liver > 0.05:
        reach = between(level, [-0.5, 0.0, 0.35], [0.2, 0.95, 1.15]) * shape[0]
        right = oval(
            (-half * 0.55, (front + back) * 0.5 - 4),
            (half * 0.56, (back - front) * 0.5 * liver),
            2.4,
        )
        canvas.fill(right, 58 + boost)
        if level > -0.3:
            lobe = oval(
                (-half * 0.1, front * 0.55), (half * 0.55 * reach, 0.3 * (back - front)), 2.2
            )
            canvas.fill(turned(lobe, 14), 58 + boost)
    if level < -0.1:
        kidney = np.sqrt(max(0.0, 1 - ((level + 0.4) / 0.3) ** 2))
        for sign in (-1.0, 1.0):
            where = (sign * 62 * person.width, spine_y + 8)
            canvas.fill(turned(oval(where, (25 * kidney, 30 * kidney)), sign * 25), 34 + 2 * boost)
            canvas.fill(oval((where[0] - sign * 10, where[1]), (9 * kidney, 10 * kidney)), FAT_HU)
            psoas = oval((spine_x + sign * 34, spine_y + 2), (14, 17))
            canvas.fill(psoas, MUSCLE_HU)
        _bowel(canvas, person, level, z_mm)
    for sign in (-1.0, 1.0):
        crus = turned(oval((spine_x + sign * 13, spine_y - 14), (6, 19)), sign * 18)
        canvas.fill(crus, MUSCLE_HU - 5)
    for x, y, radius in vessels_at(person, min(level, 0.1)):
        canvas.disc((x, y), radius, BLOOD_HU + person.contrast_hu)


def _left_side(
    canvas: Canvas, person: Anatomy, level: float, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    shape, gas = drawn
    half, front, back = person.cage(level)
    boost = 0.25 * person.contrast_hu
    spleen = 1 - ((level - 0.1) / 0.42) ** 2
    if spleen > 0:
        size = np.sqrt(spleen) * shape[1]
        organ = oval(
            (half * 0.66, back * 0.45), (26 * size * person.width, 46 * size * person.depth)
        )
        canvas.fill(turned(organ, 28), 50 + boost)
    stomach = 1 - ((level - 0.08) / 0.42) ** 2
    if stomach > 0:
        size = np.sqrt(stomach)
        centre = (half * 0.42, front * 0.3)
        radii = (half * 0.34 * size * shape[2], 46 * size * shape[3])
        canvas.fill(oval(centre, (radii[0] + 3, radii[1] + 3)), 42.0)
        canvas.fill(oval(centre, radii), 18.0 + 40 * gas[0])
        bubble = _below_line(oval(centre, radii), centre[1] - radii[1] * (0.9 - 1.2 * gas[1]))
        if len(bubble) > 2:
            canvas.fill(bubble, _GAS_HU)


def _below_line(shape: np.ndarray, y: float) -> np.ndarray:
    """The part of a convex curve in front of a fluid level."""
    return np.asarray(shape[shape[:, 1] < y])


def _bowel(canvas: Canvas, person: Anatomy, level: float, z_mm: float) -> None:
    """Loops that wander with z; each holds gas in front, and fluid or stool behind."""
    half, front, back = person.cage(level)
    rng = stream(person.detail_seed, "bowel")
    for _ in range(26):
        fx, fy, radius, fill, pace, phase, depth = rng.random(7)
        start = -0.12 - 0.35 * depth
        if level > start:
            continue
        sway = np.sin(z_mm / (14 + 30 * pace) + 6.28 * phase)
        x = (1.7 * fx - 0.85) * half + 14 * sway
        y = front * 0.82 + (back * 0.5 - front * 0.82) * fy**1.6 + 9 * np.cos(z_mm / 17 + 6 * phase)
        if (x / half) ** 2 + ((y - (front + back) / 2) / (0.5 * (back - front))) ** 2 > 0.8:
            continue
        size = (9 + 17 * radius) * (0.75 + 0.25 * np.sin(z_mm / 11 + 9 * phase))
        loop = turned(oval((x, y), (size * (1 + 0.7 * fill), size)), 90 * phase - 45)
        canvas.fill(loop, 42.0)
        inner = turned(oval((x, y), (size * (1 + 0.7 * fill) - 2.5, size - 2.5)), 90 * phase - 45)
        canvas.fill(inner, 15.0 + 30 * pace)
        if fill > 0.4:
            gas = _below_line(inner, y + size * (1.6 * fill - 1.2))
            if len(gas) > 2:
                canvas.fill(gas, _GAS_HU)
            if pace > 0.6:
                for k in range(7):
                    spot = (
                        x + size * 0.5 * np.sin(2.4 * k + z_mm / 5),
                        y + size * 0.5 * np.cos(1.7 * k),
                    )
                    canvas.disc(spot, 2.0 + 1.5 * phase, -200.0 - 500.0 * (k % 2))
