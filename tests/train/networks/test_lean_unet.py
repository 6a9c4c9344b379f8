"""The exported form of the U-Net gives the trained one's answers, with fewer operations."""

import pytest

torch = pytest.importorskip("torch")

from groundglass.train.networks import LeanUNet, LungUNet


def _trained(widths: tuple[int, ...], fold: int) -> LungUNet:
    """Random weights, and norms that have seen something."""
    torch.manual_seed(5)
    net = LungUNet(widths, fold)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return net.eval()


@pytest.mark.parametrize(("widths", "fold"), [((8, 10, 12, 14), 4), ((8, 10, 12, 14, 16), 2)])
def test_the_answers_are_the_same_also_at_the_edges(widths: tuple[int, ...], fold: int):
    net = _trained(widths, fold)
    image = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        expected, found = net(image), LeanUNet(net)(image)
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.01


def test_the_net_it_is_made_of_is_left_as_it_was():
    net = _trained((4, 4, 4), 2)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    LeanUNet(net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
