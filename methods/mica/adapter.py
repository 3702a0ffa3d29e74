"""MICA as a method of the harness."""

from __future__ import annotations

from pathlib import Path

from harness.methods.mica.network import MINI, PAPER, Mica
from harness.methods.regression.adapter import RegressorAdapter
from harness.methods.regression.arcface import face_crop
from harness.methods.regression.crops import Crop
from harness.samples import View


class MicaAdapter(RegressorAdapter):
    """MICA (Zielonka et al., ECCV 2022): the neutral head, in metres, from a face recognition network."""

    paper = "Zielonka et al., Towards Metrical Reconstruction of Human Faces, ECCV 2022"
    name = "mica"
    folder = Path(__file__).parent
    choose = "centre"

    def image_size(self) -> int:
        """See RegressorAdapter."""
        return (MINI if self.size == "mini" else PAPER).image

    def build(self) -> Mica:
        """See RegressorAdapter."""
        return Mica(MINI if self.size == "mini" else PAPER)

    def cut(self, view: View) -> tuple[Crop, str]:
        """See RegressorAdapter: five points of the face are brought to ArcFace's template."""
        image = view.read_image()
        face = self.finder.find(view, image)
        return face_crop(image, face.points, self.image_size()), face.note
