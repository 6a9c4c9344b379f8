"""What is wrong in the lungs: how far the air is replaced, where, and with which texture.

Everything is a `Lesion`, a soft ellipsoid that fills a share of the alveoli (`filling`): 0.2 to 0.5
is ground glass, about 1 consolidation, below 0 emphysema. The pattern decides the class: CP is
bilateral, peripheral, posterior and basal ground glass (RSNA consensus 2020, "typical"); NCP is
lobar or segmental consolidation with air bronchograms, tree-in-bud and effusion. Density does not:
a share of CP has dense consolidation at the back, a share of NCP ground glass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.anatomy import Anatomy
from groundglass.phantom.raster import Box, Float, Grid, noise_plane
from groundglass.phantom.settings import PhantomSettings, stream
from groundglass.phantom.vessels import Pools

#: Share of CP with dense consolidation besides. Of 2 655 COVID-19 patients 35 % had ground glass
#: with consolidation, and as many air bronchograms (review of 28 studies, PMC8119228).
_DENSE_CP = 0.35
#: Share of NCP with ground glass of its own, beyond the halo of a consolidation. Ground glass was
#: seen in 68 % of 205 other viral pneumonias (Bai et al., Radiology 2020;296:E46), and was all
#: there was in 3 % of pneumonias acquired outside hospital (PMC7093861). Between: our choice.
_GLASS_NCP = 0.5
#: How far noise moves outlines, as a share of the size, and how uneven the air is within a lesion
#: at 4 to 10 mm and at 2 to 4 mm, as shares of its filling. Our choice, between what real lesions
#: show in equalised pictures and in linear ones (docs/explanation/made-lesions.md).
_OUTLINE, _COARSE_TEXTURE, _FINE_TEXTURE = 0.24, 0.28, 0.32
#: Odds of NCP's kinds: a lobe, patches around airways, diffuse glass around the hila. Our choice.
_KINDS_NCP = (0.45, 0.3, 0.25)

Array = NDArray[np.float64]
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Lesion:
    """A soft ellipsoid in which alveoli are filled."""

    centre_mm: Vector
    """(x, y, z) in patient mm."""
    radii_mm: Vector
    """Half axes: across the pleura, along it, along z."""
    turn_deg: float = 0.0
    """Angle of the first axis from x towards y."""
    filling: float = 0.3
    """Share of the air replaced at the centre; negative destroys lung."""
    rough: float = 0.5
    """How much noise moves the border; 0 is a clean ellipsoid."""
    paving: float = 0.0
    """Strength of a network of thickened septa (crazy paving)."""
    core: float = 0.0
    """How much of the inside is consolidated, 0 to 1."""
    blur: float = 0.16
    """Width of the border as a share of the size."""
    lobe: int | None = None
    """Confined to one side of the oblique fissure: 1 behind, -1 in front."""
    disease: bool = True
    """Whether it belongs to the class, or is an everyday confuser."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All there is to see in one person's lungs."""

    lesions: tuple[Lesion, ...]
    """Disease and confusers."""
    effusion_mm: tuple[float, float] = (0.0, 0.0)
    """Depth of fluid behind the (right, left) lung at its base; 0 for none. Fluid is not lung."""


def fissure(person: Anatomy, x: Float | float, y: Float | float, z_mm: float) -> Float:
    """Distance in mm behind the oblique fissure (negative in front of it)."""
    _, front, back = person.cage(0.4)
    share = z_mm / person.lung_height_mm
    own = np.sin(person.offsets[1])
    tilt = np.where(x > 0, np.float32(0.06 * own[0]), np.float32(0.06 * own[1]))
    base = front + (back - front) * (np.float32(0.12 + 1.02 * share) + tilt)
    bulge = np.float32(8.0 + 4 * own[2]) * np.cos((np.abs(x) - np.float32(70)) / np.float32(45))
    return np.asarray((y - base + bulge) * np.float32(0.75), np.float32)


def _turn_to_wall(person: Anatomy, point: Array) -> float:
    half, front, back = person.cage(float(point[2]) / person.lung_height_mm)
    dx = point[0] / half**2
    dy = (point[1] - (front + back) / 2) / ((back - front) / 2) ** 2
    return float(np.rad2deg(np.arctan2(dy, dx)))


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """Where lesions can be: the person and points spread over the (right, left) lung."""

    person: Anatomy
    pools: Pools


def _vector(point: Array) -> Vector:
    return float(point[0]), float(point[1]), float(point[2])


def _pick(site: Site, weights: Vector, side: int | None, rng: np.random.Generator) -> Array:
    """A point in the lung: weights favour (periphery, back, base); side 0 right, 1 left."""
    person = site.person
    pool = np.concatenate(site.pools) if side is None else site.pools[side]
    pool = pool[rng.integers(0, len(pool), 300)]
    half_y = np.ptp(pool[:, 1]) / 2 + 1e-6
    odds = np.exp(
        weights[0] * (person.depth_in_cage(pool) - 1) * 3
        + weights[1] * (pool[:, 1] - pool[:, 1].mean()) / half_y
        - weights[2] * (pool[:, 2] / person.lung_height_mm - 0.5) * 2
    )
    return np.asarray(pool[rng.choice(len(pool), p=odds / odds.sum())])


def draw_findings(site: Site, settings: PhantomSettings) -> Findings:
    """The disease of the label, plus the confusers anybody of this seed may have."""
    confusers = _confusers(site, stream(settings.seed, "confusers"))
    rng = stream(settings.seed, "disease " + settings.label)
    besides = stream(settings.seed, "density " + settings.label)
    if settings.label == "CP":
        lesions = _covid(site, settings.severity, rng)
        if besides.random() < _DENSE_CP:
            lesions += _dense_behind(site, settings.severity, besides)
        return Findings(confusers + lesions)
    if settings.label == "NCP":
        lesions, effusion = _pneumonia(site, settings.severity, rng)
        if besides.random() < _GLASS_NCP:
            lesions += _glass(site, settings.severity, besides)
        return Findings(confusers + lesions, effusion)
    return Findings(confusers)


def _covid(site: Site, severity: float, rng: np.random.Generator) -> tuple[Lesion, ...]:
    count = int(rng.integers(2, 5) + rng.poisson(20 * severity**1.2))
    atypical = rng.random() < 0.12
    weights = (0.3, 0.3, 0.2) if atypical else (2.6, 1.4, 1.6)
    only = int(rng.integers(2)) if severity < 0.25 and rng.random() < 0.3 else None
    consolidated = float(rng.beta(1.2, 2.5)) * (0.25 + severity)
    paving = float(rng.random() < 0.25 + 0.5 * severity) * float(rng.uniform(0.1, 0.3))
    lesions = []
    for k in range(count):
        side = only if only is not None else (k % 2 if k < 2 else None)
        point = _pick(site, weights, side, rng)
        size = float(rng.lognormal(np.log(9 + 18 * severity), 0.35))
        flat = float(rng.uniform(0.55, 1.0))
        lesions.append(
            Lesion(
                centre_mm=_vector(point),
                radii_mm=(
                    size * flat,
                    size * float(rng.uniform(1, 1.9)),
                    size * float(rng.uniform(0.9, 1.6)),
                ),
                turn_deg=_turn_to_wall(site.person, point),
                filling=float(rng.uniform(0.16, 0.42) + 0.16 * severity),
                rough=float(rng.uniform(0.35, 0.7)),
                paving=paving,
                core=consolidated * float(rng.random() < 0.6),
                blur=float(rng.uniform(0.3, 0.7)),
            )
        )
        if rng.random() < 0.25:
            lesions.append(_subpleural_line(site, point, rng))
    return tuple(lesions)


def _dense_behind(site: Site, severity: float, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Consolidation of CP: flat along the pleura, behind and below, in both lungs, in its halo.

    Of 552 COVID-19 patients 82 % had disease behind, and as many at the pleura (PMC7355135).
    """
    lesions: list[Lesion] = []
    for k in range(2 + int(rng.poisson(3 * severity))):
        point = _pick(site, (3.0, 3.5, 1.6), k % 2, rng)
        size = float(rng.lognormal(np.log(10 + 13 * severity), 0.35))
        base = Lesion(
            centre_mm=_vector(point),
            radii_mm=(
                size * float(rng.uniform(0.35, 0.75)),
                size * float(rng.uniform(0.9, 2.0)),
                size * float(rng.uniform(0.8, 1.6)),
            ),
            turn_deg=_turn_to_wall(site.person, point),
            filling=float(rng.uniform(0.7, 1.0)),
            rough=float(rng.uniform(0.35, 0.7)),
            blur=float(rng.uniform(0.25, 0.6)),
        )
        lesions += [base, _halo(base, rng)]
    return tuple(lesions)


def _glass(site: Site, severity: float, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Ground glass of NCP: in the segments of a lobe or two, without regard to pleura and back."""
    lesions: list[Lesion] = []
    side = int(rng.integers(2))
    for k in range(1 + int(rng.random() < 0.4)):
        middle = _pick(site, (-0.4, 0.4, 0.2), side if k == 0 else 1 - side, rng)
        lobe = 1 if fissure(site.person, middle[0], middle[1], float(middle[2])) > 0 else -1
        for _ in range(1 + int(rng.poisson(1 + 3 * severity))):
            size = float(rng.lognormal(np.log(12 + 22 * severity), 0.35))
            lesions.append(
                Lesion(
                    centre_mm=_vector(middle + rng.normal(0, 8 + 14 * severity, 3)),
                    radii_mm=(
                        size,
                        size * float(rng.uniform(0.5, 1.7)),
                        size * float(rng.uniform(0.7, 1.3)),
                    ),
                    turn_deg=float(rng.uniform(0, 180)),
                    filling=float(rng.uniform(0.16, 0.42) + 0.1 * severity),
                    rough=float(rng.uniform(0.4, 0.8)),
                    paving=0.15 * float(rng.random() < 0.2),
                    blur=float(rng.uniform(0.3, 0.7)),
                    lobe=lobe,
                )
            )
    return tuple(lesions)


def _subpleural_line(site: Site, point: Array, rng: np.random.Generator) -> Lesion:
    """A curved line of organising pneumonia that runs along the pleura."""
    centre = point * np.array([0.97, 0.97, 1.0])
    return Lesion(
        _vector(centre),
        (1.4, float(rng.uniform(8, 22)), float(rng.uniform(4, 14))),
        _turn_to_wall(site.person, point) + float(rng.normal(0, 12)),
        float(rng.uniform(0.4, 0.75)),
        0.3,
    )


def _pneumonia(
    site: Site, severity: float, rng: np.random.Generator
) -> tuple[tuple[Lesion, ...], tuple[float, float]]:
    """Lesions and the depth of fluid in mm on the (right, left)."""
    side = int(rng.integers(2))
    # Below and behind more often than above and in front.
    half = 1 if rng.random() < 0.62 else -1
    kind = int(rng.choice(3, p=_KINDS_NCP))
    if kind == 0:
        lesions = _lobar(site, severity, side, half, rng)
    elif kind == 1:
        lesions = _patches(site, severity, side, rng)
    else:
        lesions = _diffuse(site, severity, rng)
    if rng.random() < 0.55:
        lesions += _tree_in_bud(site, severity, side, rng)
    fluid = [0.0, 0.0]
    if rng.random() < 0.1 + 0.45 * severity:
        fluid[side] = float(rng.uniform(5, 12 + 40 * severity))
        if rng.random() < 0.3:
            fluid[1 - side] = float(rng.uniform(4, 10 + 15 * severity))
    return tuple(lesions), (fluid[0], fluid[1])


def _lobar(
    site: Site, severity: float, side: int, half: int, rng: np.random.Generator
) -> list[Lesion]:
    """A consolidated lobe, now and then two; half 1 is below and behind, -1 above and in front."""
    lesions = []
    for k in range(1 + int(rng.random() < 0.5 * severity)):
        point = _pick(site, (0.6, 1.2 * half, 0.6 * half), side if k == 0 else 1 - side, rng)
        lobe = 1 if fissure(site.person, point[0], point[1], float(point[2])) > 0 else -1
        size = float(rng.uniform(9, 16) + 66 * severity**1.2 * rng.uniform(0.5, 1.1))
        base = Lesion(
            centre_mm=_vector(point),
            radii_mm=(
                size,
                size * float(rng.uniform(0.5, 1.3)),
                size * float(rng.uniform(0.7, 1.3)),
            ),
            turn_deg=_turn_to_wall(site.person, point),
            filling=float(rng.uniform(0.45 + 0.4 * min(1.0, 3 * severity), 1.02)),
            rough=float(rng.uniform(0.2, 0.5)),
            blur=float(rng.uniform(0.1, 0.3)),
            lobe=lobe,
        )
        lesions.append(base)
        lesions.append(_halo(base, rng))
    return lesions


def _halo(base: Lesion, rng: np.random.Generator) -> Lesion:
    grow = float(rng.uniform(1.1, 1.45))
    radii = (base.radii_mm[0] * grow, base.radii_mm[1] * grow, base.radii_mm[2] * grow)
    return Lesion(
        base.centre_mm,
        radii,
        base.turn_deg,
        float(rng.uniform(0.1, 0.3)),
        0.7,
        blur=0.5,
        lobe=base.lobe,
    )


def _patches(site: Site, severity: float, side: int, rng: np.random.Generator) -> list[Lesion]:
    """Bronchopneumonia: uneven patches around the airways of one or a few segments."""
    lesions: list[Lesion] = []
    for k in range(1 + int(rng.random() < severity) + int(rng.random() < severity)):
        middle = _pick(site, (-0.2, 0.5, 0.5), side if k == 0 else None, rng)
        for _ in range(2 + int(rng.poisson(6 * severity))):
            point = middle + rng.normal(0, 9 + 12 * severity, 3)
            size = float(rng.lognormal(np.log(7 + 11 * severity), 0.3))
            base = Lesion(
                _vector(point),
                (size, size * float(rng.uniform(0.5, 1.7)), size * float(rng.uniform(0.8, 1.3))),
                float(rng.uniform(0, 180)),
                float(rng.uniform(0.35, 1.0)),
                float(rng.uniform(0.5, 0.9)),
                blur=float(rng.uniform(0.2, 0.5)),
            )
            lesions += [base, _halo(base, rng)]
    return lesions


def _diffuse(site: Site, severity: float, rng: np.random.Generator) -> list[Lesion]:
    """Ground glass of another virus: around the hila, in both lungs, not at the wall."""
    lesions = []
    for k in range(4 + int(rng.poisson(8 * severity))):
        point = _pick(site, (-1.6, 0.0, 0.0), k % 2, rng)
        size = float(rng.lognormal(np.log(12 + 12 * severity), 0.3))
        lesions.append(
            Lesion(
                _vector(point),
                (size, size, size * float(rng.uniform(0.8, 1.4))),
                0.0,
                float(rng.uniform(0.15, 0.3) + 0.2 * severity),
                float(rng.uniform(0.5, 0.9)),
                paving=0.1 * float(rng.random() < 0.3),
            )
        )
    return lesions


def _tree_in_bud(site: Site, severity: float, side: int, rng: np.random.Generator) -> list[Lesion]:
    buds: list[Lesion] = []
    for _ in range(1 + int(rng.poisson(2 * severity))):
        middle = _pick(site, (0.8, 0.4, 0.6), side, rng)
        for _ in range(int(rng.integers(12, 40))):
            point = middle + rng.normal(0, 11 + 6 * severity, 3)
            size = float(rng.uniform(1.1, 2.6))
            long = size * float(rng.choice([1.0, 1.0, 2.5]))
            buds.append(
                Lesion(
                    _vector(point),
                    (size, long, size),
                    float(rng.uniform(0, 180)),
                    0.8,
                    0.1,
                )
            )
    return buds


def _confusers(site: Site, rng: np.random.Generator) -> tuple[Lesion, ...]:
    lesions: list[Lesion] = []
    for _ in range(int(rng.poisson(0.7))):
        point = _pick(site, (2.5, 0, 0.4), None, rng)
        lesions.append(
            _confuser(
                point,
                (float(rng.uniform(8, 26)), 1.2, float(rng.uniform(2, 9))),
                _turn_to_wall(site.person, point) + float(rng.normal(0, 25)),
                0.7,
            )
        )
    for _ in range(int(rng.poisson(0.6))):
        point = _pick(site, (0.5, 0, 0), None, rng)
        size = float(rng.uniform(1.8, 5.0))
        lesions.append(_confuser(point, (size, size, size), 0.0, 0.97))
    if rng.random() < 0.15:
        for _ in range(int(rng.integers(8, 50))):
            point = _pick(site, (0.6, -0.2, -1.5), None, rng)
            size = float(rng.lognormal(np.log(5), 0.5))
            lesions.append(_confuser(point, (size, size, size * 1.2), 0.0, -0.85))
    if rng.random() < 0.2:
        point = _pick(site, (2.0, 1.0, 0.5), None, rng)
        size = float(rng.uniform(4, 11))
        lesions.append(
            _confuser(point, (size, size * 1.4, size), 0.0, float(rng.uniform(0.1, 0.25)))
        )
    return tuple(lesions)


def _confuser(point: Array, radii: Vector, turn: float, filling: float) -> Lesion:
    return Lesion(_vector(point), radii, turn, filling, 0.15, disease=False)


@dataclass(frozen=True, slots=True)
class Plane:
    """One slice to be filled: pixels, height and thickness in mm."""

    grid: Grid
    z_mm: float
    thickness_mm: float


def fill_plane(findings: Findings, person: Anatomy, plane: Plane) -> tuple[Float, Float, Float]:
    """Filling of the alveoli on a plane.

    Returns
    -------
    filled : ndarray of float32, shape (rows, columns)
        Share of the air replaced, 0 to 1, by whatever.
    diseased : ndarray of float32
        The same by disease alone.
    destroyed : ndarray of float32
        Share of the tissue lost (emphysema), 0 to 1.
    """
    shape = (plane.grid.rows, plane.grid.columns)
    filled, diseased, destroyed = (np.zeros(shape, np.float32) for _ in range(3))
    todo = [
        les
        for les in findings.lesions
        if abs(plane.z_mm - les.centre_mm[2]) < les.radii_mm[2] * 1.9 + plane.thickness_mm / 2
    ]
    if not todo:
        return filled, diseased, destroyed
    coarse = noise_plane(plane.grid, plane.z_mm, 10.0, person.offsets[0])
    coarse += 0.45 * noise_plane(plane.grid, plane.z_mm, 4.0, person.offsets[1])
    mesh = noise_plane(plane.grid, plane.z_mm, 3.6, person.offsets[2])
    fine = mesh + noise_plane(plane.grid, plane.z_mm, 1.9, person.offsets[2])
    ridge = np.clip(1.0 - np.abs(mesh) * np.float32(2.2), 0, 1)
    for lesion in todo:
        box = _box(lesion, plane.grid)
        if box is None:
            continue
        inside = _inside(lesion, plane, box) + np.float32(_OUTLINE * lesion.rough) * coarse[box]
        share = _share(lesion, person, plane, box, inside)
        part = share * _texture(lesion, inside, (coarse[box], fine[box], ridge[box]))
        if lesion.filling < 0:
            np.maximum(destroyed[box], -part, out=destroyed[box])
            continue
        np.maximum(filled[box], part, out=filled[box])
        if lesion.disease:
            np.maximum(diseased[box], part, out=diseased[box])
    return filled, diseased, destroyed


def _box(lesion: Lesion, grid: Grid) -> Box | None:
    reach = max(lesion.radii_mm[:2]) * 1.9 + 2
    x0, y0 = grid.first_mm
    edges = []
    for centre, first, size in (
        (lesion.centre_mm[1], y0, grid.rows),
        (lesion.centre_mm[0], x0, grid.columns),
    ):
        low = max(0, int((centre - reach - first) / grid.pixel_mm))
        high = min(size, int((centre + reach - first) / grid.pixel_mm) + 2)
        if low >= high:
            return None
        edges.append(slice(low, high))
    return edges[0], edges[1]


def _inside(lesion: Lesion, plane: Plane, box: Box) -> Float:
    """1 at the lesion's centre, 0 at the border of its ellipsoid, negative outside."""
    x, y = plane.grid.axes()
    dx = x[:, box[1]] - np.float32(lesion.centre_mm[0])
    dy = y[box[0], :] - np.float32(lesion.centre_mm[1])
    turn = np.deg2rad(lesion.turn_deg)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = (dx * cos + dy * sin) / np.float32(lesion.radii_mm[0])
    v = (dy * cos - dx * sin) / np.float32(lesion.radii_mm[1])
    gap = max(0.0, abs(plane.z_mm - lesion.centre_mm[2]) - 0.3 * plane.thickness_mm)
    w = np.float32(gap / lesion.radii_mm[2])
    return np.asarray(1.0 - np.sqrt(u * u + v * v + w * w), np.float32)


def _share(lesion: Lesion, person: Anatomy, plane: Plane, box: Box, inside: Float) -> Float:
    """Coverage 0 to 1: the border is about a pixel on small things, wider on large ones."""
    x, y = plane.grid.axes()
    x, y = x[:, box[1]], y[box[0], :]
    soft = max(lesion.blur, 0.6 * plane.grid.pixel_mm / min(lesion.radii_mm[:2]))
    share = np.clip(inside / np.float32(soft) + np.float32(0.5), 0, 1)
    share *= np.asarray(x * np.float32(np.sign(lesion.centre_mm[0])) > 0)
    if lesion.lobe is not None:
        behind = fissure(person, x, y, plane.z_mm) * np.float32(lesion.lobe)
        share *= np.clip(behind / np.float32(plane.grid.pixel_mm) + np.float32(0.5), 0, 1)
    return np.asarray(share, np.float32)


def _texture(lesion: Lesion, inside: Float, noise: tuple[Float, Float, Float]) -> Float:
    """Filling within the lesion: uneven glass, thickened septa, a consolidated middle.

    `noise` is coarse (4 to 10 mm), fine (2 to 4 mm) and the ridges of a network.
    """
    coarse, fine, ridge = noise
    if lesion.filling < 0:
        return np.full_like(coarse, lesion.filling)
    uneven = np.float32(_COARSE_TEXTURE) * coarse + np.float32(_FINE_TEXTURE) * fine
    value = np.float32(lesion.filling) * (1 + np.float32(lesion.rough) * uneven)
    if lesion.paving:
        value += np.float32(lesion.paving) * ridge
    if lesion.core:
        solid = np.clip((inside - np.float32(1.0 - 1.1 * lesion.core)) * np.float32(2.5), 0, 1)
        value += (np.float32(0.93) - value) * solid
    return np.asarray(np.clip(value, 0.0, 1.0), np.float32)
