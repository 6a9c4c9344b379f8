"""The gradient of a class's logit with respect to every slice's features, without a framework.

Global max pooling hands the gradient of a feature to a single pixel, so Grad-CAM needs nothing
deeper than this: the backward pass of the sequence head (biLSTM, dense, dense), written out. The
weights are those of the bundle's own ONNX file; gates come in ONNX's order (input, output, forget,
cell; ONNX operator LSTM).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import BundleError

Float = NDArray[np.float32]
#: Names of the weights in `head.onnx`, in the order of `HeadWeights`.
_NAMES = ("lstm.w", "lstm.r", "lstm.b", "dense.weight", "dense.bias", "out.weight")
#: Name of the weights where each slice is judged by itself.
_SLICE_HEAD = "classifier.weight"

#: Multiplications up to which OpenBLAS keeps a matrix product to one thread.
_ONE_THREAD = 2**18


@dataclass(frozen=True, slots=True, eq=False)
class HeadWeights:
    """Weights of the sequence head, named and shaped as in its ONNX file."""

    w: Float
    """Shapes (2, 4·units, features), (2, 4·units, units). Input and recurrent weights of both
    directions."""
    r: Float
    b: Float
    """Shape (2, 8·units). Input biases, then recurrent biases."""
    dense_weight: Float
    """Shapes (width, size·2·units), (width,). First dense layer."""
    dense_bias: Float
    out_weight: Float
    """Shape (classes, width). Last layer; its bias has no part in a gradient."""

    @classmethod
    def of(cls, constants: Mapping[str, Float]) -> HeadWeights:
        """Weights from the constants of `head.onnx`.

        Raises
        ------
        BundleError
            If the file does not name them.
        """
        missing = [name for name in _NAMES if name not in constants]
        if missing:
            raise BundleError(
                f"a sequence head without {', '.join(missing)}",
                expected=f"weights named {', '.join(_NAMES)}",
                action="Export the bundle with groundglass.train.export.onnx_files.",
            )
        return cls(*(constants[name] for name in _NAMES))

    def combined(self, rows: Float) -> HeadWeights:
        """The head whose logits are sums of this one's: rows @ logits, shape (scores, classes)."""
        return replace(self, out_weight=np.asarray(rows @ self.out_weight, np.float32))

    def gradient(self, features: Float, path: IntegrationPath | None = None) -> Float:
        """`feature_gradients` of this head."""
        return feature_gradients(self, features, path)


@dataclass(frozen=True, slots=True, eq=False)
class SliceHeadWeights:
    """Weights of a head that judges each slice by itself: one linear layer."""

    weight: Float
    """Shape (classes, features). Its bias has no part in a gradient."""

    def combined(self, rows: Float) -> SliceHeadWeights:
        """The head whose logits are sums of this one's: rows @ logits, shape (scores, classes)."""
        return SliceHeadWeights(np.asarray(rows @ self.weight, np.float32))

    def gradient(self, features: Float, path: IntegrationPath | None = None) -> Float:
        """∂ logit / ∂ feature as `feature_gradients`: the weights, whatever the features."""
        del path  # the gradient is the same everywhere on it
        *before, size, count = features.shape
        return np.broadcast_to(self.weight[:, None], (*before, len(self.weight), size, count))


class Head(Protocol):
    """What is explained of a head: its logits' gradients at the features."""

    def combined(self, rows: Float) -> Head:
        """The head whose logits are sums of this one's: rows @ logits, shape (scores, classes)."""

    def gradient(self, features: Float, path: IntegrationPath | None = None) -> Float:
        """∂ logit / ∂ feature, shapes as `feature_gradients` has them."""


def head_of(constants: Mapping[str, Float]) -> Head:
    """The head that a bundle's `head.onnx` holds, from its constants.

    Raises
    ------
    BundleError
        If the file names the weights of neither.
    """
    weight = constants.get(_SLICE_HEAD)
    return HeadWeights.of(constants) if weight is None else SliceHeadWeights(weight)


@dataclass(frozen=True, slots=True, eq=False)
class IntegrationPath:
    """A straight way to the features, and the points on it where the gradient is taken."""

    start: Float
    """Shape (features,). Where it begins, the same for every slice."""
    shares: tuple[float, ...]
    """Of the way, for each point; 1 is at its end."""


def feature_gradients(
    weights: HeadWeights, features: Float, path: IntegrationPath | None = None
) -> Float:
    """∂ logit / ∂ feature for every class, slice and feature.

    Parameters
    ----------
    weights : HeadWeights
        Of the sequence head.
    features : ndarray of float32, shape (..., size, features)
        Pooled features of one group, feet to head, or of several. Several cost little more than
        one: the time goes into the steps along the sequence, which they take together.
    path : IntegrationPath, optional
        The mean over its points, all slices moving together; at the features unless given.

    Returns
    -------
    ndarray of float32, shape (..., classes, size, features)
    """
    groups = features.reshape(-1, *features.shape[-2:])
    at_gates = _into_gates(weights, groups)[:, None]
    if path:
        # What is straight in the features is straight in what the gates get: multiplied once.
        start = _into_gates(weights, path.start[None, None])[:, None]
        shares = np.array(path.shares, np.float32)[:, None, None, None]
        at_gates = start + shares * (at_gates - start)
    points, count = at_gates.shape[1:3]
    trace = _run(weights, at_gates.reshape(2, points * count, *at_gates.shape[3:]))
    d_gates = _back(weights, trace, _at_outputs(weights, trace))
    d_gates = d_gates.reshape(2, points, count, *d_gates.shape[2:]).mean(axis=1)
    forward, backward = (_product(one, w) for one, w in zip(d_gates, weights.w, strict=True))
    gradient = forward + _in_order(backward, 1, 2)
    return np.asarray(gradient.reshape(*features.shape[:-2], *gradient.shape[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """What both directions remember, each in the order it runs.

    Gates have shape (4, size, 2, groups, units); cell states and outputs (1 + size, 2, groups,
    units), the first of them 0, from before the first step.
    """

    gates: Float
    c: Float
    h: Float


def _into_gates(weights: HeadWeights, groups: Float) -> Float:
    """What the features give the gates, shape (2, groups, size, 4·units), in running order."""
    units = weights.r.shape[2]
    bias = weights.b[:, : 4 * units] + weights.b[:, 4 * units :]
    into = np.stack([_in_order(_product(groups, w.T), k, 1) for k, w in enumerate(weights.w)])
    return np.asarray(into + bias[:, None, None])


def _run(weights: HeadWeights, into: Float) -> _Trace:
    _, count, size, _ = into.shape
    units = weights.r.shape[2]
    recurrent = np.ascontiguousarray(weights.r.transpose(0, 2, 1))
    gates = np.empty((4, size, 2, count, units), np.float32)
    c, h = np.zeros((2, 1 + size, 2, count, units), np.float32)
    for t in range(size):
        step = (into[:, :, t] + h[t] @ recurrent).reshape(2, count, 4, units)
        gates[:3, t] = _sigmoid(step[:, :, :3]).transpose(2, 0, 1, 3)
        gates[3, t] = np.tanh(step[:, :, 3])
        i, o, f, g = gates[:, t]
        c[t + 1] = f * c[t] + i * g
        h[t + 1] = o * np.tanh(c[t + 1])
    return _Trace(gates, c, h)


def _at_outputs(weights: HeadWeights, trace: _Trace) -> Float:
    """Gradient at both directions' outputs, shape (size, 2, groups, classes, units)."""
    forward, backward = (_in_order(trace.h[1:, k], k, 0) for k in (0, 1))
    steps = np.concatenate([forward, backward], axis=2).transpose(1, 0, 2)
    groups, size, width = steps.shape
    into = np.einsum("gk,wk->gw", steps.reshape(groups, -1), weights.dense_weight)
    active = into + weights.dense_bias > 0
    # numpy's own loop, as BLAS would start threads.
    gradient = np.einsum("gcw,wk->gck", weights.out_weight * active[:, None], weights.dense_weight)
    gradient = gradient.reshape(groups, -1, size, 2, width // 2).transpose(2, 3, 0, 1, 4)
    return np.stack([_in_order(gradient[:, k], k, 0) for k in (0, 1)], axis=1)


def _back(weights: HeadWeights, trace: _Trace, d_h: Float) -> Float:
    """Gradient at what the gates get, shape (2, groups, classes, size, 4·units)."""
    size, _, groups, classes, units = d_h.shape
    i, o, f, g = trace.gates
    tanh_c = np.tanh(trace.c[1:])
    # ∂c / ∂ of each gate before its sigmoid or tanh, but for the output gate ∂h.
    slopes = [g * i * (1 - i), tanh_c * o * (1 - o), trace.c[:-1] * f * (1 - f), i * (1 - g**2)]
    by_gate = np.stack(slopes, axis=3)[:, :, :, None]
    to_c, keep = (one[:, :, :, None] for one in (o * (1 - tanh_c**2), f))
    d_gates = np.empty((size, 2, groups, classes, 4, units), np.float32)
    carry_h, carry_c = np.zeros((2, 2, groups, classes, units), np.float32)
    for t in reversed(range(size)):
        d_out = d_h[t] + carry_h
        d_c = carry_c + d_out * to_c[t]
        np.multiply(by_gate[t], d_c[..., None, :], out=d_gates[t])
        d_gates[t, ..., 1, :] = by_gate[t, ..., 1, :] * d_out
        carry_h = d_gates[t].reshape(2, groups, classes, -1) @ weights.r[:, None]
        carry_c = d_c * keep[t]
    return d_gates.reshape(size, 2, groups, classes, -1).transpose(1, 2, 3, 0, 4)


def _product(many: Float, matrix: Float) -> Float:
    """`many @ matrix`, shapes (..., k) and (k, n), a few rows at a time.

    Of a larger product BLAS would make threads, which wait longer for each other than this takes.
    """
    rows = many.reshape(-1, many.shape[-1])
    total = np.empty((len(rows), matrix.shape[1]), np.float32)
    step = max(2, _ONE_THREAD // matrix.size)
    for start in range(0, len(rows), step):
        np.matmul(rows[start : start + step], matrix, out=total[start : start + step])
    return total.reshape(*many.shape[:-1], -1)


def _in_order(values: Float, direction: int, axis: int) -> Float:
    """From the body's order to that in which a direction runs, or back: the second is reversed."""
    return np.flip(values, axis) if direction else values


def _sigmoid(x: Float) -> Float:
    return np.asarray(0.5 * (np.tanh(0.5 * x) + 1), dtype=np.float32)
