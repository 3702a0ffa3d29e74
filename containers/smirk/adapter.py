"""SMIRK's own program (georgeretsi/smirk, demo.py) as a method of the harness; runs in its container."""

import os
import sys
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

REPOSITORY = "/opt/smirk"
SIDE = 224
SCALE = 1.4


class Smirk(MethodAdapter):
    """The official encoders and FLAME, behind MediaPipe's landmarks. It looks at the first view.

    Args:
        weights: absolute path of a folder with `SMIRK_em1.pt` and FLAME 2020's `generic_model.pkl`.
    """

    unit = "m"
    paper = "Retsinas et al., 3D Facial Expressions through Analysis-by-Neural-Synthesis, CVPR 2024"
    family = "regressor"

    def __init__(self, weights):
        self.weights = Path(weights)

    def load(self, device):
        """Builds encoder and FLAME; the backbones' ImageNet weights are not downloaded, the checkpoint has its own."""
        sys.path.insert(0, REPOSITORY)
        os.chdir(REPOSITORY)
        import timm
        import torch

        made = timm.create_model
        timm.create_model = lambda name, pretrained=False, **options: made(name, pretrained=False, **options)
        from src.FLAME.FLAME import FLAME
        from src.smirk_encoder import SmirkEncoder
        from utils.mediapipe_utils import run_mediapipe

        self.torch, self.device, self.find = torch, str(device), run_mediapipe
        stored = torch.load(str(self.weights / "SMIRK_em1.pt"), map_location="cpu")
        prefix = "smirk_encoder."
        self.encoder = SmirkEncoder()
        self.encoder.load_state_dict({k[len(prefix) :]: v for k, v in stored.items() if k.startswith(prefix)})
        self.encoder.eval().to(self.device)
        self.flame = FLAME(flame_model_path=str(self.weights / "generic_model.pkl")).to(self.device)

    def predict(self, samples):
        """One head per sample, in metres and in FLAME's frame."""
        with self.torch.no_grad():
            return [self.answer(sample.views[0].read_image()) for sample in samples]

    def answer(self, image):
        """(H, W, 3) RGB -> the head of the face that MediaPipe finds."""
        points = self.find(np.ascontiguousarray(image[:, :, ::-1]))
        if points is None:
            return Prediction.failed("no_face", "MediaPipe found no face")
        crop = cropped(image, points[:, :2])
        picture = self.torch.from_numpy(crop).permute(2, 0, 1)[None].float().div(255).to(self.device)
        code = self.encoder(picture)
        head = self.flame(code)
        names = ("expression_params", "pose_params", "jaw_params")
        zeros = {name: self.torch.zeros_like(code[name]) for name in names}
        neutral = self.flame({"shape_params": code["shape_params"], **zeros})
        return Prediction(
            vertices=numbers(head["vertices"]),
            faces=self.flame.faces_tensor.cpu().numpy(),
            landmarks=numbers(head["landmarks_fan_3d"]),
            neutral_vertices=numbers(neutral["vertices"]),
            neutral_landmarks=numbers(neutral["landmarks_fan_3d"]),
            parameters={name[: -len("_params")]: numbers(code[name]) for name in ("shape_params", *names)},
        )


def cropped(image, points):
    """(224, 224, 3) uint8: a square around the points, 1.4 of their box's mean side, corner pixel to corner pixel."""
    from skimage.transform import SimilarityTransform, warp

    low, high = points.min(axis=0), points.max(axis=0)
    size = int((high - low).mean() * SCALE)
    scale = (SIDE - 1) / size
    to_crop = SimilarityTransform(scale=scale, translation=-scale * ((low + high) / 2 - size / 2))
    return warp(image, to_crop.inverse, output_shape=(SIDE, SIDE), preserve_range=True).astype(np.uint8)


def numbers(values):
    """The first of a batch, as an array."""
    return values[0].cpu().numpy()
