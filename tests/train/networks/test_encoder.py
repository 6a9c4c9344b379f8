"""The slice encoder's sizes, and what trimming black edges leaves of a batch."""

import pytest

torch = pytest.importorskip("torch")

from groundglass.train.data.tensors import trimmed
from groundglass.train.networks import SliceEncoder


def test_folding_keeps_every_pixel_and_shrinks_the_maps():
    net = SliceEncoder((8, 12, 16, 20), 3, fold=4, pools=(1,))
    maps = net.maps(torch.rand(2, 1, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (8, 16, 24),
        (12, 8, 12),
        (16, 8, 12),
        (20, 8, 12),
    ]
    image = torch.zeros(1, 1, 64, 64)
    bright = [net.maps(image)[0]]
    for row in range(4):
        image = torch.zeros(1, 1, 64, 64)
        image[0, 0, 32 + row, 32] = 1
        bright.append(net.maps(image)[0])
    assert all(not torch.equal(bright[0], other) for other in bright[1:])


def test_the_papers_maps_halve_before_each_layer():
    maps = SliceEncoder().maps(torch.rand(1, 1, 64, 64))
    assert [m.shape[-1] for m in maps] == [64, 32, 16, 8]


def test_trimming_keeps_all_that_is_not_black_with_a_margin():
    image = torch.zeros(3, 1, 256, 256, dtype=torch.uint8)
    image[0, 0, 70:120, 40:100] = 9
    image[2, 0, 100:190, 130:200] = 9
    rows, columns = trimmed(image)
    left = image[:, :, rows, columns]
    assert left.sum() == image.sum()
    assert left.shape[-2] % 32 == 0
    assert left.shape[-1] % 32 == 0
    assert rows.start <= 70 - 16
    assert columns.stop >= 200 + 16
    assert left.numel() < image.numel()


def test_trimming_leaves_full_and_empty_images_usable():
    full = torch.ones(1, 1, 64, 64)
    assert trimmed(full) == (slice(0, 64), slice(0, 64))
    assert trimmed(torch.zeros(1, 1, 64, 64)) == (slice(0, 32), slice(0, 32))
