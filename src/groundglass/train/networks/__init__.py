"""The three networks of the paper: lung U-Net, slice encoder, sequence head."""

from __future__ import annotations

from groundglass.train.networks.encoder import SliceEncoder
from groundglass.train.networks.folded_unet import load_folded
from groundglass.train.networks.lean_unet import LeanUNet
from groundglass.train.networks.sequence import SequenceHead
from groundglass.train.networks.unet import LungUNet

__all__ = ["LeanUNet", "LungUNet", "SequenceHead", "SliceEncoder", "load_folded"]
