"""From a sample to a mesh: find the head, descend, fit. LVD and GLVD share it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.adapter import MethodAdapter
from harness.errors import DataError, HarnessError
from harness.heads.procedural import procedural_head
from harness.methods.lvd.finding import HeadFinder, Placed, read_picture
from harness.methods.lvd.fitting import HeadFitter
from harness.methods.lvd.landmarks import LandmarkNetwork
from harness.methods.lvd.modes import head_signature, same_head
from harness.methods.lvd.network import Sizes
from harness.samples import Prediction, Sample
from harness.training import read_weights


class DescentAdapter(MethodAdapter):
    """What the adapters of LVD and GLVD have in common.

    Args:
        size: "mini" or "paper".
        weights: a file that training exported; None: the one beside the adapter (mini only).
        steps: of the descent.
        fit: "head": replace the descended mesh by the nearest head of the linear model; "none": leave it.
        head: the topology; only the procedural head has shipped weights.
        random_weights: let a network without weights run, to measure its speed.

    Raises:
        HarnessError: an option has a value that does not exist.
    """

    unit = "mm"
    family = "vertex descent"
    name: str
    folder: Path

    def __init__(
        self,
        size: str = "mini",
        weights: str | None = None,
        steps: int = 10,
        fit: str = "head",
        head: str = "procedural",
        random_weights: bool = False,
    ) -> None:
        for option, value, allowed in (
            ("size", size, ("mini", "paper")),
            ("fit", fit, ("head", "none")),
            ("head", head, ("procedural",)),
        ):
            if value not in allowed:
                raise HarnessError(f"{self.name}: option {option}={value!r}, expected one of {', '.join(allowed)}")
        if size == "paper" and weights is None and not random_weights:
            raise HarnessError(
                f"{self.name}: there are no published face weights for size=paper; give method.options.weights=FILE, "
                "or method.options.random_weights=true to measure speed only"
            )
        self.size, self.steps, self.fit, self.random_weights = size, steps, fit, random_weights
        self.weights = Path(weights) if weights else self.folder / "mini.safetensors"

    @abstractmethod
    def build(self, vertices: int) -> nn.Module:
        """The network of the chosen size, without weights; has `sizes.image`."""

    @abstractmethod
    def descend(self, placed: Placed) -> Tensor:
        """(1, V, 3) vertices in the head's frame after the descent."""

    def load(self, device: torch.device) -> None:
        """Builds the networks and reads their weights. Raises HarnessError if these are missing or do not fit."""
        self.head = procedural_head()
        self.net = self.build(len(self.head.template))
        self.landmarks = LandmarkNetwork()
        if not self.random_weights:
            self._read_weights()
        self.net.eval().requires_grad_(False).to(device)
        self.landmarks.eval().requires_grad_(False).to(device)
        sizes = self.net.sizes
        assert isinstance(sizes, Sizes)
        self.finder = HeadFinder(self.landmarks, self.head, sizes.image, sizes.filter.stride, device)
        self.fitter = HeadFitter(self.head)

    def files(self) -> Sequence[Path]:
        """The weights."""
        return [self.weights]

    def _read_weights(self) -> None:
        if not self.weights.exists():
            raise HarnessError(f"{self.weights}: weights are missing; `python -m harness train method={self.name}`")
        tensors, metadata = read_weights(self.weights)
        current = head_signature(self.head)
        if not same_head(metadata.get("head", "unknown"), current):
            raise HarnessError(
                f"{self.weights}: trained for head {metadata.get('head')}, the present one is {current}; "
                f"train again: `python -m harness train method={self.name}`"
            )
        try:
            nn.ModuleDict({"net": self.net, "landmarks": self.landmarks}).load_state_dict(tensors)
        except RuntimeError as error:
            raise HarnessError(f"{self.weights}: does not fit the {self.size} network ({error})") from None

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One head in world millimetres per sample; for a sample without cameras, in its first camera's frame."""
        return [self._predict(sample) for sample in samples]

    def _predict(self, sample: Sample) -> Prediction:
        # Without cameras nothing relates the views, so only the first can be used.
        views = [v for v in sample.views if v.camera is not None] or [sample.views[0]]
        with self.stage("input"):
            try:
                pictures = [read_picture(view) for view in views]
            except DataError as error:
                return Prediction.failed("bad_input", str(error))
            placed = self.finder(pictures)
        with self.stage("network"), torch.inference_mode():
            descended = self.descend(placed)[0]
        with self.stage("decode"):
            vertices = descended.double().cpu()
            if not torch.isfinite(vertices).all():
                return Prediction.failed("non_finite", "the descent diverged")
            parameters: dict[str, NDArray[Any]] = {}
            neutral: tuple[NDArray[Any] | None, NDArray[Any] | None] = None, None
            if self.fit == "head":
                fitted = self.fitter.fit_mesh(vertices)
                vertices = fitted.vertices
                parameters = {k: v.numpy() for k, v in self.fitter.modes.parameters(fitted.coefficients).items()}
                neutral = self._neutral(fitted.coefficients)
            world = vertices @ placed.pose.rotation[0].T + placed.pose.translation[0]
            return Prediction(
                vertices=world.numpy(),
                faces=self.head.faces.numpy(),
                landmarks=self.head.landmarks(world[None].float())[0].numpy(),
                parameters=parameters,
                neutral_vertices=neutral[0],
                neutral_landmarks=neutral[1],
                in_world_frame=views[0].camera is not None,
            )

    def _neutral(self, coefficients: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
        """Vertices and landmarks of the fitted identity without expression and pose, in the head's own frame."""
        identity = self.fitter.modes.counts[0]
        vertices = self.fitter.shaped(torch.where(torch.arange(len(coefficients)) < identity, coefficients, 0.0))
        return vertices.numpy(), self.head.landmarks(vertices[None].float())[0].numpy()
