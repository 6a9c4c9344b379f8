"""Between the lungs: heart, great vessels, oesophagus, trachea and the fat around them."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from groundglass.phantom.anatomy import Anatomy, between
from groundglass.phantom.raster import Byte, Canvas, Points, oval, turned
from groundglass.phantom.wall import FAT_HU

BLOOD_HU = 42.0
AIR_HU = -985.0
#: Level of the carina.
CARINA = 0.64

#: (x, y, radius) in mm of something round that a slice cuts.
Disc = tuple[float, float, float]


class _Front:
    """Depths between sternum (0) and spine (1) at a level, in patient mm."""

    def __init__(self, person: Anatomy, level: float) -> None:
        self.spine_x, self.spine_y = person.spine(level)
        self.front = person.cage(level)[1]

    def at(self, share: float) -> float:
        return self.front + share * (self.spine_y - 20 - self.front)


def vessels_at(person: Anatomy, level: float) -> list[Disc]:
    """The great vessels cut by a level."""
    return [
        *_aorta(person, level),
        *_pulmonary(person, level),
        *_branches(person, level),
        *_cava(person, level),
    ]


def _bar(start: tuple[float, float], stop: tuple[float, float], radius: float) -> Iterable[Disc]:
    """A vessel that runs along the slice, as a row of discs."""
    for share in np.linspace(0.0, 1.0, 8):
        x, y = np.array(start) * (1 - share) + np.array(stop) * share
        yield float(x), float(y), radius


def _aorta(person: Anatomy, level: float) -> Iterable[Disc]:
    place, size = _Front(person, level), person.aorta
    if level < 0.76:
        x = place.spine_x + between(level, [-0.6, 0.1, 0.3, 0.7], [2, 6, 20, 25])
        yield x, place.spine_y + between(level, [-0.6, 0.1, 0.4], [-24, -20, -4]), 11.5 * size
    if 0.44 < level < 0.76:
        yield -10.0, place.at(0.42), 15.0 * size
    if 0.70 < level < 0.79:
        yield from _bar((-10.0, place.at(0.42)), (22.0, place.spine_y + 2), 13.0 * size)


def _pulmonary(person: Anatomy, level: float) -> Iterable[Disc]:
    place = _Front(person, level)
    if 0.5 < level < 0.63:
        yield 18.0, place.at(0.36), 14.0 * person.aorta
    if 0.55 < level < 0.61:
        yield from _bar((-36.0, place.at(0.36) + 26), (18.0, place.at(0.36)), 10.0)
    if 0.58 < level < 0.66:
        yield from _bar((20.0, place.at(0.4)), (38.0, place.at(0.4) + 26), 11.0)


def _branches(person: Anatomy, level: float) -> Iterable[Disc]:
    """Arteries and veins of head and arms."""
    place = _Front(person, level)
    if 0.78 < level < 0.86:
        yield from _bar((-24.0, place.at(0.36)), (22.0, place.at(0.36)), 5.5)
    if level <= 0.76:
        return
    spread = between(level, [0.76, 1.0, 1.3], [1.0, 1.25, 1.6])
    yield -16 * spread, place.at(0.5), 6.5
    yield 4 * spread, place.at(0.52), 4.5
    yield 17 * spread, place.at(0.66), 5.0
    yield -24 * spread, place.at(0.42), 7.5
    yield 22 * spread, place.at(0.36), 7.0


def _cava(person: Anatomy, level: float) -> Iterable[Disc]:
    place = _Front(person, level)
    if 0.44 < level < 0.76:
        yield -31.0, place.at(0.62), 9.0
    elif -0.8 < level <= 0.44:
        depths = [place.spine_y - 24, place.at(0.7), place.at(0.66)]
        yield -18.0, between(level, [-0.3, 0.2, 0.44], depths), 10.5


def trachea_at(person: Anatomy, level: float) -> list[Disc]:
    """The air of trachea and main bronchi cut by a level."""
    spine_x, spine_y = person.spine(level)
    y = spine_y - between(level, [0.5, 0.65, 1.0, 1.4], [33, 36, 34, 38])
    if level > CARINA:
        return [(spine_x * 0.5 - 2.0, y, 8.6 * float(person.aorta**0.3))]
    fall = (CARINA - level) * person.lung_height_mm
    discs = []
    if fall < 24:
        discs.append((-3 - 0.95 * fall, y + 0.12 * fall, 7.2))
    if fall < 38:
        discs.append((3 + 1.0 * fall, y + 0.16 * fall, 6.4))
    return discs


def mediastinum_mask(canvas: Canvas, person: Anatomy, level: float, hilar: Byte) -> Byte:
    """Canvas mask (0 or 255) of everything between the lungs, with a smooth border.

    Parameters
    ----------
    canvas : Canvas
        Gives the grid.
    person : Anatomy
        Whose.
    level : float
        Where.
    hilar : ndarray of uint8, canvas shape
        The thick vessels and bronchi of the lung roots, which are not lung either.
    """
    mask = Canvas(canvas.grid)
    mask.image |= hilar
    mask.fill(_core(person, level), 255)
    heart = _heart_outline(person, level, 4.0)
    if heart is not None:
        mask.fill(heart, 255)
    for x, y, radius in vessels_at(person, level):
        mask.disc((x, y), radius + 2.5, 255)
    for x, y, radius in trachea_at(person, level):
        mask.disc((x, y), radius + 3.0, 255)
    size = int(3.0 / canvas.pixel_mm * 2) * 2 + 1
    smooth = cv2.blur(cv2.blur(mask.image, (size, size)), (size, size))
    return np.asarray((smooth > 118) * np.uint8(255) | hilar, np.uint8)


def _core(person: Anatomy, level: float) -> Points:
    """The curve between sternum and spine that is never lung."""
    x, spine_y = person.spine(level)
    front = person.cage(level)[1]
    room = spine_y - 18 - front
    levels = [0.0, 0.3, 0.55, 0.7, 0.82, 0.92, 1.0, 1.2]
    fore = between(level, levels, [26, 9, 4, 6, 22, 36, 50, 60])
    mid = between(level, levels, [20, 18, 22, 26, 31, 33, 36, 50])
    hind = between(level, levels, [17, 15, 17, 17, 18, 22, 28, 40])
    rows = [(-8 / room, fore), (0.16, fore * 0.9), (0.5, mid), (0.8, hind), (1.2, hind)]
    left = [(x + half, front + share * room) for share, half in rows]
    return np.array(left + [(2 * x - px, py) for px, py in reversed(left)])


def _heart_outline(person: Anatomy, level: float, margin: float) -> Points | None:
    shape = person.heart_shape(level)
    if shape is None:
        return None
    (cx, cy), (rx, ry) = shape
    outline = oval((cx, cy), (rx + margin, ry + margin), 2.25)
    return turned(outline, -person.heart_turn * 0.6)


def paint_mediastinum(canvas: Canvas, person: Anatomy, level: float, mask: Byte) -> None:
    """Fat, then the organs in it."""
    canvas.image[mask > 0] = FAT_HU
    _paint_heart(canvas, person, level)
    for x, y, radius in vessels_at(person, level):
        canvas.disc((x, y), radius, BLOOD_HU + person.contrast_hu)
    spine_x, spine_y = person.spine(level)
    gullet = (spine_x + 5, spine_y - 25)
    canvas.fill(oval(gullet, (8.5, 5.5)), 38.0)
    # Swallowed air here and there.
    if (person.detail_seed + int(level * 12)) % 4 == 0:
        canvas.disc(gullet, 2.2, -700.0)
    if 0.97 < level < 1.12:
        for sign in (-1.0, 1.0):
            canvas.fill(oval((sign * 17, spine_y - 38), (8, 14)), 95.0)
    tubes = trachea_at(person, level)
    for x, y, radius in tubes:
        canvas.disc((x, y), radius + 1.6, 40.0)
    for x, y, radius in tubes:
        canvas.disc((x, y), radius, AIR_HU)


def _paint_heart(canvas: Canvas, person: Anatomy, level: float) -> None:
    outline, shape = _heart_outline(person, level, 0.0), person.heart_shape(level)
    if outline is None or shape is None:
        return
    canvas.fill(outline, BLOOD_HU + 6 + 0.45 * person.contrast_hu)
    if not person.contrast_hu:
        return
    (cx, cy), (rx, ry) = shape
    blood = BLOOD_HU + person.contrast_hu
    left = oval((cx + 0.42 * rx, cy + 0.1 * ry), (0.36 * rx, 0.52 * ry))
    right = oval((cx - 0.45 * rx, cy - 0.1 * ry), (0.36 * rx, 0.6 * ry))
    canvas.fill(turned(left, 30), blood)
    canvas.fill(turned(right, 20), blood * 0.9)
