"""FaceVerse's own program (LizhenWangT/FaceVerse, fit_images.py) as a method of the harness; runs in its container."""

import os
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

REPOSITORY = "/opt/FaceVerse"
WEIGHTS = Path("/tmp/weights")
PICTURES, RESULTS = Path("/tmp/pictures"), Path("/tmp/results")
MILLIMETRES = 100.0  # decimetres, to judge by the program's camera; the repository does not say it
INNER_CORNERS = (60, 64)  # of the mouth: the program's 66 points lack these two of the 68
DEFAULTS = {
    **{"align": True, "save_ply": True, "version": 1, "tar_size": 1024},
    **{"rf_iters": 500, "nrf_iters": 200, "network_iters": 800, "rf_lr": 1e-2, "nrf_lr": 1e-2, "network_lr": 2e-3},
    **{"lm_loss_w": 3e3, "rgb_loss_w": 1.6, "id_reg_w": 1e-3, "exp_reg_w": 1.5e-4, "tex_reg_w": 3e-4, "tex_w": 1},
}


class FaceVerse(MethodAdapter):
    """The official single-picture fit: base model, detail and expression, over ten minutes each. First view only.

    Give `timeout_s=3600`. The program runs on a CUDA device only.

    Args:
        weights: absolute path of the folder that FaceVerse version 1 is unpacked to (`faceverse_base_v1.npy`, ...).
    """

    unit = "mm"
    paper = "Wang et al., FaceVerse: a Fine-grained and Detail-controllable 3D Face Morphable Model, CVPR 2022"
    family = "model fitting"

    def __init__(self, weights):
        self.weights = Path(weights)

    def load(self, device):
        """Imports the program; it reads its model anew for each picture."""
        if device.type != "cuda":
            raise RuntimeError("FaceVerse's program needs device=cuda")
        WEIGHTS.symlink_to(self.weights)
        PICTURES.mkdir()
        RESULTS.mkdir()
        sys.path.insert(0, REPOSITORY)
        os.chdir(REPOSITORY)
        import fit_images

        self.device, self.program = str(device), fit_images
        detail = np.load("data/faceverse_detail_v1.npy", allow_pickle=True).item()
        self.points = np.asarray(detail["keypoints"]).reshape(-1).astype(np.int64)

    def predict(self, samples):
        """One face per sample, in millimetres, in the model's frame."""
        return [self.answer(sample.views[0].read_image()) for sample in samples]

    def answer(self, image):
        """The last mesh that the program writes for a picture."""
        import cv2

        written = RESULTS / "picture_final.ply"
        if written.exists():
            written.unlink()
        cv2.imwrite(str(PICTURES / "picture.png"), np.ascontiguousarray(image[:, :, ::-1]))
        self.program.fit(Namespace(input=str(PICTURES), res_folder=str(RESULTS), **DEFAULTS), self.device)
        if not written.exists():
            return Prediction.failed("no_face", "OpenSeeFace found no face")
        vertices, faces = read_ply(written)
        landmarks = np.full((68, 3), np.nan)
        landmarks[[i for i in range(68) if i not in INNER_CORNERS]] = vertices[self.points] * MILLIMETRES
        return Prediction(vertices=vertices * MILLIMETRES, faces=faces, landmarks=landmarks)


def read_ply(path):
    """Vertices and triangles of the program's text PLY."""
    lines = path.read_text().splitlines()
    start = lines.index("end_header") + 1
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    vertices = np.array([line.split()[:3] for line in lines[start : start + count]], dtype=np.float64)
    faces = np.array([line.split()[1:4] for line in lines[start + count :] if line.strip()], dtype=np.int64)
    return vertices, faces
