"""GLVD as a method of the harness."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from harness.methods.glvd.network import GLVD, MINI, PAPER
from harness.methods.lvd.descent import DescentAdapter
from harness.methods.lvd.finding import Placed


class Glvd(DescentAdapter):
    """Guided learned vertex descent (Caselles Rico and Moreno-Noguer, NeurIPS 2025)."""

    paper = "Caselles Rico and Moreno-Noguer, Guided Learned Vertex Descent, NeurIPS 2025"
    name = "glvd"
    folder = Path(__file__).parent

    def build(self, vertices: int) -> GLVD:
        """See DescentAdapter."""
        return GLVD(MINI if self.size == "mini" else PAPER, vertices)

    def descend(self, placed: Placed) -> Tensor:
        """See DescentAdapter."""
        assert isinstance(self.net, GLVD)
        features = self.net.encode(placed.images, placed.heat_maps, placed.projection, placed.rotation, placed.expected)
        return self.net.descend(features, placed.start, placed.keypoints, self.steps)[0]
