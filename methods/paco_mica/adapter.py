"""PaCo-FR with MICA as a method of the harness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from harness.methods.farl.material import ffhq_squares_of
from harness.methods.farl.warp import Frame
from harness.methods.paco_mica.network import MINI, PAPER, PacoMica
from harness.methods.regression.adapter import RegressorAdapter
from harness.methods.regression.arcface import face_crop
from harness.methods.regression.crops import Crop
from harness.samples import View

FINER = 4
"""Times as many pixels are read of a picture before they are averaged."""


class PacoMicaAdapter(RegressorAdapter):
    """MICA's identity and an expression by PaCo-FR's encoder (arXiv 2508.09691, supplement)."""

    paper = "PaCo-FR, arXiv 2508.09691, with MICA (Zielonka et al., ECCV 2022)"
    name = "paco_mica"
    folder = Path(__file__).parent
    choose = "centre"

    def image_size(self) -> int:
        """See RegressorAdapter; of both crops."""
        return (MINI if self.size == "mini" else PAPER).vit.image

    def build(self) -> PacoMica:
        """See RegressorAdapter."""
        return PacoMica(MINI if self.size == "mini" else PAPER)

    def cut(self, view: View) -> tuple[Crop, str]:
        """See RegressorAdapter: six channels, FFHQ's crop and ArcFace's by the same five points."""
        image = view.read_image()
        face, size = self.finder.find(view, image), self.image_size()
        aligned = face_crop(image, face.points, size)
        fine = size * FINER
        matrix = ffhq_squares_of(torch.from_numpy(face.points[None]), fine)[0].numpy()
        portrait = functional.avg_pool2d(Frame(matrix, factor=0.0, size=fine).cut(image), FINER)
        pixels = np.concatenate([portrait[0].permute(1, 2, 0).numpy(), aligned.pixels], axis=2)
        return Crop(pixels, aligned.matrix), face.note
