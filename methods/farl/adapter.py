"""From a sample to a label map and landmarks: FaRL, PaCo-FR and the baseline from scratch share it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness.adapter import MethodAdapter
from harness.errors import DataError, HarnessError
from harness.methods.farl.checkpoint import read_network
from harness.methods.farl.network import LOGITS, PAPER, Aligner, Parser, Sizes
from harness.methods.farl.warp import SIZE, Frame
from harness.methods.regression.crops import FaceError, Framing, check_box, square_of
from harness.methods.regression.faces import Face, FaceFinder, Track
from harness.methods.regression.resampling import Image8
from harness.protocols.labels import CELEBAMASK_FARL, LAPA, LabelSet
from harness.samples import Array, Prediction, Sample, View
from harness.training import read_weights

log = logging.getLogger(__name__)

TASKS = ("parsing", "landmarks")
LABEL_SETS = {len(labels.classes): labels for labels in (LAPA, CELEBAMASK_FARL)}
"""By the number of a parser's classes."""
LABEL_NAMES = {len(LAPA.classes): "lapa", len(CELEBAMASK_FARL.classes): "celebamask_farl"}
FRAMINGS = {"landmarks": Framing(factor=1.25, scale=1.25), "shared": Framing(factor=1.1, scale=1.25)}
"""FaRL's alignment crops 1 / 0.8 of HRNet's boxes, which are 1.25 of that of the points; one with a forehead is larger
already."""


class FaceTasks(MethodAdapter):
    """What the adapters of encoders with heads have in common.

    Args:
        size: "mini" (shipped weights) or "paper" (as published).
        tasks: which to answer: "parsing" (a label map) and "landmarks" (points in the picture).
        track: who finds the face: "own" (detector), "shared" (the data set's box), "landmarks", or "auto". FaRL's own
            program aligns LaPa's pictures by true landmarks: that is "landmarks".
        weights: folder of `parsing.safetensors` and `landmarks.safetensors`, from `harness train`; the shipped ones if
            None.
        parsing, landmarks: a file for either task instead: such a one, or a training state of FaRL's program.
        image: side of the input of the paper size without weights.
        random_weights: let a network without weights run, to measure its speed.

    Raises:
        HarnessError: options contradict each other, or have a value that does not exist.
    """

    unit = "mm"
    family = "face representation"
    name: ClassVar[str]
    folder: ClassVar[Path]
    mini: ClassVar[Sizes | None] = None
    paper_sizes: ClassVar[Sizes] = PAPER

    def __init__(
        self,
        size: str = "mini",
        tasks: Sequence[str] = TASKS,
        track: Track = "auto",
        weights: str | None = None,
        parsing: str | None = None,
        landmarks: str | None = None,
        image: int = 224,
        random_weights: bool = False,
    ) -> None:
        if size not in ("mini", "paper"):
            raise HarnessError(f"{self.name}: option size={size!r}, expected mini or paper")
        if not tasks or not set(tasks) <= set(TASKS):
            raise HarnessError(f"{self.name}: option tasks={list(tasks)}, expected some of {', '.join(TASKS)}")
        given = {"parsing": parsing, "landmarks": landmarks}
        self.size, self.image, self.random_weights = size, image, random_weights
        place = Path(weights).expanduser() if weights else self.folder
        found = {task: self._weights_of(task, given[task], place) for task in TASKS if task in tasks}
        self.weights = {task: path for task, path in found.items() if path is not None or random_weights}
        if not self.weights:
            raise HarnessError(
                f"{self.name}: size={size} needs weights: method.options.parsing=PATH, method.options.landmarks=PATH "
                "(README.md says where to ask), or method.options.random_weights=true to measure speed only"
            )
        self.finder = FaceFinder(track)

    def _weights_of(self, task: str, given: str | None, place: Path) -> Path | None:
        if given or self.random_weights or self.size == "paper":
            return Path(given).expanduser() if given else None
        return place / f"{task}.safetensors" if self.mini else None

    def files(self) -> Sequence[Path]:
        """Weights."""
        return [path for path in self.weights.values() if path is not None]

    def load(self, device: torch.device) -> None:
        """Reads the networks. Raises HarnessError if weights are missing or do not fit."""
        self.device = device
        self.nets: dict[str, Parser | Aligner] = {}
        for task, path in self.weights.items():
            net = self._network(task, path)
            if isinstance(net, Parser) != (task == "parsing"):
                raise HarnessError(f"{path}: is a network for {self._other(task)}, given as option {task}; swap them")
            self.nets[task] = net.eval().requires_grad_(False).to(device)

    @staticmethod
    def _other(task: str) -> str:
        return next(name for name in TASKS if name != task)

    def _network(self, task: str, path: Path | None) -> Parser | Aligner:
        if path is None or path.suffix == ".safetensors":
            sizes = self.mini if self.size == "mini" and self.mini else self.paper_sizes.at(self.image)
            net = Parser(sizes, len(LAPA.classes)) if task == "parsing" else Aligner(sizes, 68)
            return net if path is None else self._filled(net, path)
        return read_network(path)

    def _filled(self, net: Parser | Aligner, path: Path) -> Parser | Aligner:
        if not path.exists():
            raise HarnessError(f"{path}: weights are missing; `python -m harness train method={self.name}`")
        state, metadata = read_weights(path)
        answers = metadata.get("answers")
        if answers is not None and answers != answer_of(net):
            raise HarnessError(f"{path}: answers {answers}, expected {answer_of(net)}; give the other file of the two")
        try:
            net.load_state_dict(state)
        except RuntimeError as error:
            text = str(error).partition("\n")[0]
            raise HarnessError(f"{path}: does not fit the {self.size} network ({text})") from None
        return net

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """A label map and points of the first view of each sample."""
        return [self._predict(sample.views[0]) for sample in samples]

    def _predict(self, view: View) -> Prediction:
        try:
            with self.stage("input"):
                image = view.read_image()
                face = self.finder.find(view, image) if self._needs_face() else None
            answers: dict[str, Any] = {}
            if "parsing" in self.nets:
                answers["label_map"] = self._parse(image, face)
            if "landmarks" in self.nets:
                assert face is not None
                answers["landmarks_2d"] = self._align(image, face)
        except FaceError as error:
            return Prediction.failed(error.reason, str(error))
        except DataError as error:
            return Prediction.failed("bad_input", str(error))
        if not np.isfinite(answers.get("landmarks_2d", 0)).all():
            return Prediction.failed("non_finite", "the network gave points that are no numbers")
        return Prediction(**answers, detail=face.note if face is not None else "")

    def _labels(self) -> LabelSet:
        parser = self.nets["parsing"]
        assert isinstance(parser, Parser)
        count = parser.head.head.conv_seg.out_channels
        if count not in LABEL_SETS:
            raise HarnessError(f"{self.weights['parsing']}: has {count} classes, expected {list(LABEL_SETS)}")
        return LABEL_SETS[count]

    def _needs_face(self) -> bool:
        """CelebAMask-HQ's pictures are aligned already: FaRL parses them as they are."""
        return "landmarks" in self.nets or self._labels() is LAPA

    def _parse(self, image: Image8, face: Face | None) -> Array:
        labels = self._labels()
        with self.stage("input"):
            height, width = image.shape[:2]
            aligned = face is not None and labels is LAPA
            frame = Frame.of_points(face.points) if aligned and face is not None else whole_picture(width, height)
            pixels = self._sized(frame.cut(image).to(self.device))
        with self.stage("network"), torch.inference_mode():
            logits = self.nets["parsing"](pixels)
        with self.stage("decode"), torch.inference_mode():
            return np.asarray(labels.labels()[frame.label_map(logits, height, width)])

    def _align(self, image: Image8, face: Face) -> Array:
        with self.stage("input"):
            corner, side = square_of(face.box, FRAMINGS["shared" if face.kind == "shared" else "landmarks"])
            check_box(face.box, side, image.shape)
            scale = SIZE / side
            shift = -scale * corner - 0.5
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])
            pixels = self._sized(Frame(matrix, factor=0.0).cut(image).to(self.device))
        with self.stage("network"), torch.inference_mode():
            shares = self.nets["landmarks"](pixels)
        with self.stage("decode"):
            return np.asarray(shares[0].double().cpu().numpy() * side + corner)

    def _sized(self, pixels: Tensor) -> Tensor:
        """The mini networks' inputs are so small that pixels have to be averaged; others resize on their own."""
        if self.size != "mini" or self.mini is None:
            return pixels
        side = self.mini.vit.image
        return functional.interpolate(pixels, size=(side, side), mode="area")


def answer_of(net: Parser | Aligner) -> str:
    """What a network says, in a word of the metadata of its weights."""
    if isinstance(net, Parser):
        return str(LABEL_NAMES.get(net.head.head.conv_seg.out_channels, "other classes"))
    return f"{net.heatmap_head.head.conv_seg.out_channels} points"


def whole_picture(width: int, height: int) -> Frame:
    """The frame that shows a picture as it is, stretched to a square, pixel edges on pixel edges."""
    across, down = LOGITS / width, LOGITS / height
    return Frame(np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]]), factor=0.0)


class Farl(FaceTasks):
    """FaRL (Zheng et al., CVPR 2022): official training states with a head; there is no mini size of its own."""

    paper = "Zheng et al., General Facial Representation Learning in a Visual-Linguistic Manner, CVPR 2022"
    name = "farl"
    folder = Path(__file__).parent
