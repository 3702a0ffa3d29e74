"""EMOCA as a method of the harness."""

from __future__ import annotations

from pathlib import Path

from harness.methods.emoca.network import MINI, PAPER, Emoca
from harness.methods.regression.adapter import RegressorAdapter


class EmocaAdapter(RegressorAdapter):
    """EMOCA (Danecek et al., CVPR 2022), first and second version: DECA with an expression encoder of its own."""

    paper = "Danecek et al., EMOCA: Emotion Driven Monocular Face Capture and Animation, CVPR 2022"
    name = "emoca"
    folder = Path(__file__).parent

    def image_size(self) -> int:
        """See RegressorAdapter."""
        return (MINI if self.size == "mini" else PAPER).image

    def build(self) -> Emoca:
        """See RegressorAdapter. A checkpoint decides by itself whether the second encoder also gives jaw and turn."""
        return Emoca(MINI if self.size == "mini" else PAPER)
