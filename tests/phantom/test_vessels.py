"""A tree reaches every target, gets thinner on the way, and is cut at the slab."""

from __future__ import annotations

import numpy as np

from groundglass.phantom.vessels import Tree, grow

ROOT = np.array([30.0, 5.0, 140.0])


def some_tree() -> tuple[Tree, np.ndarray]:
    targets = np.random.default_rng(1).uniform([20, -60, 40], [120, 70, 240], (300, 3))
    return grow(ROOT, targets, 0.4), targets


def test_a_tree_starts_at_its_root_and_comes_near_every_target() -> None:
    tree, targets = some_tree()
    assert np.isclose(tree.start, ROOT).all(axis=1).any()
    ends = np.concatenate([tree.stop, tree.start])
    nearest = [np.linalg.norm(ends - target, axis=1).min() for target in targets]
    # Smoothing pulls branching points off their target; leaves stay where they are.
    assert np.median(nearest) < 4.0
    assert max(nearest) < 40.0


def test_vessels_are_thickest_at_the_root() -> None:
    tree, _ = some_tree()
    away = np.linalg.norm((tree.start + tree.stop) / 2 - ROOT, axis=1)
    assert tree.radius.min() >= 0.4
    assert tree.radius[away < 25].max() > 4 * tree.radius.min()
    assert np.corrcoef(away, tree.radius)[0, 1] < -0.3


def test_a_slab_holds_only_what_lies_in_it() -> None:
    tree = Tree(
        start=np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 50.0]]),
        stop=np.array([[0.0, 20.0, 100.0], [30.0, 0.0, 50.0]]),
        radius=np.array([1.0, 0.5]),
    )
    upright = tree.at(20.0, 2.0)
    assert len(upright.radius) == 1
    np.testing.assert_allclose(upright.ends[0, [0, 2]], 0.0)
    assert abs(upright.ends[0, 1] - 4.0) < 0.5
    assert abs(upright.ends[0, 3] - 4.0) < 0.5
    both = tree.at(50.0, 2.0)
    np.testing.assert_allclose(sorted(both.ends[1, [0, 2]]), [10.0, 30.0])
    # A thin vessel along a slab fills only a part of it.
    assert both.share[1] < tree.at(50.0, 1.0).share[1]
    assert len(tree.at(150.0, 2.0).radius) == 0
