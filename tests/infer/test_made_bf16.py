"""The bf16 that `make test PROCESSOR=bf16` makes is bf16, and only where it is not ruled out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from child_environment import child_environment

PROCESSORS = Path(__file__).resolve().parents[1] / "processors"
_APART = """
import json
import numpy as np
import openvino as ov
from groundglass.infer import CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import HEAD

path = load_bundle("paper").path(HEAD)
steps = np.random.default_rng(3).random((1, 50, 240), dtype=np.float32)
exact, narrow, either = (
    CpuEngine(one).compile(path, 1)(steps)[0]
    for one in (Precision.F32, Precision.BF16, Precision.AUTO)
)
compiling = ov.Core().compile_model
said, unsaid = (
    compiling(str(path), "CPU", *hints)(steps)[0]
    for hints in ([{"INFERENCE_PRECISION_HINT": "f32"}], [])
)
apart = {
    name: float(np.abs(one - exact).max() / np.abs(exact).max())
    for name, one in {"bf16": narrow, "auto": either, "said": said, "unsaid": unsaid}.items()
}
print(json.dumps({"auto is": CpuEngine(Precision.AUTO).precision} | apart))
"""


@pytest.fixture(scope="module")
def apart() -> dict[str, float]:
    """How far each is from f32, as a share of the largest value, in a process of its own."""
    variables = child_environment()
    variables["PYTHONPATH"] += f":{PROCESSORS / 'bf16'}"
    done = subprocess.run(
        [sys.executable, "-c", _APART], env=variables, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_what_asks_for_bf16_or_for_nothing_has_8_bits(apart: dict[str, float]) -> None:
    assert apart["auto is"] == "bf16"
    for name in ("bf16", "auto", "unsaid"):
        assert 2**-12 < apart[name] < 2**-5, name


def test_what_asks_for_f32_has_24(apart: dict[str, float]) -> None:
    assert apart["said"] < 2**-18
