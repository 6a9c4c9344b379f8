"""Branching trees in the lungs: arteries, veins and bronchi as tapering straight pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.anatomy import Anatomy
from groundglass.phantom.raster import Canvas

Array = NDArray[np.float64]

#: Exponent of Murray's law: 1 over what human pulmonary arteries show (about 2.3 to 2.7).
_MURRAY = 1 / 2.5
#: How much the way to the root counts beside the length of a new piece.
_WAY_SHARE = 0.35
_MAX_RADIUS_MM = 7.5
#: Pieces thicker than this in radius belong to the lung root and are not counted as lung.
HILAR_VESSEL_MM = 3.6
HILAR_BRONCHUS_MM = 2.6


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The parts of a tree that lie within a slab."""

    ends: Array
    """Shape (m, 4). x, y of one end and x, y of the other, in mm."""
    radius: Array
    """Shape (m,). In mm."""
    share: Array
    """Shape (m,). How opaque to draw it, 0 to 1."""

    def thicker(self, radius_mm: float) -> Pieces:
        """Only the pieces above a radius, opaque."""
        keep = self.radius > radius_mm
        return Pieces(self.ends[keep], self.radius[keep], np.ones(int(keep.sum())))


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Straight pieces of tubes."""

    start: Array
    stop: Array
    """`start`, `stop`: shape (n, 3), ends in patient mm."""
    radius: Array
    """Shape (n,). Radius in mm."""

    def at(self, z_mm: float, thickness_mm: float) -> Pieces:
        """The parts within a slab; what fills only part of its thickness is as faint as that."""
        reach = thickness_mm / 2 + 0.6 * self.radius
        low = np.minimum(self.start[:, 2], self.stop[:, 2])
        high = np.maximum(self.start[:, 2], self.stop[:, 2])
        hit = (low < z_mm + reach) & (high > z_mm - reach)
        start, radius, reach = self.start[hit], self.radius[hit], reach[hit]
        step = self.stop[hit] - start
        rise = np.where(np.abs(step[:, 2]) < 1e-6, 1e-6, step[:, 2])
        enter, leave = (z_mm - reach - start[:, 2]) / rise, (z_mm + reach - start[:, 2]) / rise
        cut = np.clip(np.sort(np.stack([enter, leave]), axis=0), 0, 1)
        ends = [start[:, :2] + part[:, None] * step[:, :2] for part in cut]
        upright = np.abs(step[:, 2]) / (np.linalg.norm(step, axis=1) + 1e-9)
        share = np.clip(np.maximum(2 * radius / thickness_mm, upright + 0.2), 0, 1)
        return Pieces(np.concatenate(ends, axis=1), radius, share)


def draw_tree(canvas: Canvas, pieces: Pieces, *, widen_mm: float = 0.0) -> None:
    """Draw pieces on a mask canvas; thin ones fainter, so that their width is kept on average."""
    if not len(pieces.radius):
        return
    width = 2 * (pieces.radius + widen_mm) / canvas.pixel_mm
    pixels = np.clip(np.round(width), 1, None).astype(int)
    value = 255.0 * pieces.share * np.clip(width / pixels, 0, 1)
    fixed = canvas.to_pixels(pieces.ends.reshape(-1, 2)).reshape(-1, 4)
    for k in np.argsort(value):
        canvas.segment(fixed[k], int(pixels[k]), float(value[k]))


def grow(root: Array, targets: Array, leaf_mm: float) -> Tree:
    """A tree from a root through every target: short in all, yet with short ways to the root.

    Each target, nearest to the root first, joins the node that makes the new piece plus a share of
    the way on to the root shortest (Cuntz et al. 2010, PLoS Comput Biol 6(8), doi
    10.1371/journal.pcbi.1000877). Radii follow Murray's law from the leaves.

    Parameters
    ----------
    root : ndarray, shape (3,)
        Where the tree enters the lung, in patient mm.
    targets : ndarray, shape (n, 3)
        Where it has to get to.
    leaf_mm : float
        Radius of the last pieces.
    """
    order = np.argsort(np.linalg.norm(targets - root, axis=1))
    nodes = np.concatenate([root[None], targets[order]])
    count = len(nodes)
    parent = np.zeros(count, int)
    way = np.zeros(count)
    for k in range(1, count):
        step = nodes[:k] - nodes[k]
        length = np.sqrt(np.einsum("ij,ij->i", step, step))
        parent[k] = best = int(np.argmin(length + _WAY_SHARE * way[:k]))
        way[k] = way[best] + length[best]
    leaves = np.ones(count)
    children = np.bincount(parent[1:], minlength=count)
    leaves[children > 0] = 0
    for k in range(count - 1, 0, -1):
        leaves[parent[k]] += leaves[k]
    radius = np.minimum(leaf_mm * leaves**_MURRAY, _MAX_RADIUS_MM)
    return _curved(_smooth(nodes, parent, radius), parent, radius)


def _smooth(nodes: Array, parent: NDArray[np.int_], weight: Array) -> Array:
    """Pull every node between its parent and its children, thick children pulling more."""
    nodes = nodes.copy()
    for _ in range(2):
        pull = np.zeros_like(nodes)
        mass = np.zeros(len(nodes))
        np.add.at(pull, parent[1:], nodes[1:] * weight[1:, None])
        np.add.at(mass, parent[1:], weight[1:])
        inner = mass > 0
        inner[0] = False
        below = pull[inner] / mass[inner, None]
        nodes[inner] = 0.4 * nodes[inner] + 0.3 * nodes[parent[inner]] + 0.3 * below
    return nodes


def _curved(nodes: Array, parent: NDArray[np.int_], radius: Array) -> Tree:
    """Two pieces from each node to its parent, leaving the parent in its own direction."""
    child = np.arange(1, len(nodes))
    start, stop = nodes[parent[child]], nodes[child]
    before = start - nodes[parent[parent[child]]]
    length = np.linalg.norm(stop - start, axis=1, keepdims=True)
    before *= length / (np.linalg.norm(before, axis=1, keepdims=True) + 1e-6)
    middle = (start + stop) / 2 + before * 0.12
    above = np.minimum(radius[parent[child]], 1.35 * radius[child])
    return Tree(
        np.concatenate([start, middle]),
        np.concatenate([middle, stop]),
        np.concatenate([(above + radius[child]) / 2, radius[child]]),
    )


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
    """The trees of both lungs."""

    vessels: Tree
    """Arteries and veins."""
    bronchi: Tree
    """Radius is that of the air inside."""


def grow_lungs(person: Anatomy, pools: Pools, rng: np.random.Generator) -> LungTrees:
    """Arteries, veins and bronchi from the lung roots outwards."""
    height = person.lung_height_mm
    vessels, bronchi = [], []
    for side, sign in enumerate((-1.0, 1.0)):
        hub = person.spine(0.55)[1] - 36
        roots = [(0.575, 0.0, 800, 0.42), (0.47, -9.0, 650, 0.4)]
        for level, dy, count, leaf in roots:
            targets = rng.choice(pools[side], count, replace=False)
            root = np.array([sign * 34, hub + dy, level * height])
            vessels.append(grow(root, targets, leaf))
        targets = rng.choice(pools[side], 130, replace=False)
        root = np.array([sign * 30, hub + 5, (0.57 if side == 0 else 0.54) * height])
        bronchi.append(grow(root, targets * 0.8 + 0.2 * root, 0.62))
    return LungTrees(_join(vessels), _join(bronchi))


def _join(trees: list[Tree]) -> Tree:
    return Tree(
        np.concatenate([t.start for t in trees]),
        np.concatenate([t.stop for t in trees]),
        np.concatenate([t.radius for t in trees]),
    )
