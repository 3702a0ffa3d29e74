"""MICA's own program (Zielon/MICA, demo.py) as a method of the harness; runs in its container."""

import functools
import os
import sys
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

REPOSITORY = "/opt/MICA"
WEIGHTS = Path("/tmp/weights")
DETECTORS = Path("/tmp/.insightface/models")


class Mica(MethodAdapter):
    """The official detector, ArcFace crop and network: a neutral head in metres. It looks at the first view.

    Args:
        weights: absolute path of a folder with `mica.tar`, FLAME 2020's `generic_model.pkl` and insightface's folder
            `antelopev2`.
    """

    unit = "m"
    paper = "Zielonka et al., Towards Metrical Reconstruction of Human Faces, ECCV 2022"
    family = "regressor"

    def __init__(self, weights):
        self.weights = Path(weights)

    def load(self, device):
        """Builds the official model and detector."""
        WEIGHTS.symlink_to(self.weights)
        DETECTORS.mkdir(parents=True)
        (DETECTORS / "antelopev2").symlink_to(self.weights / "antelopev2")
        sys.path.insert(0, REPOSITORY)
        os.chdir(REPOSITORY)
        import torch

        torch.load = functools.partial(torch.load, map_location=str(device))  # saved on a GPU
        from configs.config import get_cfg_defaults
        from micalib.models.mica import MICA
        from utils.landmark_detector import LandmarksDetector, detectors

        settings = get_cfg_defaults()
        settings.model.testing = True
        self.torch, self.device = torch, str(device)
        self.mica = MICA(settings, self.device)
        self.mica.eval()
        self.detector = LandmarksDetector(model=detectors.RETINAFACE)

    def predict(self, samples):
        """One neutral head per sample, in metres and in FLAME's frame."""
        with self.torch.no_grad():
            return [self.answer(sample.views[0].read_image()) for sample in samples]

    def answer(self, image):
        """(H, W, 3) RGB -> the head of the face nearest to the picture's centre."""
        from datasets.creation.util import get_arcface_input, get_center
        from insightface.app.common import Face

        picture = np.ascontiguousarray(image[:, :, ::-1])
        boxes, points = self.detector.detect(picture)
        if len(boxes) == 0:
            return Prediction.failed("no_face", "RetinaFace found no face")
        chosen = get_center(boxes, picture)
        face = Face(bbox=boxes[chosen, :4], kps=points[chosen], det_score=boxes[chosen, 4])
        blob, _ = get_arcface_input(face, picture)
        found = self.mica.decode(self.mica.encode(None, self.torch.from_numpy(blob)[None].to(self.device)))
        mesh = found["pred_canonical_shape_vertices"]
        vertices, landmarks = mesh[0].cpu().numpy(), self.mica.flame.compute_landmarks(mesh)[0].cpu().numpy()
        return Prediction(
            vertices=vertices,
            faces=self.mica.flameModel.generator.faces_tensor.cpu().numpy(),
            landmarks=landmarks,
            neutral_vertices=vertices,
            neutral_landmarks=landmarks,
            parameters={"shape": found["pred_shape_code"][0].cpu().numpy()},
        )
