"""The map depends on what was learnt, and what it points at is what the verdict rests on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from groundglass.core.result import HeatMethod
from groundglass.core.volume import Volume
from groundglass.explain import (
    Explainer,
    ExplainSettings,
    ExplanationTarget,
    GroupHeat,
    HeadWeights,
    Scores,
    SeenScan,
    choose_key_slices,
    contributions,
    encode_views,
)
from groundglass.explain.consistency import PERTURBATIONS
from groundglass.infer import Classifier, CpuEngine, GroupEvidence, Precision, load_bundle
from groundglass.infer.bundle import HEAD
from groundglass.phantom import PhantomSettings, make_phantom
from groundglass.prepare import gather, prepare

#: The evidence itself; refined by HU a map keeps what the HU say, whatever was learnt.
SETTINGS = ExplainSettings(method=HeatMethod.ALL_LAYERS, consistency_slices=2)


@dataclass(frozen=True, eq=False)
class Study:
    classifier: Classifier
    scores: Scores
    evidence: GroupEvidence
    heat: GroupHeat
    target: ExplanationTarget
    lung: np.ndarray
    key: dict[int, np.ndarray]


@pytest.fixture(scope="module")
def study() -> Study:
    """One group of a phantom with its true lungs, explained for the class it was called."""
    loaded, engine = load_bundle("paper"), CpuEngine(Precision.F32)
    size = loaded.recipe.image_size
    phantom = make_phantom(
        PhantomSettings(
            label="CP", severity=0.8, seed=4, matrix=size, slice_count=24, slice_spacing_mm=10.0
        )
    )
    prepared = prepare(phantom.volume, phantom.lung, loaded.recipe)
    classifier = Classifier(loaded, engine)
    weights = HeadWeights.of(engine.constants(loaded.path(HEAD)))
    explainer = Explainer.of(loaded, classifier, weights, SETTINGS)
    (group,) = prepared.groups
    evidence = classifier(group, gather(group, prepared.group_images(group)))
    heat = explainer.of_group(evidence)
    target = ExplanationTarget(
        loaded.labels.index(evidence.prediction.label),
        [heat],
        prepared.images,
        SeenScan(phantom.volume, phantom.lung),
    )
    key = explainer.explain(target).heat.key
    return Study(classifier, explainer.scores, evidence, heat, target, phantom.lung, key)


def strongest(study: Study) -> list[int]:
    return list(study.key)[:4]


def test_a_random_gradient_destroys_the_map(study: Study) -> None:
    """The same numbers in another order and of random sign: the map is not the image's alone."""
    rng = np.random.default_rng(0)
    slices = strongest(study)
    method = study.scores.method
    seen = encode_views(study.classifier, [study.target.images[k] for k in slices], method)
    true = study.target.by_slice("gradient")
    alike = []
    for _ in range(8):
        drawn = [rng.permutation(true[k]) * rng.choice([-1, 1], true[k].shape) for k in slices]
        again = [
            method.heat(one, gradient, study.target.scan.tissue(index))
            for index, one, gradient in zip(slices, seen, drawn, strict=True)
        ]
        for index, heat in zip(slices, again, strict=True):
            step = study.lung.shape[1] // len(heat)
            inside = study.lung[index][step // 2 :: step, step // 2 :: step]
            one, other = study.key[index][inside], heat[inside]
            if one.std() > 0 and other.std() > 0:
                alike.append(spearmanr(one, other)[0])
    assert len(alike) >= 8
    assert abs(np.mean(alike)) < 0.35


def test_the_score_rests_on_the_hottest_pixels(study: Study) -> None:
    """A tenth of the pixels of the four strongest slices, made the lung's usual grey."""
    rng = np.random.default_rng(0)

    def score(order: dict[int, np.ndarray]) -> float:
        images = []
        for index in strongest(study):
            image = study.target.images[index].copy()
            seen = image > 0
            values, rank = image[seen], np.argsort(-order[index][seen], kind="stable")
            values[rank[: len(rank) // 10]] = np.median(image[study.lung[index]])
            image[seen] = values
            images.append(image)
        features = study.evidence.features.copy()
        places = [study.heat.group.slice_indices.index(k) for k in strongest(study)]
        features[places] = study.classifier.detail(np.stack(images)).features
        logits = study.classifier.logits(features)
        return float((study.scores.of_logits @ logits)[study.target.class_index])

    size = study.lung.shape[1]
    hot = {k: np.kron(v, np.ones((size // len(v),) * 2)) for k, v in study.key.items()}
    random = {k: rng.random((size, size)) for k in study.key}
    blob = {k: study.lung[k].astype(float) for k in study.key}
    assert score(hot) < min(score(random), score(blob))


def test_maps_of_slices_are_the_same_alone_and_among_the_key_slices(study: Study) -> None:
    """Whether a slice is a key slice changes only what its neighbours' features are."""
    explainer = Explainer(study.classifier, study.scores, SETTINGS)
    found = contributions(study.target.heats, study.target.class_index)
    chosen = choose_key_slices(found, study.target.scan.positions_mm, SETTINGS.key)
    assert set(study.key) <= set(chosen)
    again = explainer.heat_of(study.target, chosen)
    for index, heat in study.key.items():
        np.testing.assert_allclose(again[index], heat, atol=1e-5)


def test_slices_of_several_groups_have_the_maps_each_group_gives_alone(study: Study) -> None:
    explainer = Explainer(study.classifier, study.scores, SETTINGS)
    (here, *_), target, away = study.key, study.target, len(study.lung)
    moved = replace(
        study.heat.group, slice_indices=tuple(k + away for k in study.heat.group.slice_indices)
    )
    second = replace(study.heat, group=moved, features=0.5 * study.heat.features)
    images = target.images | {k + away: image for k, image in target.images.items()}
    both = replace(target, heats=[study.heat, second], images=images, scan=_twice(target.scan))
    together = explainer.heat_of(both, [here, here + away])
    for index, heats in ((here, [study.heat]), (here + away, [second])):
        alone = explainer.heat_of(replace(both, heats=heats), [index])
        np.testing.assert_allclose(together[index], alone[index], atol=1e-5)
    assert np.abs(together[here] - together[here + away]).max() > 1e-4


def _twice(scan: SeenScan) -> SeenScan:
    """The same slices once more, headward."""
    hu = np.concatenate([scan.volume.hu] * 2)
    geometry = replace(scan.volume.geometry, shape=hu.shape)
    return SeenScan(Volume(hu, geometry), np.concatenate([scan.lung] * 2))


def test_without_slices_there_are_no_maps(study: Study) -> None:
    assert Explainer(study.classifier, study.scores, SETTINGS).heat_of(study.target, []) == {}


def test_heat_follows_the_patient_when_the_image_moves(study: Study) -> None:
    explainer = Explainer(study.classifier, study.scores, SETTINGS)
    found = explainer.explain(study.target).consistency
    assert found is not None
    assert len(found.slice_indices) == SETTINGS.consistency_slices
    assert set(found.similarity) == set(PERTURBATIONS)
    assert found.mean > 0.95


def test_evidence_adds_up_to_the_contribution(study: Study) -> None:
    """At the pixel that decides a feature stands that feature's share in the contribution."""
    contribution = study.heat.contribution[study.target.class_index]
    gradient = study.heat.gradient[study.target.class_index]
    rise = study.evidence.features[: len(gradient)] - study.scores.black.features
    np.testing.assert_allclose((gradient * rise).sum(axis=1), contribution, rtol=1e-3, atol=1e-4)
