"""KaoLRM's own program (CyberAgentAILab/KaoLRM, infer_mono.sh) as a method of the harness; runs in its container."""

import os
import sys
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

REPOSITORY = "/opt/KaoLRM"
WEIGHTS = Path("/tmp/weights")
SETTINGS = "configs/infer-base-mono.yaml"


class KaoLrm(MethodAdapter):
    """The official program's FLAME head, before the network's own scale: in metres. It looks at the first view.

    The program takes pictures without background: the view's mask is where the head is. It runs on a CUDA device only.

    Args:
        weights: absolute path of a folder with the release `mono`, FLAME 2020's `generic_model.pkl` and
            `FLAME_masks.pkl`.
    """

    unit = "m"
    paper = (
        "Zhu et al., KaoLRM: Repurposing Pre-trained Large Reconstruction Models for Parametric 3D Face "
        "Reconstruction, 3DV 2026"
    )
    family = "large reconstruction model"

    def __init__(self, weights):
        self.weights = Path(weights)

    def load(self, device):
        """Makes the program's own runner; it reads its settings from a command line."""
        if device.type != "cuda":
            raise RuntimeError("KaoLRM's program needs device=cuda")
        WEIGHTS.symlink_to(self.weights)
        sys.path.insert(0, REPOSITORY)
        os.chdir(REPOSITORY)
        import torch
        from kaolrm.runners.infer import LRMInferrer

        sys.argv = ["infer.lrm", "--infer", SETTINGS, "model_name=./releases/mono/", "image_input=/tmp"]
        self.torch = torch
        self.runner = LRMInferrer()

    def predict(self, samples):
        """One head per sample, in metres and in FLAME's frame."""
        with self.torch.no_grad():
            return [self.answer(sample.views[0]) for sample in samples]

    def answer(self, view):
        """The FLAME head that the network's planes are decoded to."""
        mask = view.read_mask()
        if mask is None:
            return Prediction.failed(
                "bad_input", "the view has no mask, and the program needs pictures without background"
            )
        torch, settings, device = self.torch, self.runner.cfg, self.runner.device
        picture = torch.from_numpy(squared(view.read_image(), mask)).permute(2, 0, 1)[None].to(device)
        size = (settings.source_size, settings.source_size)
        picture = torch.nn.functional.interpolate(picture, size=size, mode="bicubic", align_corners=True).clamp(0, 1)
        planes = self.runner.infer_planes(picture, source_cam_dist=settings.source_cam_dist)
        code = self.runner.model.flame_decoder(planes)
        vertices, landmarks = self.flame(code["shape"], code["expression"], code["pose"])
        still, turned = torch.zeros_like(code["expression"]), torch.zeros_like(code["pose"])
        neutral, neutral_landmarks = self.flame(code["shape"], still, turned)
        return Prediction(
            vertices=vertices,
            faces=self.runner.model.flame_model.faces_tensor.cpu().numpy(),
            landmarks=landmarks,
            neutral_vertices=neutral,
            neutral_landmarks=neutral_landmarks,
            parameters={
                name: code[name][0].cpu().numpy() for name in ("shape", "expression", "pose", "scale", "translation")
            },
        )

    def flame(self, shape, expression, pose):
        """(5023, 3) vertices and the fixed 68 landmarks."""
        vertices, _, landmarks = self.runner.model.flame_model(shape, expression, pose)
        return vertices[0].float().cpu().numpy(), landmarks[0].float().cpu().numpy()


def squared(image, mask):
    """(N, N, 3) float32 0..1: the head on white, in the middle of a white square."""
    height, width = mask.shape
    side = max(height, width)
    square = np.ones((side, side, 3), dtype=np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = np.where(mask[:, :, None], image / np.float32(255), 1)
    return square
