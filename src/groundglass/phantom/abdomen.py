"""Below the diaphragm: liver, spleen, stomach, kidneys, bowel with gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundglass.phantom.anatomy import Anatomy, between
from groundglass.phantom.mediastinum import BLOOD_HU, vessels_at
from groundglass.phantom.raster import Canvas, oval, turned
from groundglass.phantom.settings import stream
from groundglass.phantom.wall import FAT_HU, MUSCLE_HU

_GAS_HU = -960.0
#: Share of people scanned after a meal.
_FED = 0.4


def paint_abdomen(canvas: Canvas, person: Anatomy, level: float, z_mm: float) -> None:
    """Organs on a canvas of their own; the diaphragm decides where it shows."""
    half, front, back = person.cage(level)
    spine_x, spine_y = person.spine(level)
    rng = stream(person.detail_seed, "abdomen")
    shape = rng.normal(1.0, 0.1, 12)
    gas = rng.random(4)
    boost = 0.25 * person.contrast_hu
    _left_side(canvas, person, level, shape, gas)
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
    _colon(canvas, person, level, z_mm)
    for sign in (-1.0, 1.0):
        crus = turned(oval((spine_x + sign * 13, spine_y - 14), (6, 19)), sign * 18)
        canvas.fill(crus, MUSCLE_HU - 5)
    for x, y, radius in vessels_at(person, min(level, 0.1)):
        canvas.disc((x, y), radius, BLOOD_HU + person.contrast_hu)


def _left_side(
    canvas: Canvas, person: Anatomy, level: float, shape: np.ndarray, gas: np.ndarray
) -> None:
    """Spleen and stomach: factors of their sizes, and how full of what the stomach is."""
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
        if gas[2] < _FED:
            _paint_food(canvas, stream(person.detail_seed, f"food {level:.3f}"), centre, radii)
        bubble = _below_line(oval(centre, radii), centre[1] - radii[1] * (0.9 - 1.2 * gas[1]))
        if len(bubble) > 2:
            canvas.fill(bubble, _GAS_HU)


def _paint_food(
    canvas: Canvas, rng: np.random.Generator, centre: tuple[float, float], half: tuple[float, float]
) -> None:
    """A meal: crumbs of fat and specks of air that look like ill lung and are not."""
    (x, y), (rx, ry) = centre, half
    for turn, out, size, kind in rng.random((70, 4)):
        reach = 0.92 * np.sqrt(out)
        spot = (x + reach * rx * np.cos(6.28 * turn), y + reach * ry * np.sin(6.28 * turn))
        canvas.disc(spot, 0.8 + 2.2 * size, -700.0 * kind**2 - 20.0)


def _below_line(shape: np.ndarray, y: float) -> np.ndarray:
    """The part of a convex curve in front of a fluid level."""
    return np.asarray(shape[shape[:, 1] < y])


@dataclass(frozen=True, slots=True)
class _Loop:
    """A piece of gut cut across: centre and half axes in mm, share of gas, solid stool or fluid."""

    centre: tuple[float, float]
    half: tuple[float, float]
    turn_deg: float
    gas: float
    stool: bool


def _paint_loop(canvas: Canvas, loop: _Loop, z_mm: float) -> None:
    """Wall, contents, and the gas that gathers in front of them."""
    (x, y), (rx, ry) = loop.centre, loop.half
    canvas.fill(turned(oval((x, y), (rx, ry)), loop.turn_deg), 42.0)
    inner = turned(oval((x, y), (rx - 2.0, ry - 2.0)), loop.turn_deg)
    canvas.fill(inner, 30.0 if loop.stool else 12.0)
    if loop.gas > 0.02:
        depth = float(np.quantile(inner[:, 1], loop.gas))
        surface = inner[inner[:, 1] <= depth]
        if len(surface) > 2:
            canvas.fill(surface, _GAS_HU)
    if loop.stool:
        for k in range(9):
            spot = (x + 0.55 * rx * np.sin(2.4 * k + z_mm / 9), y + 0.55 * ry * np.cos(1.7 * k))
            canvas.disc(spot, 1.5 + 0.25 * k, -150.0 - 300.0 * (k % 3))


def _bowel(canvas: Canvas, person: Anatomy, level: float, z_mm: float) -> None:
    """Small loops that wander with z."""
    half, front, back = person.cage(level)
    rng = stream(person.detail_seed, "bowel")
    for fx, fy, radius, fill, pace, phase, depth in rng.random((22, 7)):
        sway = np.sin(z_mm / (14 + 30 * pace) + 6.28 * phase)
        x = (1.7 * fx - 0.85) * half + 14 * sway
        y = front * 0.75 + (back * 0.5 - front * 0.75) * fy + 9 * np.cos(z_mm / 17 + 6 * phase)
        out = (x / half) ** 2 + ((y - (front + back) / 2) / (0.5 * (back - front))) ** 2
        if level > -0.12 - 0.35 * depth or out > 0.72:
            continue
        size = (8 + 11 * radius) * (0.75 + 0.25 * np.sin(z_mm / 11 + 9 * phase))
        gas = max(0.0, 2.2 * fill - 1.2)
        loop = _Loop((x, y), (size * (1 + 0.7 * fill), size), 90 * phase - 45, gas, stool=False)
        _paint_loop(canvas, loop, z_mm)


def _colon(canvas: Canvas, person: Anatomy, level: float, z_mm: float) -> None:
    """The frame: up the right side, across in front, down the left; its left bend reaches high."""
    half, front, back = person.cage(level)
    rng = stream(person.detail_seed, "colon")
    size = float(rng.uniform(15, 31))
    gas, stool = rng.uniform(-0.3, 1.1, 9), rng.random(9) < 0.35
    phase = rng.uniform(0, 6.28, 9)
    bend = float(rng.uniform(-0.12, 0.16))
    across = float(rng.uniform(-0.5, -0.18))
    where: list[tuple[int, float, float]] = []
    if level < -0.28:
        where.append((0, -0.7, 0.35 * back))
    if level < bend:
        where.append((1, 0.7, 0.3 * back if level < bend - 0.2 else 0.45 * front))
    if abs(level - across) < 0.11:
        where += [(k + 2, -0.6 + 0.22 * k, 0.74 * front) for k in range(7)]
    for k, share, y in where:
        radius = size * (0.85 + 0.2 * np.sin(z_mm / 7 + phase[k]))
        if 0 <= bend - level < 0.08 and k == 1:
            radius *= float(np.sqrt((bend - level) / 0.08))
        if radius > 4:
            centre = (share * half, y + 4 * np.sin(z_mm / 15 + phase[k]))
            loop = _Loop(
                centre,
                (radius * 1.1, radius),
                20.0 * k,
                float(np.clip(gas[k], 0, 1)),
                bool(stool[k]),
            )
            _paint_loop(canvas, loop, z_mm)
