"""3DDFA-V3's own program (wang-zidu/3DDFA-V3, demo.py) as a method of the harness; runs in its container."""

import os
import sys
import types
from argparse import Namespace
from pathlib import Path

from harness import MethodAdapter, Prediction

REPOSITORY = "/opt/3DDFA-V3"
WEIGHTS = Path("/tmp/weights")
MILLIMETRES = 100.0  # the Basel Face Model as Deep3D scales it counts in decimetres
UNUSED = ("iscrop", "ldm106", "ldm106_2d", "ldm134", "seg", "seg_visible", "useTex", "extractTex")


class Tddfa(MethodAdapter):
    """The official detector, crop and network: 35,709 vertices of the face. It looks at the first view.

    Args:
        weights: absolute path of the `assets` folder that the repository's assets/README.md describes.
        backbone: resnet50 or mbnetv3.
    """

    unit = "mm"
    paper = "Wang et al., 3D Face Reconstruction with the Geometric Guidance of Facial Part Segmentation, CVPR 2024"
    family = "regressor"

    def __init__(self, weights, backbone="resnet50"):
        self.weights, self.backbone = Path(weights), backbone

    def load(self, device):
        """Builds the official model; the second detector it imports, MTCNN with TensorFlow, is never used."""
        WEIGHTS.symlink_to(self.weights)
        sys.path.insert(0, REPOSITORY)
        os.chdir(REPOSITORY)
        sys.modules["mtcnn"] = types.SimpleNamespace(MTCNN=None)
        import torch
        from face_box import face_box
        from model.recon import face_model

        settings = Namespace(
            device=device.type,
            detector="retinaface",
            backbone=self.backbone,
            ldm68=True,
            **dict.fromkeys(UNUSED, False),
        )
        settings.iscrop = True
        self.torch, self.device = torch, device.type
        self.model = face_model(settings)
        self.detect = face_box(settings).detector

    def predict(self, samples):
        """One face per sample, in millimetres, in the model's frame."""
        with self.torch.no_grad():
            return [self.answer(sample.views[0].read_image()) for sample in samples]

    def answer(self, image):
        """(H, W, 3) RGB -> the shape of the first face found, before pose and camera."""
        from PIL import Image

        try:
            _, picture = self.detect(Image.fromarray(image))
        except SystemExit:  # how the program says that it found none
            return Prediction.failed("no_face", "RetinaFace found no face")
        code = self.model.split_alpha(self.model.net_recon(picture.to(self.device)))
        vertices = self.shape(code["id"], code["exp"])
        neutral = self.shape(code["id"], self.torch.zeros_like(code["exp"]))
        marks = self.model.ldm68.cpu().numpy()
        return Prediction(
            vertices=vertices,
            faces=self.model.tri.cpu().numpy(),
            landmarks=vertices[marks],
            neutral_vertices=neutral,
            neutral_landmarks=neutral[marks],
            parameters={name: code[key][0].cpu().numpy() for name, key in NAMES.items()},
        )

    def shape(self, identity, expression):
        """(35709, 3) millimetres."""
        return self.model.compute_shape(identity, expression)[0].cpu().numpy() * MILLIMETRES


NAMES = {"shape": "id", "expression": "exp", "angles": "angle", "translation": "trans"}
