"""Between the lungs: heart, great vessels, oesophagus, trachea and the fat around them."""

from __future__ import annotations

import cv2
import numpy as np

from groundglass.phantom.anatomy import Anatomy
from groundglass.phantom.raster import Byte, Canvas, Points, oval, turned
from groundglass.phantom.wall import FAT_HU

BLOOD_HU = 42.0
AIR_HU = -985.0
CARINA = 0.64
_Disc = tuple[float, float, float]


def vessels_at(person: Anatomy, level: float) -> list[_Disc]:
    """(x, y, radius) in mm of the great vessels cut by a level."""
    spine_x, spine_y = person.spine(level)
    _, front, _ = person.cage(level)
    a = person.aorta
    room = spine_y - 20 - front
    at = lambda share: front + share * room  # noqa: E731
    discs: list[_Disc] = []
    if level < 0.76:
        bend = np.interp(level, [-0.6, 0.1, 0.3, 0.7], [2, 6, 20, 25])
        deep = np.interp(level, [-0.6, 0.1, 0.4], [-24, -20, -4])
        discs.append((spine_x + bend, spine_y + deep, 11.5 * a))
    if 0.44 < level < 0.76:
        discs.append((-10.0, at(0.42), 15.0 * a))
        discs.append((-31.0, at(0.62), 9.0))
    if 0.70 < level < 0.79:
        for share in np.linspace(0, 1, 7):
            discs.append((-10 + 32 * share, at(0.42) + (spine_y + 2 - at(0.42)) * share, 13.0 * a))
    if 0.5 < level < 0.63:
        discs.append((18.0, at(0.36), 14.0 * a))
    if 0.55 < level < 0.61:
        discs += [(-36 + 54 * s, at(0.36) + 26 * (1 - s), 10.0) for s in np.linspace(0, 1, 7)]
    if 0.58 < level < 0.66:
        discs += [(20 + 18 * s, at(0.4) + 26 * s, 11.0) for s in np.linspace(0, 1, 4)]
    if level > 0.76:
        spread = np.interp(level, [0.76, 1.0, 1.3], [1.0, 1.25, 1.6])
        discs += [
            (-16 * spread, at(0.5), 6.5),
            (4 * spread, at(0.52), 4.5),
            (17 * spread, at(0.66), 5.0),
            (-24 * spread, at(0.42), 7.5),
            (22 * spread, at(0.36), 7.0),
        ]
    if 0.78 < level < 0.86:
        discs += [(-24 + 46 * s, at(0.36), 5.5) for s in np.linspace(0, 1, 8)]
    if level <= 0.44 and level > -0.8:
        discs.append(
            (-18.0, np.interp(level, [-0.3, 0.2, 0.44], [spine_y - 24, at(0.7), at(0.66)]), 10.5)
        )
    return discs


def trachea_at(person: Anatomy, level: float) -> list[_Disc]:
    """(x, y, radius) in mm of the air of trachea and main bronchi cut by a level."""
    spine_x, spine_y = person.spine(level)
    _, front, _ = person.cage(level)
    y = spine_y - np.interp(level, [0.5, 0.65, 1.0, 1.4], [33, 36, 34, 38])
    radius = 8.6 * person.aorta**0.3
    if level > CARINA:
        return [(spine_x * 0.5 - 2.0, y, radius)]
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
    mask = canvas.blank(0)
    mask.image |= hilar
    mask.fill(_core(person, level), 255)
    heart = _heart_outline(person, level, 4.0)
    if heart is not None:
        mask.fill(heart, 255)
    for x, y, radius in vessels_at(person, level):
        mask.disc((x, y), radius + 2.5, 255)
    for x, y, radius in trachea_at(person, level):
        mask.disc((x, y), radius + 3.0, 255)
    blur = 3.0 / canvas.pixel_mm
    size = int(blur * 2) * 2 + 1
    smooth = cv2.blur(cv2.blur(mask.image, (size, size)), (size, size))
    return np.asarray((smooth > 118) * np.uint8(255)) | mask.image & hilar


def _core(person: Anatomy, level: float) -> Points:
    """The curve between sternum and spine that is never lung."""
    x, spine_y = person.spine(level)
    _, front, _ = person.cage(level)
    room = spine_y - 18 - front
    levels = [0.0, 0.3, 0.55, 0.7, 0.82, 0.92, 1.0, 1.2]
    fore = np.interp(level, levels, [26, 9, 4, 6, 22, 36, 50, 60])
    mid = np.interp(level, levels, [20, 18, 22, 26, 31, 33, 36, 50])
    hind = np.interp(level, levels, [17, 15, 17, 17, 18, 22, 28, 40])
    rows = [(0.0 - 8 / room, fore), (0.16, fore * 0.9), (0.5, mid), (0.8, hind), (1.2, hind)]
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
    blood = BLOOD_HU + person.contrast_hu
    canvas.image[mask > 0] = FAT_HU
    heart = _heart_outline(person, level, 0.0)
    if heart is not None:
        canvas.fill(heart, BLOOD_HU + 6 + 0.45 * person.contrast_hu)
        if person.contrast_hu:
            (cx, cy), (rx, ry) = person.heart_shape(level) or ((0, 0), (0, 0))
            canvas.fill(
                turned(oval((cx + 0.42 * rx, cy + 0.1 * ry), (0.36 * rx, 0.52 * ry)), 30), blood
            )
            canvas.fill(
                turned(oval((cx - 0.45 * rx, cy - 0.1 * ry), (0.36 * rx, 0.6 * ry)), 20),
                blood * 0.9,
            )
    for x, y, radius in vessels_at(person, level):
        canvas.disc((x, y), radius, blood)
    spine_x, spine_y = person.spine(level)
    canvas.fill(oval((spine_x + 5, spine_y - 25), (8.5, 5.5)), 38.0)
    if (person.detail_seed + int(level * 12)) % 4 == 0:
        canvas.disc((spine_x + 5, spine_y - 25), 2.2, -700.0)
    if 0.97 < level < 1.12:
        for sign in (-1.0, 1.0):
            canvas.fill(oval((sign * 17, spine_y - 38), (8, 14)), 95.0)
    paint_airway(canvas, person, level)


def paint_airway(canvas: Canvas, person: Anatomy, level: float) -> None:
    """Trachea and main bronchi: wall, then air."""
    for x, y, radius in trachea_at(person, level):
        canvas.disc((x, y), radius + 1.6, 40.0)
    for x, y, radius in trachea_at(person, level):
        canvas.disc((x, y), radius, AIR_HU)
