"""Which number format is computed in: what is stated, on every processor."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from groundglass.infer import Bundle, CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import HEAD, SEGMENTER
from groundglass.infer.self_test import ramp_images

ROOT = Path(__file__).resolve().parents[2]
CODE = [path for top in ("src", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py")]
HINT = "INFERENCE_PRECISION_HINT"
STEPS = np.random.default_rng(3).random((1, 50, 240), dtype=np.float32)


@pytest.fixture(scope="module")
def loaded() -> Bundle:
    """The bundle whose head has steps to compute: the biLSTM."""
    return load_bundle("paper")


def _offers(monkeypatch: pytest.MonkeyPatch, *formats: str) -> None:
    """A processor that multiplies these in hardware."""
    monkeypatch.setattr(ov.Core, "get_property", lambda _self, _device, _name: list(formats))


@pytest.mark.parametrize(
    ("offered", "asked", "used"),
    [
        (("FP32", "BF16"), Precision.AUTO, Precision.BF16),
        (("FP32", "BF16"), Precision.BF16, Precision.BF16),
        (("FP32", "BF16"), Precision.F32, Precision.F32),
        (("FP32",), Precision.AUTO, Precision.F32),
        (("FP32",), Precision.BF16, Precision.F32),
        (("FP32",), Precision.F32, Precision.F32),
    ],
)
def test_the_format_is_what_is_asked_for_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, offered: tuple[str, ...], asked: Precision, used: Precision
) -> None:
    _offers(monkeypatch, *offered)
    assert CpuEngine(asked).precision is used


@pytest.mark.parametrize("asked", list(Precision))
def test_openvino_is_told_the_format_in_use(
    monkeypatch: pytest.MonkeyPatch, loaded: Bundle, asked: Precision
) -> None:
    """Also f32: OpenVINO would take bf16 by itself where the processor has it."""
    told: list[Mapping[str, str]] = []
    compiling = ov.Core.compile_model

    def noting(self: Any, model: Any, device: str, hints: Mapping[str, str]) -> Any:
        told.append(hints)
        return compiling(self, model, device, hints)

    monkeypatch.setattr(ov.Core, "compile_model", noting)
    _offers(monkeypatch, "FP32", "BF16")
    engine = CpuEngine(asked)
    for file in (SEGMENTER, HEAD):
        engine.compile(loaded.path(file), 1)
    assert [hints[HINT] for hints in told] == [engine.precision.value] * 2


@pytest.mark.parametrize("file", [SEGMENTER, HEAD])
def test_f32_is_what_another_engine_gives_in_f32(loaded: Bundle, file: str) -> None:
    """On a processor that offers bf16 too, whose results differ in the third digit."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the other engine")
    given = ramp_images(2, 256)[:, None] if file == SEGMENTER else STEPS
    (found,) = CpuEngine(Precision.F32).compile(loaded.path(file), len(given))(given)
    session = onnxruntime.InferenceSession(
        loaded.path(file).read_bytes(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, {session.get_inputs()[0].name: given})
    atol = 1 if file == SEGMENTER else 1e-5 * np.abs(expected).max()  # 8 bits: one more or less
    np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=atol, rtol=0)


def _calls(path: Path, name: str) -> Iterator[ast.Call]:
    text = path.read_text("utf-8")
    for node in ast.walk(ast.parse(text)) if name in text else ():
        if isinstance(node, ast.Call) and name in {
            getattr(node.func, "attr", ""),
            getattr(node.func, "id", ""),
        }:
            yield node


def _states_the_format(call: ast.Call) -> bool:
    """Whether one of the arguments is a dictionary, written there, with the hint in it."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    keys = [key for one in given if isinstance(one, ast.Dict) for key in one.keys]
    return any(isinstance(key, ast.Constant) and key.value == HINT for key in keys)


def test_no_line_takes_whatever_format_the_processor_offers() -> None:
    """Without the hint OpenVINO computes in bf16 on one processor and in f32 on another."""
    calls = [(path, call) for path in CODE for call in _calls(path, "compile_model")]
    assert ROOT / "src" / "groundglass" / "infer" / "engine.py" in {path for path, _ in calls}
    silent = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path, call in calls
        if not _states_the_format(call)
    ]
    assert not silent, f"state {HINT} in: {', '.join(silent)}"
