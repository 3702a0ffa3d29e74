"""EMOCA v2's own program (radekd91/emoca, demos/test_emoca_on_images.py) as a method; runs in its container."""

import os
import sys
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

REPOSITORY = "/opt/emoca"
PICTURE = Path("/tmp/picture.png")
WEIGHTS = Path("/tmp/weights")


class Emoca(MethodAdapter):
    """The coarse head of the official program: its detector, crop, networks and FLAME. It looks at the first view.

    The program runs on a CUDA device only.

    Args:
        weights: absolute path of the `assets` folder that the repository's download_assets.sh fills.
        model: name of the run in `EMOCA/models`.
    """

    unit = "m"
    paper = "Danecek et al., EMOCA: Emotion Driven Monocular Face Capture and Animation, CVPR 2022"
    family = "regressor"

    def __init__(self, weights, model="EMOCA_v2_lr_mse_20"):
        self.weights, self.model = Path(weights), model

    def load(self, device):
        """Loads the detail stage's checkpoint, which holds the coarse networks too."""
        if device.type != "cuda":
            raise RuntimeError("EMOCA's program needs device=cuda")
        WEIGHTS.symlink_to(self.weights)
        sys.path.insert(0, REPOSITORY)
        os.chdir(REPOSITORY)
        import torch
        from gdl.datasets.ImageTestDataset import TestData
        from gdl_apps.EMOCA.utils.load import load_model

        self.torch, self.device = torch, torch.device(str(device))
        self.emoca, _ = load_model(REPOSITORY + "/assets/EMOCA/models", self.model, "detail")
        self.emoca.to(self.device)
        self.emoca.eval()
        self.pictures = TestData([str(PICTURE)], face_detector="fan", max_detection=20)

    def predict(self, samples):
        """One head per sample, in metres and in FLAME's frame."""
        with self.torch.no_grad():
            return [self.answer(sample.views[0].read_image()) for sample in samples]

    def answer(self, image):
        """(H, W, 3) RGB -> the head of the first face found."""
        from skimage.io import imsave

        imsave(str(PICTURE), np.ascontiguousarray(image))
        crops = self.pictures[0]["image"].to(self.device).view(-1, 3, 224, 224)[:1]
        code = self.emoca.encode({"image": crops}, training=False)
        vertices, landmarks = self.flame(code["shapecode"], code["expcode"], code["posecode"])
        still, turned = self.torch.zeros_like(code["expcode"]), self.torch.zeros_like(code["posecode"])
        neutral, neutral_landmarks = self.flame(code["shapecode"], still, turned)
        return Prediction(
            vertices=vertices,
            faces=self.emoca.deca.flame.faces_tensor.cpu().numpy(),
            landmarks=landmarks,
            neutral_vertices=neutral,
            neutral_landmarks=neutral_landmarks,
            parameters={name: code[key][0].cpu().numpy() for name, key in NAMES.items()},
        )

    def flame(self, shape, expression, pose):
        """(5023, 3) vertices and the fixed 68 landmarks; v2's FLAME has MediaPipe's points behind these."""
        found = self.emoca.deca.flame(shape_params=shape, expression_params=expression, pose_params=pose)
        return found[0][0].cpu().numpy(), found[2][0].cpu().numpy()


NAMES = {"shape": "shapecode", "expression": "expcode", "pose": "posecode"}
