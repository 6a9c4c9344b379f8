"""Real lesions are laid in at the pleura, inside the lung, and change nothing else."""

from __future__ import annotations

import numpy as np

from groundglass.train.segmenter.lesion_textures import LesionTextures


def laid(make_slice, seed: int, lesion_hu: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What laying in changed, and the lung."""
    textures = LesionTextures.of([make_slice(lesion_hu=lesion_hu)])
    mask = make_slice().lung.astype(np.uint8)
    image = np.where(mask, -850, 40).astype(np.float32)
    return textures.lay(image, mask, np.random.default_rng(seed)) - image, mask > 0


def test_lesions_are_cut_out_with_their_own_outline(make_slice):
    (patch,) = LesionTextures.of([make_slice()]).patches
    assert patch.hu.shape == patch.mask.shape == (16, 16)
    assert (patch.hu == 0).all()


def test_dense_lesions_are_known(make_slice):
    textures = LesionTextures.of([make_slice(lesion_hu=0), make_slice(lesion_hu=-600)])
    assert len(textures.patches) == 2
    assert [float(np.median(one.hu)) for one in textures.dense] == [0.0]


def test_what_is_laid_in_is_inside_the_lung_and_dense(make_slice):
    changes = [laid(make_slice, seed) for seed in range(30)]
    for change, lung in changes:
        near = np.zeros_like(lung)  # the blur at the edge reaches a pixel beyond
        near[1:-1, 1:-1] = lung[:-2, 1:-1] | lung[2:, 1:-1] | lung[1:-1, :-2] | lung[1:-1, 2:]
        assert np.abs(change[~(near | lung)]).max() < 5
    assert np.mean([change.max() > 600 for change, _ in changes]) > 0.9


def test_what_is_laid_in_lies_at_the_pleura_and_mostly_at_the_back(make_slice):
    textures = LesionTextures.of([make_slice()])
    mask = np.zeros((96, 96), np.uint8)
    mask[8:88, 8:88] = 1
    image = np.where(mask, -850, 40).astype(np.float32)
    changes = (textures.lay(image, mask, np.random.default_rng(seed)) for seed in range(200))
    hit = sum(np.abs(one - image) > 300 for one in changes)
    rim, middle = hit[8:88, 8:16].mean(), hit[36:60, 36:60].mean()
    assert rim > 4 * middle
    assert hit[60:88].sum() > 2 * hit[8:36].sum()


def test_nothing_is_laid_where_there_is_nothing_to_lay_or_no_room(make_slice):
    image = np.zeros((96, 96), np.float32)
    mask = make_slice().lung.astype(np.uint8)
    rng = np.random.default_rng(0)
    assert LesionTextures.of([]).lay(image, mask, rng) is image
    assert LesionTextures.of([make_slice()]).lay(image, np.zeros_like(mask), rng) is image
