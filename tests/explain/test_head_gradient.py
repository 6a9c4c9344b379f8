"""The head's backward pass, written out, is PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.errors import BundleError
from groundglass.explain import HeadWeights, feature_gradients, head_of
from groundglass.explain.head_gradient import IntegrationPath
from groundglass.infer import CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import HEAD

torch = pytest.importorskip("torch", reason="needs groundglass[train]: PyTorch is the judge")

#: PyTorch's gates come as input, forget, cell, output; ONNX's as input, output, forget, cell.
ONNX_GATES = [0, 3, 1, 2]


def in_onnx_order(array: np.ndarray, units: int) -> np.ndarray:
    return np.concatenate([array[k * units : (k + 1) * units] for k in ONNX_GATES])


def onnx_weights(head: torch.nn.Module) -> HeadWeights:
    state = {name: value.detach().numpy() for name, value in head.state_dict().items()}
    units = state["lstm.weight_hh_l0"].shape[1]

    def both(kind: str) -> list[np.ndarray]:
        return [in_onnx_order(state[f"lstm.{kind}_l0{side}"], units) for side in ("", "_reverse")]

    biases = [np.concatenate(pair) for pair in zip(both("bias_ih"), both("bias_hh"), strict=True)]
    return HeadWeights(
        np.stack(both("weight_ih")),
        np.stack(both("weight_hh")),
        np.stack(biases),
        state["dense.weight"],
        state["dense.bias"],
        state["out.weight"],
    )


def test_a_head_without_named_weights_is_refused() -> None:
    with pytest.raises(BundleError, match=r"without lstm\.w"):
        HeadWeights.of({"dense.bias": np.zeros(3, np.float32)})


@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_autograds(seed: int) -> None:
    from groundglass.train.networks import SequenceHead  # noqa: PLC0415

    torch.manual_seed(seed)
    head = SequenceHead(features=24, size=13, classes=3, units=8, width=10).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    features = torch.rand(13, 24, requires_grad=True)
    found = feature_gradients(onnx_weights(head), features.detach().numpy())
    logits = head(features[None])[0]
    for label in range(3):
        (expected,) = torch.autograd.grad(logits[label], features, retain_graph=True)
        assert np.abs(expected.numpy()).max() > 1e-3
        np.testing.assert_allclose(found[label], expected.numpy(), atol=1e-5)


def test_several_groups_have_the_gradients_each_has_alone() -> None:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    units, width, size = 5, 7, 11
    weights = HeadWeights(
        draw(2, 4 * units, 300),
        draw(2, 4 * units, units),
        draw(2, 8 * units),
        draw(width, size * 2 * units),
        draw(width),
        draw(3, width),
    )
    features = rng.random((2, 4, size, 300), dtype=np.float32)
    together = feature_gradients(weights, features)
    assert together.shape == (2, 4, 3, size, 300)
    for at in np.ndindex(2, 4):
        np.testing.assert_allclose(
            together[at], feature_gradients(weights, features[at]), atol=1e-5
        )


def test_gradients_of_the_bundles_head_are_autograds() -> None:
    from groundglass.train.networks import SequenceHead  # noqa: PLC0415

    loaded = load_bundle("paper")
    weights = HeadWeights.of(CpuEngine(Precision.F32).constants(loaded.path(HEAD)))
    units, width = weights.r.shape[2], weights.dense_weight.shape[0]
    head = SequenceHead(
        weights.w.shape[2], loaded.recipe.group_size, len(loaded.labels), units=units, width=width
    ).eval()
    from_onnx = np.argsort(ONNX_GATES).tolist()

    def torch_order(array: np.ndarray) -> torch.Tensor:
        gates = array.reshape(4, units, -1)[from_onnx].reshape(array.shape)
        return torch.from_numpy(gates.copy())

    state = head.state_dict()
    for k, side in enumerate(("", "_reverse")):
        state[f"lstm.weight_ih_l0{side}"] = torch_order(weights.w[k])
        state[f"lstm.weight_hh_l0{side}"] = torch_order(weights.r[k])
        for name, bias in zip(("ih", "hh"), np.split(weights.b[k], 2), strict=True):
            state[f"lstm.bias_{name}_l0{side}"] = torch_order(bias)
    state["dense.weight"] = torch.from_numpy(weights.dense_weight)
    state["dense.bias"] = torch.from_numpy(weights.dense_bias)
    state["out.weight"] = torch.from_numpy(weights.out_weight)
    head.load_state_dict(state)
    rng = np.random.default_rng(0)
    array = rng.random((loaded.recipe.group_size, weights.w.shape[2]), dtype=np.float32)
    features = torch.from_numpy(array).requires_grad_()
    found = feature_gradients(weights, array)
    logits = head(features[None])[0]
    for label in range(len(loaded.labels)):
        (expected,) = torch.autograd.grad(logits[label], features, retain_graph=True)
        assert np.abs(expected.numpy()).max() > 1e-4
        np.testing.assert_allclose(found[label], expected.numpy(), atol=1e-5)


def test_the_head_of_single_slices_has_its_weights_for_gradient() -> None:
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((3, 6)).astype(np.float32)
    head = head_of({"classifier.weight": weight, "classifier.bias": np.zeros(3, np.float32)})
    features = torch.randn(2, 5, 6, requires_grad=True)
    logits = features @ torch.from_numpy(weight).T
    (expected,) = torch.autograd.grad(logits[..., 1].sum(), features)
    path = IntegrationPath(np.zeros(6, np.float32), (0.25, 0.75))
    for found in (
        head.gradient(features.detach().numpy()),
        head.gradient(np.zeros((2, 5, 6)), path),
    ):
        assert found.shape == (2, 3, 5, 6)
        np.testing.assert_allclose(found[:, 1], expected.numpy(), atol=1e-6)
    rows = np.array([[1.0, -1.0, 0.0]], np.float32)
    summed = head.combined(rows).gradient(features.detach().numpy())
    np.testing.assert_allclose(summed[0, 0, 0], weight[0] - weight[1], atol=1e-6)
