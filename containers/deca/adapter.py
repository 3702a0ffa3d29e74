"""DECA's own program (yfeng95/DECA, demos/demo_reconstruct.py) as a method of the harness; runs in its container."""

import functools
import sys
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

REPOSITORY = "/opt/DECA"
PICTURE = Path("/tmp/picture.png")
WEIGHTS = Path("/tmp/weights")


class Deca(MethodAdapter):
    """The coarse head of the official program: its detector, crop, network and FLAME. It looks at the first view.

    Where FAN finds no face the program takes the whole picture, and so does this.

    Args:
        weights: absolute path of a folder with `deca_model.tar` and FLAME 2020's `generic_model.pkl`.
    """

    unit = "m"
    paper = "Feng et al., Learning an Animatable Detailed 3D Face Model from In-The-Wild Images, SIGGRAPH 2021"
    family = "regressor"

    def __init__(self, weights):
        self.weights = Path(weights)

    def load(self, device):
        """Builds the official model without its renderer, which draws pictures only."""
        WEIGHTS.symlink_to(self.weights)
        sys.path.insert(0, REPOSITORY)
        import face_alignment
        import torch

        torch.load = functools.partial(torch.load, map_location=str(device))  # saved on a GPU
        face_alignment.FaceAlignment = functools.partial(face_alignment.FaceAlignment, device=str(device))
        from decalib.datasets.datasets import TestData
        from decalib.deca import DECA
        from decalib.utils.config import cfg

        class WithoutRenderer(DECA):
            def _setup_renderer(self, model_cfg):
                """The renderer would compile CUDA code; meshes do not need it."""

        cfg.pretrained_modelpath = REPOSITORY + "/data/deca_model.tar"
        cfg.model.use_tex = False
        self.device, self.torch = str(device), torch
        self.deca = WithoutRenderer(config=cfg, device=self.device)
        self.pictures = TestData([str(PICTURE)], iscrop=True, face_detector="fan")

    def predict(self, samples):
        """One head per sample, in metres and in FLAME's frame."""
        with self.torch.no_grad():
            return [self.answer(sample.views[0].read_image()) for sample in samples]

    def answer(self, image):
        """(H, W, 3) RGB -> the head that `encode` and FLAME make of it."""
        from skimage.io import imsave

        imsave(str(PICTURE), np.ascontiguousarray(image))
        code = self.deca.encode(self.pictures[0]["image"].to(self.device)[None], use_detail=False)
        vertices, _, landmarks = self.flame(code["shape"], code["exp"], code["pose"])
        still, turned = self.torch.zeros_like(code["exp"]), self.torch.zeros_like(code["pose"])
        neutral, _, neutral_landmarks = self.flame(code["shape"], still, turned)
        return Prediction(
            vertices=vertices,
            faces=self.deca.flame.faces_tensor.cpu().numpy(),
            landmarks=landmarks,
            neutral_vertices=neutral,
            neutral_landmarks=neutral_landmarks,
            parameters={key: code[name][0].cpu().numpy() for key, name in NAMES.items()},
        )

    def flame(self, shape, expression, pose):
        """(5023, 3) vertices, the sliding and the fixed 68 landmarks."""
        found = self.deca.flame(shape_params=shape, expression_params=expression, pose_params=pose)
        return [value[0].cpu().numpy() for value in found]


NAMES = {"shape": "shape", "expression": "exp", "pose": "pose", "camera": "cam"}
