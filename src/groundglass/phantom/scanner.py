"""How the person is scanned: field of view, range, spacing, kernel, noise, table and covers.

Drawn from a stream of its own, which never sees the label.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.anatomy import Anatomy
from groundglass.phantom.raster import Canvas, Float, Grid
from groundglass.phantom.settings import PhantomSettings, stream

MIN_SLICES, MAX_SLICES = 13, 261
#: Scanners store no less than this for air.
_LOWEST_HU = -1024.0
#: Makes every height in micrometres positive, as a seed must be.
_HEIGHT_SHIFT = 10_000_000
_SPACINGS_MM = (0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
_SPACING_ODDS = (0.05, 0.17, 0.15, 0.1, 0.11, 0.1, 0.08, 0.06, 0.18)


@dataclass(frozen=True, slots=True)
class Scan:
    """One way of scanning one person."""

    grid: Grid
    """Pixels of every slice."""
    z_mm: tuple[float, ...]
    """Slice centres, feet to head."""
    spacing_mm: float
    thickness_mm: float
    """`spacing_mm`, `thickness_mm`: between slice centres; of a slice."""
    sharpness: float
    """Of the kernel: 0 soft, 1 a lung kernel with its edges overshot; between for half of all."""
    noise_hu: float
    """Standard deviation of the noise of a soft kernel in the middle of a normal body."""
    padding_hu: float | None
    """Value outside the reconstructed circle; None where the whole square is image."""
    table: int
    """Kind of table; 0 for none in the field of view."""
    table_gap_mm: float
    """Mattress between back and table."""
    sheets: int
    """How many covers lie on the body."""
    seed: int
    """For the noise of the slices."""


def draw_scan(person: Anatomy, settings: PhantomSettings) -> Scan:
    """A scanner and a technologist at random."""
    rng = stream(settings.seed, "scanner")
    half, front, back = person.trunk(0.4)
    body = 2 * (half + person.fat_mm) * 1.08
    view = float(np.clip(body * rng.uniform(0.92, 1.3), 300, 500))
    shift = rng.normal(0, 9), rng.normal(6, 12)
    if settings.field_of_view_mm is not None:
        view = settings.field_of_view_mm
    grid = Grid.square(
        settings.matrix,
        view,
        (float(shift[0]), (front + back) / 2 + float(shift[1])),
    )
    z_mm, spacing = _slices(person, settings, rng)
    padding = (None, -1024.0, -2000.0, -3024.0)[int(rng.choice(4, p=[0.5, 0.25, 0.2, 0.05]))]
    return Scan(
        grid=grid,
        z_mm=z_mm,
        spacing_mm=spacing,
        thickness_mm=max(spacing, 0.75) * float(rng.choice([1.0, 1.0, 1.25])),
        sharpness=float(np.clip(1.5 - 2 * rng.random(), 0, 1)),
        noise_hu=float(
            np.clip(rng.lognormal(np.log(14), 0.45), 5, 45) / np.sqrt(min(max(spacing, 1.0), 3.0))
        ),
        padding_hu=padding,
        table=int(rng.choice(4, p=[0.12, 0.35, 0.3, 0.23])),
        table_gap_mm=float(rng.uniform(2, 26)),
        sheets=int(rng.choice(4, p=[0.3, 0.3, 0.25, 0.15])),
        seed=int(rng.integers(2**31)),
    )


def _slices(
    person: Anatomy, settings: PhantomSettings, rng: np.random.Generator
) -> tuple[tuple[float, ...], float]:
    height = person.lung_height_mm
    tight = rng.random() < 0.45
    low = rng.uniform(-25, -4) if tight else -float(rng.gamma(2.0, 38))
    high = height + (rng.uniform(3, 20) if tight else float(rng.gamma(2.0, 22)))
    low, high = max(low, -230.0), min(high, height + 130.0)
    spacing = float(rng.choice(_SPACINGS_MM, p=_SPACING_ODDS))
    part, place, share = rng.random(), rng.uniform(0.35, 0.65), rng.uniform(0.25, 0.7)
    most = int(rng.integers(MAX_SLICES // 2, MAX_SLICES + 1))
    if part < 0.08:
        # A partial series, as public sets hold them: some slices about the middle of the lungs.
        middle, reach = place * height, max(MIN_SLICES * spacing, share * height) / 2
        low, high = middle - reach, middle + reach
    if settings.slice_spacing_mm is not None:
        spacing = settings.slice_spacing_mm
    count = settings.slice_count
    if count is None:
        count = int(np.clip(round((high - low) / spacing) + 1, MIN_SLICES, most))
    if settings.slice_spacing_mm is None:
        spacing = float(np.clip((high - low) / max(count - 1, 1), 0.75, 5.0))
    middle = (low + high) / 2
    if (count - 1) * spacing < high - low - spacing:
        middle = 0.5 * height + (place - 0.5) * 0.2 * height
    z = middle + (np.arange(count) - (count - 1) / 2) * spacing
    return tuple(float(v) for v in np.round(z, 3)), float(spacing)


def paint_room(canvas: Canvas, person: Anatomy, scan: Scan, z_mm: float) -> None:
    """Table and cover; the body is painted over them."""
    back = person.trunk(0.4)[2] + person.fat_mm + 2 + scan.table_gap_mm
    x = np.linspace(-260, 260, 60)
    if scan.table:
        sag = (0.0, 4.5e-4, 8e-4, 1.5e-4)[scan.table]
        top = np.stack([x, back - sag * x**2 + 6], axis=1)
        under = np.stack(
            [x, back + 22 + (14 if scan.table == 2 else 26) - 1.4 * sag * x**2], axis=1
        )
        canvas.fill(np.concatenate([top, under[::-1]]), -955.0 if scan.table != 3 else -900.0)
        canvas.line(top, 2.2, -120.0 + 90 * scan.table)
        canvas.line(under, 1.6, -250.0)
        if scan.table_gap_mm > 8:
            pad = np.stack([x * 0.8, back - 0.8 * sag * x**2 + 2], axis=1)
            canvas.line(pad, min(8.0, scan.table_gap_mm * 0.5), -940.0)
        if scan.table == 2:
            canvas.fill(
                np.array([(-30, back + 70), (30, back + 70), (26, back + 82), (-26, back + 82)]),
                350.0,
            )
    for sheet in range(scan.sheets):
        _sheet(canvas, person, z_mm, sheet)


def _sheet(canvas: Canvas, person: Anatomy, z_mm: float, sheet: int) -> None:
    """A cover that lies on the body in folds and hangs down beside it, with air under it."""
    level = min(person.level(z_mm), 1.0)
    phase = person.detail_seed % 97 + 2.1 * sheet
    curve = person.outline(person.trunk(level), level, person.fat_mm + 5 + 4 * sheet)
    along = np.linspace(0.0, 1.0, len(curve))
    fold = np.sin(29 * along + phase + z_mm / 31) + np.sin(71 * along - phase + z_mm / 57)
    beside = np.clip((curve[:, 1] + 30) / 60, 0, 1)
    lift = 2.0 + (2.2 + 5 * beside) * np.abs(fold)
    centre = curve.mean(axis=0)
    out = curve - centre
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    line = curve + out * (lift + 10 * beside)[:, None]
    start = int(np.argmax(curve[:, 1]))
    line = np.roll(line, -start, axis=0)[6:-6]
    canvas.line(line, 1.2, -700.0 - 60 * sheet)


def expose(image: Float, scan: Scan, z_mm: float, body: Float) -> Float:
    """Kernel, noise and padding on a slice.

    Parameters
    ----------
    image : ndarray of float32, shape (matrix, matrix)
        Noise-free HU.
    scan : Scan
        The scanner.
    z_mm : float
        Height in the patient; seeds the noise of this slice.
    body : ndarray of float32
        1 inside the body, 0 in air.
    """
    grid = scan.grid
    rng = np.random.default_rng([scan.seed, round(z_mm * 1000) + _HEIGHT_SHIFT])
    sharp = scan.sharpness
    image = _blur(image, (0.7 - 0.35 * sharp) / grid.pixel_mm)
    noise = _blur(
        rng.standard_normal(image.shape, np.float32), (0.85 - 0.5 * sharp) / grid.pixel_mm
    )
    if sharp:
        image = image + np.float32(0.5 * sharp) * (image - _blur(image, 1.3 / grid.pixel_mm))
        noise -= np.float32(0.75 * sharp) * _blur(noise, 1.5 / grid.pixel_mm)
    level = (1 + 1.6 * sharp) * scan.noise_hu
    noise *= np.float32(level / max(float(noise[::4, ::4].std()), 1e-6))
    small = cv2.resize(body, (32, 32), interpolation=cv2.INTER_AREA)
    depth = cv2.resize(cv2.blur(small, (9, 5)), (grid.columns, grid.rows))
    image = image + noise * (np.float32(0.45) + np.float32(0.75) * depth)
    image = np.maximum(image, _LOWEST_HU)
    outside = outside_circle(scan)
    if outside is not None and scan.padding_hu is not None:
        image[outside] = scan.padding_hu
    return np.asarray(image, np.float32)


def outside_circle(scan: Scan) -> NDArray[np.bool_] | None:
    """Pixels beyond the reconstructed circle; None where the whole square is image."""
    if scan.padding_hu is None:
        return None
    matrix = scan.grid.rows
    span = (np.arange(matrix, dtype=np.float32) - np.float32((matrix - 1) / 2)) ** 2
    return np.asarray(span[:, None] + span[None, :] > (matrix / 2) ** 2)


def _blur(image: Float, sigma_px: float) -> Float:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma_px, 0.22)), np.float32)
