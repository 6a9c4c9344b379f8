"""The outside of the body: skin, fat, muscles, bones, arms, table and covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.anatomy import Anatomy
from groundglass.phantom.raster import Canvas, Points, filled, oval, turned

FAT_HU, MUSCLE_HU, SKIN_HU, CORTEX_HU = -102.0, 52.0, 15.0, 780.0
_RIBS = 12
Array = NDArray[np.float64]


def paint_wall(canvas: Canvas, person: Anatomy, level: float) -> None:
    """Skin, subcutaneous fat, breasts, muscles and the arms, from outside in."""
    trunk = person.trunk(level)
    if level > 0.78:
        _arms(canvas, person, level)
    elif not person.arms_up:
        _arm_beside(canvas, person, level)
    fat = _fat_mm(person, level)
    skin = person.outline(trunk, level, fat + 1.8)
    if person.breast and 0.2 < level < 0.66:
        _breasts(canvas, person, level, fat)
    canvas.fill(skin, SKIN_HU)
    canvas.fill(person.outline(trunk, level, fat), FAT_HU)
    flesh = Canvas(canvas.grid, FAT_HU, np.float32)
    if level < 1.12:
        _muscles(flesh, person, level)
    else:
        _neck(flesh, person, level)
    under = filled(canvas.grid, person.outline(trunk, level, -1.0))
    np.copyto(canvas.image, flesh.image, where=under > 0)


def _fat_mm(person: Anatomy, level: float) -> float:
    share = float(
        np.interp(level, [-1.0, -0.2, 0.3, 0.9, 1.1, 1.3], [1.5, 1.3, 1.0, 0.75, 0.6, 0.35])
    )
    return person.fat_mm * share


def _breasts(canvas: Canvas, person: Anatomy, level: float, fat: float) -> None:
    half, front, _ = person.trunk(level)
    swell = np.sqrt(max(0.0, 1.0 - ((level - 0.42) / 0.22) ** 2))
    rise = swell * (8 + 30 * person.breast)
    for sign in (-1.0, 1.0):
        centre = (sign * 0.56 * half, front - fat * 0.5 + 12)
        radii = (swell * (54 + 26 * person.breast), rise + 8)
        canvas.fill(oval(centre, (radii[0] + 1.8, radii[1] + 1.8)), SKIN_HU)
        canvas.fill(oval(centre, radii), FAT_HU)
        inner = oval((centre[0], centre[1] - 0.25 * rise), (radii[0] * 0.45, radii[1] * 0.42))
        canvas.fill(inner, FAT_HU + 70)


def _muscles(canvas: Canvas, person: Anatomy, level: float) -> None:
    half, front, back = person.cage(level)
    _, outer_front, outer_back = person.trunk(level)
    outer_half = person.trunk(level)[0]
    spine_x, spine_y = person.spine(level)
    thick = 1.0 if level > 0 else 1.5
    canvas.fill(person.outline(person.cage(level), level, 9.0 * thick), MUSCLE_HU)
    for sign in (-1.0, 1.0):
        if level > 0.42:
            pec = min(1.0, (level - 0.42) / 0.2)
            shape = oval(
                (sign * 0.56 * half, (front + outer_front) / 2 - 3), (0.5 * half, 4 + 9 * pec), 2.4
            )
            canvas.fill(turned(shape, sign * 20), MUSCLE_HU + 4)
        if level > -0.1:
            lat = oval(
                (sign * (half + outer_half) / 2 * 0.985, 0.35 * back), (8 + 6 * max(level, 0), 52)
            )
            canvas.fill(turned(lat, sign * 12), MUSCLE_HU)
        erector = oval((spine_x + sign * 34, (spine_y + 30 + outer_back) / 2), (27, 17), 2.5)
        canvas.fill(turned(erector, sign * -8), MUSCLE_HU + 2)
        if level < 0:
            belly = oval((sign * 0.36 * half, (front + outer_front) / 2 - 2), (0.33 * half, 6.5))
            canvas.fill(turned(belly, sign * 8), MUSCLE_HU)
        if level > 0.45:
            share = min(1.0, (level - 0.45) / 0.3)
            behind = (back + outer_back) / 2
            under = oval((sign * 0.72 * outer_half, behind - 16), (44 * share, 17 * share))
            canvas.fill(turned(under, sign * -32), MUSCLE_HU)
            trapezius = oval((sign * 48, outer_back - 4), (46, 7 * share))
            canvas.fill(turned(trapezius, sign * -5), MUSCLE_HU)
        if level > 0.82:
            deltoid = oval((sign * (outer_half - 22), 8), (26, 34))
            canvas.fill(deltoid, MUSCLE_HU)
            root = oval((sign * 62, spine_y + 8), (40, 34))
            canvas.fill(root, MUSCLE_HU - 4)


def _neck(canvas: Canvas, person: Anatomy, level: float) -> None:
    spine_x, spine_y = person.spine(level)
    half, front, back = person.trunk(level)
    canvas.fill(oval((spine_x, spine_y + 4), (0.66 * half, 0.62 * (back - spine_y))), MUSCLE_HU)
    for sign in (-1.0, 1.0):
        canvas.fill(oval((sign * 0.62 * half, spine_y - 26), (11, 19)), MUSCLE_HU)
        canvas.fill(
            turned(oval((sign * 0.5 * half, spine_y + 30), (26, 14)), sign * -30), MUSCLE_HU
        )
    canvas.fill(oval((0, (front + spine_y) / 2), (22, 20)), MUSCLE_HU - 6)


def _arms(canvas: Canvas, person: Anatomy, level: float) -> None:
    half, _, _ = person.trunk(min(level, 1.0))
    rise = (level - 0.8) * 250
    for sign in (-1.0, 1.0):
        if person.arms_up:
            x = sign * (half - 34 - 0.1 * max(rise - 50, 0))
            y = 6 - 0.25 * max(rise - 40, 0)
        else:
            x, y = sign * (half - 16), 12.0
            if level > 1.12:
                continue
        if level > 0.9:
            _limb(canvas, person, (x, y), 50.0 if level < 1.05 else 44.0)
        elif not person.arms_up:
            _limb(canvas, person, (x + sign * 22, y), 42.0)


def _arm_beside(canvas: Canvas, person: Anatomy, level: float) -> None:
    half, _, _ = person.trunk(level)
    radius = 42.0 if level > 0.1 else 34.0
    gap = 6.0 + 14.0 * (0.8 - level)
    for sign in (-1.0, 1.0):
        _limb(canvas, person, (sign * (half + _fat_mm(person, level) + gap + radius), 30.0), radius)


def _limb(canvas: Canvas, person: Anatomy, centre: tuple[float, float], radius: float) -> None:
    fat = min(0.5 * person.fat_mm, 0.4 * radius)
    canvas.disc(centre, radius + 1.8, SKIN_HU)
    canvas.disc(centre, radius, FAT_HU)
    canvas.disc(centre, radius - fat, MUSCLE_HU)
    canvas.disc(centre, 0.34 * radius, CORTEX_HU)
    canvas.disc(centre, 0.24 * radius, person.bone_hu * 0.5)


def paint_bones(canvas: Canvas, person: Anatomy, level: float, z_mm: float) -> None:
    """Ribs, sternum, clavicles, scapulae, shoulders and the spine."""
    if level < 1.02:
        _ribs(canvas, person, z_mm)
    if 0.28 < level < 0.88:
        _sternum(canvas, person, level)
    if 0.5 < level < 1.06:
        _scapulae(canvas, person, level)
    if 0.86 < level < 1.1:
        _clavicles(canvas, person, level)
    if 0.92 < level < 1.1:
        for sign in (-1.0, 1.0):
            half = person.trunk(min(level, 1.0))[0]
            _bone(canvas, person, oval((sign * (half - 30), 6), (23, 24)), 3.0)
    _vertebra(canvas, person, level, z_mm)


def _bone(canvas: Canvas, person: Anatomy, shape: Points, cortex_mm: float) -> None:
    canvas.fill(shape, person.bone_hu)
    canvas.line(shape, cortex_mm, CORTEX_HU, closed=True)


def _ribs(canvas: Canvas, person: Anatomy, z_mm: float) -> None:
    """Each rib is a tilted ring along the cage; a slice cuts a slanting piece out of it."""
    height = person.lung_height_mm
    level = person.level(z_mm)
    ring = person.outline(person.cage(level), level, 5.5)
    share = np.linspace(0.0, 1.0, 90)
    ways = [(sign, _along(ring, share, sign)) for sign in (-1.0, 1.0)]
    for rib in range(_RIBS):
        head = 0.985 * height - rib * height * 0.096
        fall = (42 + 95 * min(rib, 7) / 7) * (share - 0.22 * share**2) ** 1.15
        reach = 1.0 if rib < 7 else 1.0 - 0.13 * (rib - 6)
        for sign, way in ways:
            z = head - fall * (height / 250) * (1 + 0.04 * sign * np.sign(person.spine_bend))
            cut = (np.abs(z - z_mm) < 6.5) & (share < reach)
            if cut.any():
                _rib_piece(canvas, person, way[cut], cartilage=bool(share[cut].mean() > 0.8))


def _along(ring: Points, share: Array, sign: float) -> Points:
    """Points of the ring from beside the spine (share 0) round the side to the sternum (1)."""
    start, stop = (66.0, -72.0) if sign > 0 else (114.0, 252.0)
    index = (start + (stop - start) * share) / 360 * len(ring) % len(ring)
    grid = np.arange(len(ring) + 1)
    closed = np.append(ring, ring[:1], axis=0)
    return np.stack([np.interp(index, grid, closed[:, k]) for k in (0, 1)], axis=1)


def _rib_piece(canvas: Canvas, person: Anatomy, points: Points, *, cartilage: bool) -> None:
    canvas.line(points, 8.0, 110.0 if cartilage else CORTEX_HU)
    if not cartilage:
        canvas.line(points, 4.2, person.bone_hu + 40)


def _sternum(canvas: Canvas, person: Anatomy, level: float) -> None:
    _, front, _ = person.cage(level)
    width = 30.0 if level > 0.75 else 17.0
    shape = oval((person.spine(level)[0] * 0.5, front - 7), (width, 6.5), 2.6)
    _bone(canvas, person, shape, 1.8)


def _scapulae(canvas: Canvas, person: Anatomy, level: float) -> None:
    half, _, back = person.cage(0.75)
    share = min(1.0, (level - 0.5) / 0.35)
    for sign in (-1.0, 1.0):
        inner = (sign * (half * 0.62), back + 15)
        outer = (sign * (half * 0.62 + 62 * share), back + 15 - 50 * share)
        middle = ((inner[0] + outer[0]) / 2 + sign * 3, (inner[1] + outer[1]) / 2 + 7)
        blade = np.array([inner, middle, outer])
        canvas.line(blade, 6.0, CORTEX_HU)
        canvas.line(blade, 2.4, person.bone_hu)
        if level > 0.8:
            spine = np.array([middle, (middle[0] + sign * 22, middle[1] + 18)])
            canvas.line(spine, 6.0, CORTEX_HU)
            canvas.line(spine, 2.4, person.bone_hu)


def _clavicles(canvas: Canvas, person: Anatomy, level: float) -> None:
    """Bars that rise outwards: each level shows a slanting piece further out."""
    half = person.trunk(1.0)[0]
    share = (level - 0.86) / 0.22
    for sign in (-1.0, 1.0):
        low, high = np.clip([share - 0.28, share + 0.12], 0, 1)
        x = sign * (22 + np.array([low, high]) * (half - 70))
        y = person.cage(0.9)[1] - 12 + np.array([low, high]) * 34
        if high - low < 0.05:
            continue
        bar = np.stack([x, y], axis=1)
        canvas.line(bar, 12.0, CORTEX_HU)
        canvas.line(bar, 7.0, person.bone_hu + 60)


def _vertebra(canvas: Canvas, person: Anatomy, level: float, z_mm: float) -> None:
    x, y = person.spine(level)
    pitch = person.lung_height_mm / 11.5
    phase = (z_mm / pitch) % 1.0
    size = float(np.interp(level, [-1.0, 0.0, 1.0, 1.5], [1.35, 1.12, 0.85, 0.75]))
    body = oval((x, y), (17 * size, 14.5 * size), 2.3)
    if phase < 0.2:
        canvas.fill(body, 95.0)
    else:
        _bone(canvas, person, body, 3.0 if phase < 0.28 or phase > 0.92 else 1.6)
    arch = y + 14.5 * size
    canvas.disc((x, arch + 7), 13.0, CORTEX_HU * 0.75)
    if phase > 0.45:
        for sign in (-1.0, 1.0):
            wing = np.array([(x + sign * 9, arch + 4), (x + sign * 33, arch + 15)])
            canvas.line(wing, 8.0, CORTEX_HU * 0.8)
            canvas.line(wing, 3.5, person.bone_hu)
    tip = np.array([(x, arch + 17), (x, arch + 40 - 14 * phase)])
    canvas.line(tip, 5.5, CORTEX_HU * 0.8)
    canvas.disc((x, arch + 7), 8.5, 25.0)


def spine_zone(person: Anatomy, level: float) -> Points:
    """Closed curve around the spine and what lies behind it: no lung in there."""
    x, y = person.spine(level)
    right = [(-13, -18), (-19, -5), (-21, 8), (-27, 21), (-39, 34), (-48, 70)]
    points = [(x + dx, y + dy) for dx, dy in right]
    return np.array(points + [(2 * x - px, py) for px, py in reversed(points)])
