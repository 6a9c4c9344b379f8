"""PyTorch as a peer: timed in our number format, compared in f32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.peers.torch_running import prepared

torch = pytest.importorskip("torch", reason="the peer is PyTorch")


@pytest.fixture
def images(tmp_path: Path) -> str:
    np.save(tmp_path / "images.npy", np.full((2, 4, 4), 7, np.uint8))
    return str(tmp_path / "images.npy")


@pytest.fixture(autouse=True)
def _not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network: network)  # would need a C++ compiler


def _network(images: Any) -> Any:
    return images.flatten(1)[:1] @ torch.linspace(0, 0.3, 48).reshape(16, 3)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({}, torch.float32, "eager, f32"),
        ({"precision": "bf16"}, torch.float32, "eager, f32"),
        ({"compiled": True, "precision": "f32"}, torch.float32, "torch.compile, f32"),
        ({"compiled": True, "precision": "bf16"}, torch.bfloat16, "torch.compile, bf16"),
    ],
)
def test_it_is_timed_as_told_and_answers_in_f32(
    images: str, options: dict[str, Any], kind: Any, said: str
) -> None:
    made = prepared(_network, {"images": images, **options})
    assert made.name.endswith(said)
    assert made.work().dtype is kind
    assert made.answer == _network(torch.full((2, 1, 4, 4), 7.0))[0].tolist()
    if kind is torch.bfloat16:
        assert made.work()[0].tolist() != made.answer
