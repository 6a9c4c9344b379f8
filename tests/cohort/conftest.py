"""Small studies of every kind, and tables of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.cohort.phantoms import phantom_json
from groundglass.phantom import PhantomSettings

Row = Mapping[str, str]
MakeTable = Callable[..., Path]
MakeStudy = Callable[..., str]

ROW = {"patient": "Doe^Jane", "study": "a.png", "label": "CP", "split": "train", "source": "here"}


@pytest.fixture
def make_table(tmp_path: Path) -> MakeTable:
    """Write rows, each a mapping that changes `ROW`, as a CSV table."""

    def make(*rows: Row, columns: Sequence[str] = (), name: str = "cohort.csv") -> Path:
        full = [{**ROW, **row} for row in rows]
        header = columns or list(dict.fromkeys(key for row in full for key in row))
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(full)
        return path

    return make


@pytest.fixture
def make_image(tmp_path: Path) -> MakeStudy:
    """Write a picture of noise; the same seed gives the same pixels."""

    def make(name: str, seed: int = 0) -> str:
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
        return name

    return make


@pytest.fixture
def make_phantom_file(tmp_path: Path) -> MakeStudy:
    """Write a made patient as a file."""

    def make(name: str, **settings: object) -> str:
        small = {"matrix": 64, "slice_count": 4, "slice_spacing_mm": 20.0, **settings}
        path = tmp_path / name
        path.write_text(phantom_json(PhantomSettings(**small)), "utf-8")  # type: ignore[arg-type]
        return name

    return make
