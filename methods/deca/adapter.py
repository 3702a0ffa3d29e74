"""DECA as a method of the harness."""

from __future__ import annotations

from pathlib import Path

from harness.methods.deca.network import MINI, PAPER, Deca
from harness.methods.regression.adapter import RegressorAdapter


class DecaAdapter(RegressorAdapter):
    """DECA's coarse head (Feng et al., SIGGRAPH 2021): identity, expression, pose and camera from one network."""

    paper = "Feng et al., Learning an Animatable Detailed 3D Face Model from In-The-Wild Images, SIGGRAPH 2021"
    name = "deca"
    folder = Path(__file__).parent

    def image_size(self) -> int:
        """See RegressorAdapter."""
        return (MINI if self.size == "mini" else PAPER).image

    def build(self) -> Deca:
        """See RegressorAdapter."""
        return Deca(MINI if self.size == "mini" else PAPER)
