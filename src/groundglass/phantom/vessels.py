"""Branching trees in the lungs: arteries, veins and bronchi as tapering straight pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.anatomy import Anatomy
from groundglass.phantom.raster import Canvas

Array = NDArray[np.float64]

#: Murray's law with the exponent measured in human pulmonary arteries (about 2.3 to 2.7).
_MURRAY = 2.45
#: Pieces thicker than this in radius belong to the lung root and are not counted as lung.
HILAR_RADIUS_MM = 3.6


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Straight pieces of tubes.

    Parameters
    ----------
    start, stop : ndarray, shape (n, 3)
        Ends in patient mm.
    radius : ndarray, shape (n,)
        Radius in mm.
    """

    start: Array
    stop: Array
    radius: Array

    def at(self, z_mm: float, thickness_mm: float) -> tuple[Array, Array, Array]:
        """The pieces within a slab: ends (m, 4) in mm, radius (m,), share of the slab (m,)."""
        low = np.minimum(self.start[:, 2], self.stop[:, 2])
        high = np.maximum(self.start[:, 2], self.stop[:, 2])
        reach = thickness_mm / 2 + 0.6 * self.radius
        hit = (low < z_mm + reach) & (high > z_mm - reach)
        a, b, radius, reach = self.start[hit], self.stop[hit], self.radius[hit], reach[hit]
        step = b - a
        length = np.linalg.norm(step, axis=1) + 1e-9
        rise = np.where(np.abs(step[:, 2]) < 1e-6, 1e-6, step[:, 2])
        t = np.sort(
            np.stack([(z_mm - reach - a[:, 2]) / rise, (z_mm + reach - a[:, 2]) / rise]), axis=0
        )
        t = np.clip(t, 0, 1)
        ends = np.concatenate(
            [a[:, :2] + t[0][:, None] * step[:, :2], a[:, :2] + t[1][:, None] * step[:, :2]], axis=1
        )
        along = np.abs(step[:, 2]) / length
        share = np.clip(np.maximum(2 * radius / thickness_mm, along + 0.2), 0, 1)
        return ends, radius, share


def draw_tree(
    canvas: Canvas, pieces: tuple[Array, Array, Array], *, widen_mm: float = 0.0, full: bool = False
) -> None:
    """Draw pieces on a mask canvas; thin ones fainter, so that their width is kept on average."""
    ends, radius, share = pieces
    if not len(radius):
        return
    width = 2 * (radius + widen_mm) / canvas.pixel_mm
    pixels = np.clip(np.round(width), 1, None).astype(int)
    value = 255.0 * (np.ones_like(share) if full else share * np.clip(width / pixels, 0, 1))
    fixed = canvas.to_pixels(ends.reshape(-1, 2)).reshape(-1, 4)
    for k in np.argsort(value):
        canvas.segment(fixed[k], int(pixels[k]), float(value[k]))


def grow(root: Array, targets: Array, leaf_mm: float, rng: np.random.Generator) -> Tree:
    """A tree from a root to every target, by splitting the targets in two again and again."""
    starts: list[Array] = []
    stops: list[Array] = []
    counts: list[int] = []
    stack = [(root, targets)]
    while stack:
        here, rest = stack.pop()
        count = len(rest)
        if count == 1:
            starts.append(here)
            stops.append(rest[0])
            counts.append(1)
            continue
        way = rest.mean(axis=0) - here
        length = float(np.sqrt(way @ way)) + 1e-6
        there = here + way * float(rng.uniform(0.4, 0.58))
        there = there + rng.normal(0, 0.06 * length, 3)
        starts.append(here)
        stops.append(there)
        counts.append(count)
        spread = rest - here
        spread = spread - np.outer(spread @ way, way) / length**2
        across = spread[int(np.argmax(np.einsum("ij,ij->i", spread, spread)))]
        order = np.argsort(spread @ across)
        cut = min(max(1, round(count * float(rng.uniform(0.3, 0.7)))), count - 1)
        stack.append((there, rest[order[:cut]]))
        stack.append((there, rest[order[cut:]]))
    radius = leaf_mm * np.asarray(counts, float) ** (1 / _MURRAY)
    return Tree(np.array(starts), np.array(stops), np.minimum(radius, 7.5))


def sample_lung(person: Anatomy, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Points spread evenly in the (right, left) lung, at most `count` each, in patient mm."""
    half, front, back = person.cage(0.3)
    low = np.array([-1.05 * half, front, 0.0])
    high = np.array([1.05 * half, back, person.lung_height_mm])
    points = rng.uniform(low, high, (count * 8, 3))
    points = points[person.in_lung(points)]
    return points[points[:, 0] < 0][:count], points[points[:, 0] > 0][:count]


Pools = tuple[Array, Array]


@dataclass(frozen=True, slots=True, eq=False)
class LungTrees:
    """The trees of both lungs.

    Parameters
    ----------
    vessels : Tree
        Arteries and veins.
    bronchi : Tree
        Radius is that of the air inside.
    """

    vessels: Tree
    bronchi: Tree


def grow_lungs(person: Anatomy, pools: Pools, rng: np.random.Generator) -> LungTrees:
    """Arteries, veins and bronchi from the lung roots outwards."""
    height = person.lung_height_mm
    vessels, bronchi = [], []
    for side, sign in enumerate((-1.0, 1.0)):
        hub = person.spine(0.55)[1] - 36
        roots = [(0.575, 0.0, 620, 0.37), (0.47, -9.0, 480, 0.36)]
        for level, dy, count, leaf in roots:
            targets = rng.choice(pools[side], count, replace=False)
            root = np.array([sign * 34, hub + dy, level * height])
            vessels.append(grow(root, targets, leaf, rng))
        targets = rng.choice(pools[side], 70, replace=False)
        root = np.array([sign * 30, hub + 5, (0.57 if side == 0 else 0.54) * height])
        bronchi.append(grow(root, targets * 0.8 + 0.2 * root, 0.85, rng))
    return LungTrees(_join(vessels), _join(bronchi))


def _join(trees: list[Tree]) -> Tree:
    return Tree(
        np.concatenate([t.start for t in trees]),
        np.concatenate([t.stop for t in trees]),
        np.concatenate([t.radius for t in trees]),
    )
