"""The gradient read from a bundle's ONNX file is the slope of what the engine computes."""

from __future__ import annotations

import numpy as np

from groundglass.explain import HeadWeights, feature_gradients
from groundglass.infer import CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import HEAD


def test_gradient_is_the_engines_slope() -> None:
    loaded = load_bundle("paper")
    engine = CpuEngine(Precision.F32)
    head = engine.compile(loaded.path(HEAD), 1)
    weights = HeadWeights.of(engine.constants(loaded.path(HEAD)))
    size, width = loaded.recipe.group_size, weights.w.shape[2]
    rng = np.random.default_rng(0)
    features = rng.random((size, width), dtype=np.float32)
    gradient = feature_gradients(weights, features)
    for _ in range(10):
        direction = rng.normal(size=features.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        step = 0.02
        (up,) = head((features + step * direction)[None])
        (down,) = head((features - step * direction)[None])
        slope = (up[0] - down[0]) / (2 * step)
        expected = (gradient * direction).sum(axis=(1, 2))
        np.testing.assert_allclose(slope, expected, atol=2e-3 + 0.02 * np.abs(expected).max())
