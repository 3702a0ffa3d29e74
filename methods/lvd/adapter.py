"""LVD as a method of the harness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from harness.methods.lvd.descent import DescentAdapter
from harness.methods.lvd.finding import Placed
from harness.methods.lvd.network import LVD, MINI, PAPER


class Lvd(DescentAdapter):
    """Learned vertex descent (Corona et al., ECCV 2022) for faces, here with one or several perspective views."""

    paper = "Corona et al., Learned Vertex Descent: A New Direction for 3D Human Model Fitting, ECCV 2022"
    name = "lvd"
    folder = Path(__file__).parent

    def build(self, vertices: int) -> LVD:
        """See DescentAdapter. The paper size is the published variant with a mask."""
        return LVD(MINI if self.size == "mini" else replace(PAPER, filter=replace(PAPER.filter, inputs=4)), vertices)

    def descend(self, placed: Placed) -> Tensor:
        """See DescentAdapter."""
        assert isinstance(self.net, LVD)
        features = self.net.encode(placed.images, placed.projection, placed.rotation, placed.expected)
        return self.net.descend(features, placed.start, self.steps)
