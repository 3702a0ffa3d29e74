"""TEASER as a method of the harness."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from harness.methods.regression.adapter import RegressorAdapter
from harness.methods.teaser.network import MINI, PAPER, Teaser


class TeaserAdapter(RegressorAdapter):
    """TEASER (Liu et al., ICLR 2025): SMIRK's networks, trained with tokens of the face's appearance."""

    paper = "Liu et al., TEASER: Token Enhanced Spatial Modeling for Expressions Reconstruction, ICLR 2025"
    name = "teaser"
    folder = Path(__file__).parent
    needs_lids = True

    def image_size(self) -> int:
        """See RegressorAdapter."""
        return (MINI if self.size == "mini" else PAPER).encoder.image

    def build(self) -> Teaser:
        """See RegressorAdapter; without the generator, which only training needs."""
        return Teaser(MINI if self.size == "mini" else PAPER)

    def shipped(self) -> nn.Module:
        """See RegressorAdapter."""
        assert isinstance(self.net, Teaser)
        return self.net.teaser_encoder
