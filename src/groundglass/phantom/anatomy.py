"""One person's shape: the numbers that are drawn once, and the curves that follow from them.

Frame: patient mm, x to the left, y to the back, z to the head. z = 0 is the bottom of the deepest
costophrenic recess, z = `lung_height_mm` the top of the lungs. A *level* runs with z: 0 to 1
through the lungs, 1 per 250 mm beyond. The tables hold typical adult measures in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.raster import Float, Points

Array = NDArray[np.float64]

_LEVEL = np.array(
    [-1.0, -0.6, -0.3, 0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.87, 0.93, 0.97, 1.0, 1.1, 1.25, 1.6]
)
#: Inner side of the rib cage: half width, front and back.
_CAGE_HALF = np.array(
    [118, 125, 129, 131, 134, 134, 131, 125, 117, 104, 92, 80, 70, 62, 46, 30, 26], float
)
_CAGE_FRONT = np.array(
    [-85, -92, -95, -95, -94, -91, -86, -77, -68, -55, -44, -34, -27, -22, -15, -15, -20], float
)
_CAGE_BACK = np.array([66, 72, 80, 88, 90, 91, 90, 88, 85, 79, 73, 66, 60, 55, 46, 40, 40], float)
#: Outside of the muscles, under the subcutaneous fat.
_TRUNK_HALF = np.array(
    [134, 140, 145, 150, 153, 154, 156, 160, 165, 173, 181, 188, 190, 190, 165, 78, 62], float
)
_TRUNK_FRONT = np.array(
    [-101, -107, -110, -110, -109, -107, -104, -97, -90, -78, -68, -58, -52, -48, -40, -48, -66],
    float,
)
_TRUNK_BACK = np.array(
    [104, 106, 110, 114, 117, 120, 122, 124, 124, 122, 118, 113, 109, 105, 88, 70, 62], float
)
#: Centre of the vertebral bodies.
_SPINE_Y = np.array([38, 40, 44, 50, 53, 55, 55, 53, 50, 44, 39, 34, 31, 28, 20, 12, 8], float)

_ANGLE = np.linspace(0.0, 2.0 * np.pi, 96, endpoint=False)


def _unit_outline() -> Array:
    """The chest's outline at size 1: wider and boxier behind than in front."""
    cos, sin = np.cos(_ANGLE), np.sin(_ANGLE)
    power = 2.0 / (2.2 + 0.18 * sin)
    x = np.sign(cos) * np.abs(cos) ** power * (1.0 + 0.06 * sin)
    return np.stack([x, np.sign(sin) * np.abs(sin) ** power], axis=1)


_UNIT = _unit_outline()


def between(level: float, levels: Sequence[float], values: Sequence[float]) -> float:
    """A measure that runs from value to value between levels, and stays put beyond them."""
    return float(np.interp(level, levels, values))


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """Everything about one person that does not depend on the disease."""

    lung_height_mm: float
    """Deepest recess to apex."""
    width: float
    depth: float
    """`width`, `depth`: factors on left-right and front-back measures."""
    fat_mm: float
    """Subcutaneous fat at the side of the chest."""
    breast: float
    """0 (none) to 1 (large)."""
    waves: Array
    """Shape (k, 4). Low harmonics of the chest's outline: amplitude, order, phase, turns of the
    phase per level."""
    dome_level: tuple[float, float]
    """Level of the top of the (right, left) diaphragm dome."""
    recess_mm: tuple[float, float]
    """How far the right and left domes fall to the wall at the back."""
    heart: float
    heart_x: float
    heart_turn: float
    """`heart`, `heart_x`, `heart_turn`: size factor, shift in mm, direction of the axis in
    degrees."""
    aorta: float
    """Size factor of the great vessels."""
    spine_bend: float
    """Sideways amplitude of the spine in mm."""
    kyphosis: float
    """Shift in mm of the upper chest to the back."""
    contrast_hu: float
    """Enhancement of blood; 0 for a plain scan."""
    bone_hu: float
    """Cancellous bone."""
    arms_up: bool
    """Beside the head, or beside the body."""
    parenchyma_hu: float
    """Lung at mid depth."""
    gradient_hu: float
    """Difference of the lung from front to back."""
    dependent: float
    """Strength of the dependent density at the back, 0 to 1."""
    offsets: Array
    """Shape (4, 3). The person's places in the noise."""
    detail_seed: int
    """For details drawn later (vessels, bowel)."""

    def level(self, z_mm: float) -> float:
        """Level of a height."""
        if z_mm < 0:
            return z_mm / 250.0
        if z_mm > self.lung_height_mm:
            return 1.0 + (z_mm - self.lung_height_mm) / 250.0
        return z_mm / self.lung_height_mm

    def height_mm(self, level: float) -> float:
        """Height of a level; the inverse of `level`."""
        if level < 0:
            return level * 250.0
        if level > 1:
            return self.lung_height_mm + (level - 1.0) * 250.0
        return level * self.lung_height_mm

    def spine(self, level: float) -> tuple[float, float]:
        """(x, y) of the vertebral body."""
        y = float(np.interp(level, _LEVEL, _SPINE_Y)) * self.depth
        return self.spine_bend * float(np.sin(3.2 * level)), y + self._lean(level)

    def cage(self, level: float) -> tuple[float, float, float]:
        """Half width, front and back of the inner rib cage."""
        return self._box(level, _CAGE_HALF, _CAGE_FRONT, _CAGE_BACK)

    def trunk(self, level: float) -> tuple[float, float, float]:
        """Half width, front and back of the muscles' outside."""
        return self._box(level, _TRUNK_HALF, _TRUNK_FRONT, _TRUNK_BACK)

    def _box(self, level: float, *tables: Array) -> tuple[float, float, float]:
        half, front, back = (float(np.interp(level, _LEVEL, table)) for table in tables)
        lean = self._lean(level)
        return half * self.width, front * self.depth + lean, back * self.depth + lean

    def _lean(self, level: float) -> float:
        return self.kyphosis * float(np.clip(level, 0.0, 1.2)) ** 2

    def outline(self, box: tuple[float, float, float], level: float, margin: float = 0.0) -> Points:
        """Closed curve (96, 2) in mm around a (half width, front, back), widened by a margin."""
        half, front, back = box
        amplitude, order, phase, turns = self.waves.T[:, :, None]
        wave = 1.0 + (amplitude * np.cos(order * _ANGLE + phase + turns * level)).sum(axis=0)
        size = np.array([half + margin, (back - front) / 2 + margin])
        centre = np.array([self.spine(level)[0] * 0.5, (front + back) / 2])
        return np.asarray(_UNIT * size * wave[:, None] + centre)

    def depth_in_cage(self, points: Array) -> Array:
        """How far out (n, 3) points lie: 0 at the middle of the cage, 1 at its wall."""
        levels = np.where(points[:, 2] < 0, points[:, 2] / 250, points[:, 2] / self.lung_height_mm)
        half, front, back = (
            np.interp(levels, _LEVEL, t) for t in (_CAGE_HALF, _CAGE_FRONT, _CAGE_BACK)
        )
        lean = self.kyphosis * np.clip(levels, 0, 1.2) ** 2
        front, back = front * self.depth + lean, back * self.depth + lean
        dx = np.abs(points[:, 0]) / (half * self.width)
        dy = np.abs(points[:, 1] - (front + back) / 2) / ((back - front) / 2)
        return np.asarray((dx**2.35 + dy**2.35) ** (1 / 2.35))

    def dome_mm(self, x: Float, y: Float) -> Float:
        """Height of the diaphragm in mm over positions in mm (arrays that broadcast)."""
        return np.maximum(self._dome(x, y, 0), self._dome(x, y, 1))

    def _dome(self, x: Float, y: Float, side: int) -> Float:
        half, front, back = self.cage(self.dome_level[side] * 0.6)
        sign = -1.0 if side == 0 else 1.0
        cx, cy = 0.46 * half, front + 0.31 * (back - front)
        out = np.asarray(x * np.float32(sign) - np.float32(cx), np.float32)
        behind = np.asarray(y - np.float32(cy), np.float32)
        recess = np.float32(self.recess_mm[side])
        dx = np.abs(out) / np.where(out > 0, np.float32(half - cx), np.float32(1.9 * cx))
        dy = np.abs(behind) / np.where(behind > 0, np.float32(back - cy), np.float32(cy - front))
        sideways = np.where(out > 0, np.float32(0.8) * recess, np.float32(0.6) * recess)
        along = np.where(behind > 0, recess, np.float32(0.24) * recess)
        top = np.float32(self.dome_level[side] * self.lung_height_mm)
        return np.asarray(top - sideways * _steep(dx) - along * _steep(dy), np.float32)

    def heart_shape(self, level: float) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Centre and half axes of the heart at a level; None above and below it."""
        bottom, top = min(self.dome_level) - 0.06, 0.62
        middle = bottom + 0.42 * (top - bottom)
        reach = (top - middle) if level > middle else (middle - bottom)
        share = 1.0 - ((level - middle) / reach) ** 2
        if share <= 0.02:
            return None
        size = self.heart * share**0.5
        _, front, _ = self.cage(level)
        _, spine_y = self.spine(level)
        y = 0.56 * (front + 6) + 0.44 * (spine_y - 24)
        tilt = (middle - level) * 60.0
        centre = (self.heart_x + 6 * self.heart + tilt * 0.6, y - 3)
        return centre, (57 * size * self.width, min(49 * size, 0.47 * (spine_y - 22 - front)))

    def in_lung(self, points: Array) -> NDArray[np.bool_]:
        """Which of (n, 3) points surely lie in a lung (a few mm away from its borders)."""
        levels = points[:, 2] / self.lung_height_mm
        inside = (self.depth_in_cage(points) < 0.96) & (levels > 0) & (levels < 0.985)
        x, y = points[:, 0].astype(np.float32), points[:, 1].astype(np.float32)
        inside &= points[:, 2] > self.dome_mm(x, y) + 3
        inside &= np.abs(points[:, 0]) > np.interp(levels, [0, 0.5, 0.8, 1], [20, 28, 30, 32])
        spine_y = np.interp(levels, _LEVEL, _SPINE_Y) * self.depth
        inside &= ~((np.abs(points[:, 0]) < 40) & (points[:, 1] > spine_y + 20))
        for side in (0, 1):
            (cx, cy), (rx, ry) = self.apex(side, levels)
            mine = (points[:, 0] < 0) == (side == 0)
            out = ((points[:, 0] - cx) / rx) ** 2 + ((points[:, 1] - cy) / ry) ** 2
            inside &= ~(mine & (levels > 0.7) & (out > 0.92))
        return np.asarray(inside & ~self._in_heart(points, levels))

    def _in_heart(self, points: Array, levels: Array) -> NDArray[np.bool_]:
        grid = np.linspace(0.0, 0.8, 81)
        shapes = [self.heart_shape(float(level)) or ((0.0, 0.0), (-5.9, -5.9)) for level in grid]
        cx, cy, rx, ry = (
            np.interp(levels, grid, column) for column in np.array(shapes).reshape(-1, 4).T
        )
        out = ((points[:, 0] - cx) / (rx + 6)) ** 2 + ((points[:, 1] - cy) / (ry + 6)) ** 2
        return np.asarray(out < 1)

    def apex(self, side: int, levels: Array) -> tuple[tuple[float, Array], tuple[Array, Array]]:
        """Centre and half axes of the oval that rounds a lung off towards its apex."""
        sign = -1.0 if side == 0 else 1.0
        share = np.sqrt(np.clip((1.0 - levels) / 0.2, 1e-3, None))
        cy = np.interp(levels, [0.7, 1.0], [8.0, 18.0]) * self.depth + self.kyphosis * levels**2
        return (sign * 47.0 * self.width, cy), (52 * self.width * share, 64 * self.depth * share)


def _steep(share: NDArray[np.floating]) -> Float:
    """How a dome falls from its top (0) to the wall (1)."""
    return np.asarray((share * share * (0.6 + 0.4 * share * share)) ** 0.78, np.float32)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A person at random."""
    size = rng.normal(1.05, 0.055)
    top = float(rng.uniform(0.2, 0.4))
    height = float(np.clip(rng.normal(252, 24) * size, 185, 320))
    orders = np.arange(2, 7)
    waves = np.stack(
        [
            rng.normal(0, 0.04 / orders**1.3),
            orders,
            rng.uniform(0, 2 * np.pi, 5),
            rng.normal(0, 0.8, 5),
        ],
        axis=1,
    )
    female = rng.random() < 0.5
    return Anatomy(
        lung_height_mm=height,
        width=float(np.clip(size * rng.normal(1.0, 0.06), 0.82, 1.2)),
        depth=float(np.clip(size * rng.normal(1.0, 0.085), 0.78, 1.28)),
        fat_mm=float(np.clip(rng.lognormal(2.4, 0.65), 3, 45)),
        breast=float(rng.uniform(0.15, 1.0)) if female else 0.0,
        waves=waves,
        dome_level=(top, top - float(rng.uniform(0.0, 0.08))),
        recess_mm=(
            float(top * height * rng.uniform(0.95, 1.15)),
            float(top * height * rng.uniform(0.9, 1.1)),
        ),
        heart=float(np.clip(rng.normal(1.0, 0.1), 0.75, 1.3)),
        heart_x=float(rng.normal(16, 6)),
        heart_turn=float(rng.normal(-32, 8)),
        aorta=float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.4)),
        spine_bend=float(rng.normal(0, 4)),
        kyphosis=float(rng.normal(4, 6)),
        contrast_hu=float(rng.uniform(80, 320)) if rng.random() < 0.25 else 0.0,
        bone_hu=float(rng.uniform(90, 260)),
        arms_up=bool(rng.random() < 0.8),
        parenchyma_hu=float(np.clip(rng.normal(-838, 38), -910, -720)),
        gradient_hu=float(np.clip(rng.normal(80, 35), 0, 170)),
        dependent=float(rng.beta(1.2, 3.0)),
        offsets=rng.uniform(0, 64, (4, 3)),
        detail_seed=int(rng.integers(2**31)),
    )
