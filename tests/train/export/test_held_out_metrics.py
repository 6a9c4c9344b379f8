"""Figures of an encoder alone: which slices are set against which."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Case
from groundglass.train.data.cache import PreparedCase
from groundglass.train.export.held_out_metrics import slice_figures
from groundglass.train.networks import SliceEncoder

#: Severity and grey value of each slice; healthy ones have none.
SLICES = [("", 10), ("", 20), ("", 30), ("CT-1", 15), ("CT-1", 40), ("CT-2", 50), ("CT-3", 60)]


class _Brightness(torch.nn.Module):
    """The brighter, the less healthy."""

    def forward(self, image: Any) -> Any:
        mean = image.mean(dim=(1, 2, 3))
        return torch.stack([mean, -mean], dim=1)


def _case(number: int, folder: Path) -> PreparedCase:
    severity, grey = SLICES[number]
    path = folder / f"{number}.npy"
    np.save(path, np.full((1, 16, 16), grey, dtype=np.uint8))
    label = "CP" if severity else "healthy"
    case = Case(f"p{number}", path, label, "test", "mosmed", 2 + number, {"severity": severity})
    return PreparedCase(case, path, None, 1, is_volume=False, fingerprint=str(number))


def test_severities_are_set_against_healthy_alone_and_from_one_on(tmp_path: Path) -> None:
    cases = [_case(number, tmp_path) for number in range(len(SLICES))]
    net = cast("SliceEncoder", _Brightness())
    (found,) = slice_figures(net, cases, ("CP", "healthy"), "healthy").values()
    areas = {name.removeprefix("AUC of not healthy, "): one["value"] for name, one in found.items()}
    assert areas == pytest.approx(
        {
            "all: 4 slices against 3": 10 / 12,
            "CT-1: 2 slices against 3": 4 / 6,
            "CT-2: 1 slices against 3": 1,
            "CT-3: 1 slices against 3": 1,
            "CT-2 and worse: 2 slices against 3": 1,
        },
        abs=1e-3,
    )
