"""What to make: the settings of a phantom and its independent random streams."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import get_args

import numpy as np

from groundglass.core.choices import PhantomLabel
from groundglass.errors import SettingsError

#: The class labels, in the networks' order.
LABELS: tuple[str, ...] = get_args(PhantomLabel)


@dataclass(frozen=True, slots=True)
class PhantomSettings:
    """What the phantom shows and how it is scanned.

    Everything left at None is drawn from the seed alone, never from the label: two phantoms of one
    seed and different labels are the same person on the same scanner.
    """

    label: str = "healthy"
    """"CP" (COVID-19 pneumonia), "NCP" (other pneumonia) or "healthy"."""
    severity: float = 0.5
    """0 to 1, without meaning for "healthy". Median share of the lung diseased: half a percent at
    0, some 4 to 6 % at 0.35, 18 (NCP) to 30 % (CP) at 0.9, with a wide spread."""
    seed: int = 0
    """Non-negative; decides person, scanner and disease."""
    matrix: int = 512
    """Rows and columns of a slice. 512 is what scanners write; 256 is what the networks see."""
    slice_count: int | None = None
    """Number of slices, at least 1. Drawn values lie in 13 to 261, the range of the paper's
    data."""
    slice_spacing_mm: float | None = None
    """Distance between slice centres in mm. Drawn values lie in 0.75 to 5."""
    field_of_view_mm: float | None = None
    """Width of the reconstructed square in mm. Drawn values lie in 300 to 500."""

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            _refuse(f"label {self.label!r}", f"one of {', '.join(LABELS)}", "label")
        if not 0.0 <= self.severity <= 1.0:
            _refuse(f"severity {self.severity}", "0 to 1", "severity")
        if self.seed < 0:
            _refuse(f"seed {self.seed}", "a non-negative integer", "seed")
        if not 64 <= self.matrix <= 1024:
            _refuse(f"matrix {self.matrix}", "64 to 1024 rows and columns", "matrix")
        if self.slice_count is not None and not 1 <= self.slice_count <= 2000:
            _refuse(f"slice count {self.slice_count}", "1 to 2000 slices", "slice_count")
        if self.slice_spacing_mm is not None and not 0.1 <= self.slice_spacing_mm <= 50.0:
            _refuse(f"spacing {self.slice_spacing_mm} mm", "0.1 to 50 mm", "slice_spacing_mm")
        if self.field_of_view_mm is not None and not 100.0 <= self.field_of_view_mm <= 1000.0:
            _refuse(
                f"field of view {self.field_of_view_mm} mm", "100 to 1000 mm", "field_of_view_mm"
            )


def _refuse(found: str, expected: str, field: str) -> None:
    raise SettingsError(found, expected=expected, action=f"Change PhantomSettings.{field}.")


def stream(seed: int, purpose: str) -> np.random.Generator:
    """A random stream of its own for each purpose, so that one draw never shifts another."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])
