"""From a sample to a head: crop, network, decode. DECA, EMOCA, SMIRK, MICA and TEASER share it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from harness.adapter import MethodAdapter
from harness.errors import DataError, HarnessError
from harness.heads.build import build_head
from harness.methods.lvd.modes import head_signature
from harness.methods.regression.checkpoints import official_network
from harness.methods.regression.codes import Codes
from harness.methods.regression.crops import RULES, Crop, FaceError, crop
from harness.methods.regression.decoding import METRES, Decoder, Shaped, projection_matrix
from harness.methods.regression.faces import Choice, FaceFinder, Track
from harness.methods.regression.parts import part_map
from harness.methods.regression.shipped import load_shipped
from harness.samples import Array, Prediction, Sample, View

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network sees of a sample: a crop of each view in which there is a face.

    Attributes:
        crops: at least one.
        first: whether the first is of the sample's first view.
        notes: what a reader of the prediction should know.
    """

    crops: Sequence[Crop]
    first: bool
    notes: Sequence[str]


class RegressorAdapter(MethodAdapter):
    """What the adapters of FLAME's regressors have in common.

    The published methods look at one picture. Of a sample with several views the identities are averaged and the rest
    is the first's, which is our way of answering such samples.

    Args:
        size: "mini" (shipped weights, procedural head) or "paper" (as published). A checkpoint means paper.
        checkpoint: the official file (for EMOCA also its folder).
        head: "flame" for a checkpoint; mini weights are for the procedural head.
        head_path: the user's FLAME: a pickle, or a folder with it and what belongs to it.
        track: who finds the face: "own" (detector), "shared" (the data set's box), "landmarks", or "auto".
        weights: of the mini size, from `harness train`; the shipped ones if None.
        random_weights: let a network without weights run, to measure its speed.
        parts: answer with a label map too, the parts of the head as the first view shows them, for parsing benchmarks.

    Raises:
        HarnessError: options contradict each other, or have a value that does not exist.
    """

    unit = "m"
    family = "regressor"
    name: ClassVar[str]
    folder: ClassVar[Path]
    choose: ClassVar[Choice] = "largest"
    needs_lids: ClassVar[bool] = False

    def __init__(
        self,
        size: str = "mini",
        checkpoint: str | None = None,
        head: str = "procedural",
        head_path: str | None = None,
        track: Track = "auto",
        weights: str | None = None,
        random_weights: bool = False,
        parts: bool = False,
    ) -> None:
        if size not in ("mini", "paper"):
            raise HarnessError(f"{self.name}: option size={size!r}, expected mini or paper")
        self.size = "paper" if checkpoint else size
        if self.size == "paper" and not checkpoint and not random_weights:
            raise HarnessError(
                f"{self.name}: size=paper needs the official weights, method.checkpoint=PATH (its README.md says where "
                "to ask), or method.options.random_weights=true to measure speed only"
            )
        if checkpoint and head != "flame":
            raise HarnessError(
                f"{self.name}: the official weights speak of FLAME, not of the {head} head; "
                "give method.head=flame head.path=PATH"
            )
        self.checkpoint = Path(checkpoint).expanduser() if checkpoint else None
        self.head_name, self.head_path = head, head_path
        self.finder = FaceFinder(track, self.choose)
        self.weights = Path(weights).expanduser() if weights else self.folder / "mini.safetensors"
        self.random_weights = random_weights
        self.parts = parts

    @abstractmethod
    def build(self) -> nn.Module:
        """The network of the chosen size, without weights."""

    @abstractmethod
    def image_size(self) -> int:
        """Side of the network's crops in pixels."""

    def shipped(self) -> nn.Module:
        """The part of the network that the mini weights are of."""
        return self.net

    def cut(self, view: View) -> tuple[Crop, str]:
        """The network's crop of a view, and a note.

        Raises:
            FaceError: there is no face.
            DataError: the image cannot be read.
        """
        image = view.read_image()
        face = self.finder.find(view, image)
        return crop(image, face.box, RULES[self.name], face.kind, self.image_size()), face.note

    def files(self) -> Sequence[Path]:
        """Weights and head model."""
        own = [] if self.random_weights else [self.checkpoint or self.weights]
        return [*own, *([Path(self.head_path)] if self.head_path else [])]

    def load(self, device: torch.device) -> None:
        """Reads head and weights. Raises HarnessError if these are missing or do not fit."""
        self.device = device
        head = build_head(self.head_name, self.head_path)
        if self.needs_lids and getattr(head, "eyelids", None) is None and self.head_name == "flame":
            raise HarnessError(
                f"{self.name}: needs l_eyelid.npy and r_eyelid.npy, which come with SMIRK (folder assets), beside the "
                f"FLAME model: head.path={self.head_path} is then the folder"
            )
        if self.checkpoint is not None:
            self.net, report = official_network(self.checkpoint, self.name)
            log.info("%s", report)
        else:
            self.net = self.build()
            if not self.random_weights:
                load_shipped(self.shipped(), self.weights, head_signature(head), self.name)
        self.net.eval().requires_grad_(False).to(device)
        self.decoder = Decoder(head.to(device))
        self.faces = head.faces.numpy()

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One head per sample, in metres and in its own frame."""
        return [self._predict(sample) for sample in samples]

    def _predict(self, sample: Sample) -> Prediction:
        with self.stage("input"):
            try:
                seen = self._look(sample)
            except FaceError as error:
                return Prediction.failed(error.reason, str(error))
            except DataError as error:
                return Prediction.failed("bad_input", str(error))
            batch = torch.from_numpy(np.stack([c.pixels for c in seen.crops])).permute(0, 3, 1, 2).to(self.device)
        with self.stage("network"), torch.inference_mode():
            codes = self._fitting(averaged(self.net(batch)))
        with self.stage("decode"), torch.inference_mode():
            answer = self._decode(codes, seen)
            return self._with_parts(answer, sample.views[0]) if self.parts else answer

    def _look(self, sample: Sample) -> Seen:
        """Raises FaceError if no view shows a face, DataError if an image cannot be read."""
        crops, notes, first = [], [], False
        lost: FaceError | None = None
        for number, view in enumerate(sample.views):
            try:
                cut, note = self.cut(view)
            except FaceError as error:
                lost = error
                notes.append(f"view {number + 1}: {error}")
                continue
            crops.append(cut)
            first = first or number == 0
            notes += [note] if note else []
        if not crops:
            assert lost is not None
            raise lost
        return Seen(crops, first, notes)

    def _fitting(self, codes: Codes) -> Codes:
        """Codes as long as the head's bases; only a network without weights may have longer ones."""
        if not self.random_weights:
            return codes
        head = self.decoder.head
        expression = None if codes.expression is None else codes.expression[:, : len(head.expression_names)]
        return replace(codes, shape=codes.shape[:, : len(head.shape_names)], expression=expression)

    def _decode(self, codes: Codes, seen: Seen) -> Prediction:
        shaped, neutral = self.decoder(codes), self.decoder.neutral(codes)
        vertices = _metres(shaped.vertices)
        if not np.isfinite(vertices).all():
            return Prediction.failed("non_finite", "the network gave codes that are no numbers, or far too large ones")
        more: dict[str, Any] = {}
        if codes.camera is not None and seen.first:
            more = self._placed(codes.camera, shaped, seen.crops[0])
        return Prediction(
            vertices=vertices,
            faces=self.faces,
            landmarks=_metres(shaped.fixed_landmarks),
            parameters=_parameters(codes),
            neutral_vertices=_metres(neutral.vertices),
            neutral_landmarks=_metres(neutral.fixed_landmarks),
            detail="; ".join(seen.notes),
            **more,
        )

    def _with_parts(self, answer: Prediction, view: View) -> Prediction:
        """With the label map of the first view, where the method says how its mesh lies on it."""
        if answer.projection is None or answer.vertices is None:
            return answer
        height, width = view.read_image().shape[:2]
        labels = part_map(self.decoder.head, answer.vertices, answer.projection, (height, width))
        return replace(answer, label_map=labels)

    def _placed(self, camera: Tensor, shaped: Shaped, cut: Crop) -> dict[str, Array]:
        """Where the head is on the first view: its projection from metres, and the 68 landmarks in pixels."""
        size = self.image_size()
        half = size / 2 if self.size == "paper" else (size - 1) / 2
        to_crop = projection_matrix(camera.double().cpu(), half)[0].numpy()
        projection = np.linalg.inv(cut.matrix) @ to_crop
        landmarks = shaped.landmarks[0].double().cpu().numpy()
        pixels = landmarks @ projection[:2, :3].T + projection[:2, 3]
        return {"projection": projection * [METRES, METRES, METRES, 1.0], "landmarks_2d": pixels}


def averaged(codes: Codes) -> Codes:
    """The codes of n views of one face as one: the mean identity, and the rest of the first."""
    return replace(codes.rows(slice(1)), shape=codes.shape.mean(dim=0, keepdim=True))


def _metres(points: Tensor) -> Array:
    return np.asarray(points[0].double().cpu().numpy() / METRES)


def _parameters(codes: Codes) -> dict[str, Array]:
    values: dict[str, Tensor | None] = {
        "shape": codes.shape,
        "expression": codes.expression,
        "pose": None if codes.turn is None or codes.jaw is None else torch.cat([codes.turn, codes.jaw], dim=1),
        "camera": codes.camera,
        "eyelids": codes.eyelids,
    }
    return {name: value[0].double().cpu().numpy() for name, value in values.items() if value is not None}
