"""Slices judged by themselves leave a last group that is shorter; its key slices are explained."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from groundglass.core.result import SliceGroup
from groundglass.explain import AllLayers, Explainer, ExplainSettings, Scores
from groundglass.explain.head_gradient import SliceHeadWeights
from groundglass.prepare import whole_groups


def test_key_slices_of_groups_of_two_sizes_have_their_gradients() -> None:
    rng = np.random.default_rng(0)
    head = SliceHeadWeights(rng.normal(size=(3, 6)).astype(np.float32))
    method = AllLayers(smoothing_mm=7.0, softening_px=0.8)
    black = SimpleNamespace(features=np.zeros((1, 6), np.float32))
    of_logits = method.scores_of_logits(3, 2)
    explainer = Explainer(None, Scores(head, of_logits, black, method), ExplainSettings())  # type: ignore[arg-type]
    groups: list[SliceGroup] = list(whole_groups(range(13), 10))
    assert [len(group.slice_indices) for group in groups] == [10, 3]
    features = rng.random((13, 6), dtype=np.float32)
    heats = [
        SimpleNamespace(group=group, features=features[list(group.slice_indices)])
        for group in groups
    ]
    target = SimpleNamespace(heats=heats, class_index=0)
    wanted = {index: features[None, index] for index in (2, 9, 11)}
    found = explainer._gradients(target, wanted, wanted)  # type: ignore[arg-type]
    assert found.keys() == wanted.keys()
    for gradient in found.values():
        np.testing.assert_allclose(gradient[0], (of_logits @ head.weight)[0], rtol=1e-5)
