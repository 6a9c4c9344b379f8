"""The gradient of a class's logit with respect to every slice's features, without a framework.

Global max pooling hands the gradient of a feature to a single pixel, so Grad-CAM needs nothing
deeper than this: the backward pass of the sequence head (biLSTM, dense, dense), written out. The
weights are those of the bundle's own ONNX file; gates come in ONNX's order (input, output, forget,
cell; ONNX operator LSTM).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import BundleError

Float = NDArray[np.float32]
#: Names of the weights in `head.onnx`, in the order of `HeadWeights`.
_NAMES = ("lstm.w", "lstm.r", "lstm.b", "dense.weight", "dense.bias", "out.weight")


@dataclass(frozen=True, slots=True, eq=False)
class HeadWeights:
    """Weights of the sequence head, named and shaped as in its ONNX file.

    Parameters
    ----------
    w, r : ndarray of float32, shapes (2, 4·units, features), (2, 4·units, units)
        Input and recurrent weights of both directions.
    b : ndarray of float32, shape (2, 8·units)
        Input biases, then recurrent biases.
    dense_weight, dense_bias : ndarray of float32, shapes (width, size·2·units), (width,)
        First dense layer.
    out_weight : ndarray of float32, shape (classes, width)
        Last layer; its bias has no part in a gradient.
    """

    w: Float
    r: Float
    b: Float
    dense_weight: Float
    dense_bias: Float
    out_weight: Float

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
                action="Export the bundle with groundglass.train.export.",
            )
        return cls(*(constants[name] for name in _NAMES))


def feature_gradients(weights: HeadWeights, features: Float) -> Float:
    """∂ logit / ∂ feature for every class, slice and feature.

    Parameters
    ----------
    weights : HeadWeights
        Of the sequence head.
    features : ndarray of float32, shape (size, features)
        Pooled features of one group, feet to head.

    Returns
    -------
    ndarray of float32, shape (classes, size, features)
    """
    forward = _run(weights.w[0], weights.r[0], weights.b[0], features)
    backward = _run(weights.w[1], weights.r[1], weights.b[1], features[::-1])
    steps = np.concatenate([forward.h, backward.h[::-1]], axis=1)  # (size, 2·units)
    active = (weights.dense_weight @ steps.ravel() + weights.dense_bias) > 0
    d_steps = ((weights.out_weight * active) @ weights.dense_weight).reshape(-1, *steps.shape)
    units = forward.h.shape[1]
    d_forward = _back(weights.w[0], weights.r[0], forward, d_steps[..., :units])
    d_backward = _back(weights.w[1], weights.r[1], backward, d_steps[:, ::-1, units:])
    return d_forward + d_backward[:, ::-1]


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """What one direction remembers: gates (size, 4, units), cell states and outputs."""

    gates: Float
    c: Float
    h: Float


def _run(w: Float, r: Float, b: Float, x: Float) -> _Trace:
    units = r.shape[1]
    bias = b[: 4 * units] + b[4 * units :]
    into = x @ w.T + bias
    h, c = np.zeros(units, np.float32), np.zeros(units, np.float32)
    gates, cells, outputs = [], [], []
    for step in into:
        i, o, f, g = (step + r @ h).reshape(4, units)
        i, o, f, g = _sigmoid(i), _sigmoid(o), _sigmoid(f), np.tanh(g)
        c = f * c + i * g
        h = o * np.tanh(c)
        gates.append(np.stack([i, o, f, g]))
        cells.append(c)
        outputs.append(h)
    return _Trace(np.stack(gates), np.stack(cells), np.stack(outputs))


def _back(w: Float, r: Float, trace: _Trace, d_h: Float) -> Float:
    """(classes, size, features) gradient from (classes, size, units) gradients of the outputs."""
    classes, size, units = d_h.shape
    d_x = np.empty((classes, size, w.shape[1]), np.float32)
    carry_h = np.zeros((classes, units), np.float32)
    carry_c = np.zeros((classes, units), np.float32)
    for t in reversed(range(size)):
        i, o, f, g = trace.gates[t]
        tanh_c = np.tanh(trace.c[t])
        before = trace.c[t - 1] if t else np.zeros(units, np.float32)
        d_out = d_h[:, t] + carry_h
        d_c = carry_c + d_out * o * (1 - tanh_c**2)
        d_gates = np.concatenate(
            [
                d_c * g * i * (1 - i),
                d_out * tanh_c * o * (1 - o),
                d_c * before * f * (1 - f),
                d_c * i * (1 - g**2),
            ],
            axis=1,
        )
        d_x[:, t] = d_gates @ w
        carry_h, carry_c = d_gates @ r, d_c * f
    return d_x


def _sigmoid(x: Float) -> Float:
    return np.asarray(0.5 * (np.tanh(0.5 * x) + 1), dtype=np.float32)
