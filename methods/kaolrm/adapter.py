"""KaoLRM as a method of the harness: from a picture without background to a FLAME head."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from harness.adapter import MethodAdapter
from harness.errors import DataError, HarnessError
from harness.heads.build import build_head
from harness.methods.kaolrm.cameras import MONO_FOCAL, frontal_camera, source_numbers
from harness.methods.kaolrm.checkpoints import FILE, official_network
from harness.methods.kaolrm.drawing import appearance, decoded
from harness.methods.kaolrm.matting import check, matted
from harness.methods.kaolrm.network import MINI, MINI_FOCAL, PAPER, HeadCodes, KaoLRM
from harness.methods.kaolrm.pictures import has_matte, network_picture
from harness.methods.lvd.modes import head_signature
from harness.methods.regression.codes import Codes
from harness.methods.regression.crops import Crop, FaceError
from harness.methods.regression.decoding import METRES, Decoder
from harness.methods.regression.faces import FaceFinder, Track
from harness.methods.regression.shipped import load_shipped
from harness.samples import Array, Camera, Prediction, Sample, View

log = logging.getLogger(__name__)


class KaoLRMAdapter(MethodAdapter):
    """KaoLRM, with released weights and the user's FLAME, or at mini size with the procedural head.

    It reads one picture; of a sample with several views the identities are averaged and the rest is the first's, as
    with the regressors. The mesh is the head's in metres: the network's own scale says how large the head is in the
    picture, not in the world.

    Args:
        size: "mini" (shipped weights, procedural head) or "paper" (as published). A checkpoint means paper.
        checkpoint: `model.safetensors`, or the release folder that holds it.
        head: "flame" for a checkpoint; mini weights are for the procedural head.
        head_path: the user's FLAME: a pickle, or a folder with it and what belongs to it.
        focal: lens of the pictures that the weights draw, in widths of the picture; None is the mini's own (4), and for
            released weights 20 as in the settings of the mono weights' inference (4 in those of their training; 0.75
            for the multi-view weights). It decides where the head is on the picture, not its shape.
        matting: what finds the background of a view without mask and transparency: "grabcut" (see `matting`), or
            "none", which refuses such views.
        track: who finds the face of such a view, as with the regressors.
        weights: of the mini size, from `harness train`; the shipped ones if None.
        random_weights: let a network without weights run, to measure its speed.

    Raises:
        HarnessError: options contradict each other, or have a value that does not exist.
    """

    unit = "m"
    paper = (
        "Zhu et al., KaoLRM: Repurposing Pre-trained Large Reconstruction Models for Parametric 3D Face "
        "Reconstruction, 3DV 2026"
    )
    family = "large reconstruction model"

    def __init__(
        self,
        size: str = "mini",
        checkpoint: str | None = None,
        head: str = "procedural",
        head_path: str | None = None,
        focal: float | None = None,
        matting: str = "grabcut",
        track: Track = "auto",
        weights: str | None = None,
        random_weights: bool = False,
    ) -> None:
        if size not in ("mini", "paper"):
            raise HarnessError(f"kaolrm: option size={size!r}, expected mini or paper")
        self.sizes = PAPER if checkpoint or size == "paper" else MINI
        if self.sizes is PAPER and not checkpoint and not random_weights:
            raise HarnessError(
                "kaolrm: size=paper needs the released weights, method.checkpoint=PATH (its README.md says where to "
                "ask), or method.options.random_weights=true to measure speed only"
            )
        if checkpoint and head != "flame":
            raise HarnessError(
                f"kaolrm: the released weights speak of FLAME, not of the {head} head; give method.head=flame "
                "head.path=PATH"
            )
        if focal is not None and not (focal > 0 and np.isfinite(focal)):
            raise HarnessError(f"kaolrm: option focal={focal}, expected a positive number, e.g. 20, 4 or 0.75")
        self.checkpoint = Path(checkpoint).expanduser() if checkpoint else None
        self.head_name, self.head_path = head, head_path
        self.focal = float(focal or (MONO_FOCAL if self.sizes is PAPER else MINI_FOCAL))
        self.matting, self.finder = check(matting), FaceFinder(track)
        self.weights = Path(weights).expanduser() if weights else Path(__file__).parent / "mini.safetensors"
        self.random_weights = random_weights

    def files(self) -> Sequence[Path]:
        """Weights and head model."""
        weights = self.weights if self.checkpoint is None else self.checkpoint
        weights = weights / FILE if weights.is_dir() else weights
        own = [] if self.random_weights else [weights]
        return [*own, *([Path(self.head_path)] if self.head_path else [])]

    def load(self, device: torch.device) -> None:
        """Reads head and weights. Raises HarnessError if these are missing or do not fit."""
        self.device = device
        head = build_head(self.head_name, self.head_path)
        if self.checkpoint is not None:
            self.net, report = official_network(self.checkpoint)
            log.info("%s", report)
        else:
            self.net = KaoLRM(self.sizes)
            if not self.random_weights:
                load_shipped(self.net, self.weights, head_signature(head), "kaolrm")
        self.net.eval().requires_grad_(False).to(device)
        self.decoder = Decoder(head.to(device))
        self.faces = head.faces.numpy()

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One head per sample, in metres and in FLAME's frame."""
        return [self._predict(sample) for sample in samples]

    def _predict(self, sample: Sample) -> Prediction:
        with self.stage("input"):
            try:
                crops = [self._look(view) for view in sample.views]
            except FaceError as error:
                return Prediction.failed(error.reason, str(error))
            except DataError as error:
                return Prediction.failed("bad_input", str(error))
            images = torch.from_numpy(np.stack([c.pixels for c in crops])).permute(0, 3, 1, 2).to(self.device)
        with self.stage("network"), torch.inference_mode():
            codes = self._fitting(averaged(self.net(images, source_numbers(len(crops)).to(self.device)).codes))
        with self.stage("decode"), torch.inference_mode():
            note = "" if all(map(has_matte, sample.views)) else "background found by GrabCut"
            return self._decode(codes, crops[0], note)

    def draw(self, view: View, cameras: Sequence[Camera], points: int = 8000, seed: int = 0) -> list[Array]:
        """What the head of a view looks like from anywhere, drawn by its Gaussians on white.

        Args:
            view: as in a sample.
            cameras: in the network's frame: about the origin, DISTANCE away, y up, with a lens of `focal`.
            points: Gaussians.
            seed: of where they lie.

        Returns:
            (H, W, 3) uint8 for each camera.

        Raises:
            FaceError: there is no subject, or nothing says what is background.
            DataError: the view cannot be read.
        """
        crop = self._look(view)
        image = torch.from_numpy(crop.pixels).permute(2, 0, 1)[None].to(self.device)
        with torch.inference_mode():
            made = self.net(image, source_numbers().to(self.device))
            codes = self._fitting(made.codes.before_a_long_lens() if self.focal > 1 else made.codes)
            vertices = decoded(self.decoder, codes)[0][0]
            chance = torch.Generator().manual_seed(seed)
            faces = self.decoder.head.faces
            pictures = appearance(self.net, made, 0, vertices, faces, list(cameras), points, self.focal, chance)
        return [(255 * picture.colour.clamp(0, 1)).round().byte().cpu().numpy() for picture in pictures]

    def _look(self, view: View) -> Crop:
        """The network's picture. Raises FaceError or DataError."""
        if self.matting == "none" or has_matte(view):
            return network_picture(view, self.net.sizes.image)
        head, shift = matted(view, self.finder.find(view))
        crop = network_picture(head, self.net.sizes.image)
        return replace(crop, matrix=crop.matrix @ shift)

    def _fitting(self, codes: HeadCodes) -> HeadCodes:
        """Codes as long as the head's bases; only a network without weights may have longer ones."""
        head = self.decoder.head
        if not self.random_weights:
            return codes
        shapes, expressions = len(head.shape_names), len(head.expression_names)
        return replace(codes, shape=codes.shape[:, :shapes], expression=codes.expression[:, :expressions])

    def _decode(self, codes: HeadCodes, crop: Crop, note: str) -> Prediction:
        flame = Codes(codes.shape, codes.expression, codes.turn, codes.jaw)
        shaped, neutral = self.decoder(flame), self.decoder.neutral(flame)
        meshes = (shaped.vertices, shaped.fixed_landmarks, neutral.vertices, neutral.fixed_landmarks)
        vertices, landmarks, neutral_vertices, neutral_landmarks = (_array(x) / METRES for x in meshes)
        projection = self.projection(codes, crop)
        if not (np.isfinite(vertices).all() and np.isfinite(projection).all()):
            return Prediction.failed("non_finite", "the network gave codes that are no numbers, or far too large ones")
        image = landmarks @ projection[:, :3].T + projection[:, 3]
        parts = {"shape": codes.shape, "expression": codes.expression, "scale": codes.scale}
        pose = np.concatenate([_array(codes.turn), _array(codes.jaw)])
        return Prediction(
            vertices=vertices,
            faces=self.faces,
            landmarks=landmarks,
            parameters={name: _array(value) for name, value in parts.items()}
            | {"pose": pose, "translation": _array(codes.translation)},
            landmarks_2d=image[:, :2] / image[:, 2:],
            neutral_vertices=neutral_vertices,
            neutral_landmarks=neutral_landmarks,
            projection=projection,
            detail=note,
        )

    def projection(self, codes: HeadCodes, crop: Crop) -> Array:
        """(3, 4) takes homogeneous points of the head in metres to homogeneous pixels of the view."""
        placed = codes.before_a_long_lens() if self.focal > 1 else codes
        to_frame = np.eye(4)
        to_frame[:3, :3] *= _array(placed.scale)
        to_frame[:3, 3] = _array(placed.translation)
        camera = frontal_camera(self.focal, self.net.sizes.image)
        return np.asarray(np.linalg.inv(crop.matrix) @ camera.projection @ to_frame)


def averaged(codes: HeadCodes) -> HeadCodes:
    """The codes of n pictures of one face as one: the mean identity, and the rest of the first."""
    first = {name: value[:1] for name, value in vars(codes).items()}
    return HeadCodes(**first | {"shape": codes.shape.mean(dim=0, keepdim=True)})


def _array(value: torch.Tensor) -> Array:
    return np.asarray(value[0].double().cpu().numpy())
