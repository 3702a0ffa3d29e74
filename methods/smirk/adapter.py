"""SMIRK as a method of the harness."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from harness.methods.regression.adapter import RegressorAdapter
from harness.methods.smirk.network import MINI, PAPER, Smirk


class SmirkAdapter(RegressorAdapter):
    """SMIRK (Retsinas et al., CVPR 2024): three small networks for pose, identity and expression."""

    paper = "Retsinas et al., 3D Facial Expressions through Analysis-by-Neural-Synthesis, CVPR 2024"
    name = "smirk"
    folder = Path(__file__).parent
    needs_lids = True

    def image_size(self) -> int:
        """See RegressorAdapter."""
        return (MINI if self.size == "mini" else PAPER).encoder.image

    def build(self) -> Smirk:
        """See RegressorAdapter; without the generator, which only training needs."""
        return Smirk(MINI if self.size == "mini" else PAPER)

    def shipped(self) -> nn.Module:
        """See RegressorAdapter."""
        assert isinstance(self.net, Smirk)
        return self.net.smirk_encoder
