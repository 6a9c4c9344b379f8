"""A peer runs in its own process, and one that is not there is no failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.peers import NotHere
from benchmarks.peers.running import peer

ROOT = Path(__file__).resolve().parents[2]

STUB = """
from benchmarks.peers import Prepared
def prepare(options):
    print("a library's chatter")
    if options.get("lacks"):
        import a_package_nobody_has
    if options.get("breaks"):
        raise RuntimeError("no such device")
    if options.get("dies"):
        raise SystemExit(7)
    return Prepared("Stub 1.0", lambda: None, [1.0, 2.0])
"""


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An interpreter to which `benchmarks.peers.stub` is a peer."""
    (tmp_path / "stub.py").write_text(STUB)
    wrapper = tmp_path / "python"
    wrapper.write_text(
        f"#!{sys.executable}\n"
        "import runpy, sys\n"
        "sys.path[:0] = __import__('os').environ['PYTHONPATH'].split(':')\n"
        "import benchmarks.peers\n"
        f"benchmarks.peers.__path__.append({str(tmp_path)!r})\n"
        "sys.argv = sys.argv[2:]\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    wrapper.chmod(0o755)
    return str(wrapper)


def test_a_peer_is_run_as_often_as_it_is_called(stub: str) -> None:
    with peer(stub, "stub") as found:
        assert found.name == "Stub 1.0"
        assert found.answer == [1.0, 2.0]
        assert all(found() >= 0 for _ in range(3))


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("lacks", "a_package_nobody_has is not installed"),
        ("breaks", "RuntimeError: no such device"),
        ("dies", "ended with code 7"),
    ],
)
def test_a_peer_that_cannot_be_prepared_says_why(stub: str, option: str, reason: str) -> None:
    with pytest.raises(NotHere, match=reason), peer(stub, "stub", {option: True}):
        pass


def test_an_interpreter_that_is_not_there_is_a_reason() -> None:
    with pytest.raises(NotHere, match="No such file"), peer("/nowhere/python", "stub"):
        pass


def test_a_peer_that_is_too_slow_is_not_waited_for(stub: str) -> None:
    with pytest.raises(NotHere, match="longer than"), peer(stub, "stub", longest_s=0.0):
        pass


def test_the_graph_in_pytorch_is_the_graph_in_openvino() -> None:
    pytest.importorskip("torch", reason="the peer is PyTorch")
    pytest.importorskip("onnx", reason="the peer reads ONNX")
    import torch  # noqa: PLC0415
    from benchmarks.peers.torch_bundle import networks  # noqa: PLC0415

    from groundglass.infer import CpuEngine, Precision, load_bundle  # noqa: PLC0415
    from groundglass.infer.bundle import ENCODER, FEATURES, HEAD  # noqa: PLC0415

    bundle, engine = load_bundle("paper"), CpuEngine(Precision.F32)
    encoder, head = networks(bundle.folder)
    size = bundle.recipe.image_size
    images = np.random.default_rng(0).integers(0, 255, (2, 1, size, size)).astype(np.uint8)
    (features,) = engine.compile(bundle.path(ENCODER), 2, (FEATURES,))(images)
    with torch.inference_mode():
        theirs = encoder.encode(torch.from_numpy(images) / 255)
    assert theirs.numpy() == pytest.approx(features, rel=1e-3, abs=1e-4)
    steps = np.resize(features, (1, bundle.recipe.group_size, features.shape[1]))
    (logits,) = engine.compile(bundle.path(HEAD), 1)(steps)
    with torch.inference_mode():
        found = head(torch.from_numpy(steps))
    assert found.numpy() == pytest.approx(logits, rel=1e-3, abs=1e-4)


def test_the_published_network_needs_none_of_what_runs_ours() -> None:
    """Its environment has PyTorch, and neither an engine nor OpenCV."""
    pytest.importorskip("torch", reason="the peer is PyTorch")
    absent = "import sys; sys.modules.update(dict.fromkeys(('cv2', 'openvino', 'ncnn')))"
    made = "from benchmarks.published import published_networks; published_networks()"
    folders = [str(ROOT), str(ROOT / "src")]
    code = f"{absent}; sys.path[:0] = {folders}; import benchmarks.peers.torch_published; {made}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
