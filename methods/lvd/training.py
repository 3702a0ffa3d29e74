"""Training of the mini LVD on rendered procedural heads, and what GLVD's training shares with it."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.methods.lvd.descents import (
    Disturbance,
    descent_losses,
    look,
    normalised_projection,
    on_the_way,
    placed,
)
from harness.methods.lvd.fitting import StartingHead
from harness.methods.lvd.landmarks import LandmarkNetwork, Landmarks, landmark_loss
from harness.methods.lvd.modes import head_signature, modes_of, starting_modes
from harness.methods.lvd.network import LVD, MINI, OwnRows, landmark_clues
from harness.training import Schedule, export_weights, fit
from harness.training_data import Augmentation, Batch, TrainingSet
from harness.training_pictures import PictureSettings, render_training_set

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LandmarkStage:
    """A part of the landmark network's training."""

    schedule: Schedule
    augmentation: Augmentation


LANDMARK_STAGES = (
    # Loose crops first, since the network also has to find the head in a whole mask; then what a second look sees.
    LandmarkStage(Schedule(1500, learning_rate=3e-3, seed=0), Augmentation(scale=(0.85, 1.6), shift=0.1, roll=15.0)),
    LandmarkStage(Schedule(2000, learning_rate=2e-3, seed=1), Augmentation(scale=(0.85, 1.45), shift=0.08, roll=12.0)),
    LandmarkStage(Schedule(1450, learning_rate=2e-3, seed=3), Augmentation(scale=(0.85, 1.35), shift=0.08, roll=12.0)),
)


@dataclass(frozen=True)
class LandmarkSettings:
    """Training of the landmark network, stage by stage."""

    stages: tuple[LandmarkStage, ...] = LANDMARK_STAGES
    batch: int = 16


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        pictures: what is rendered; both methods train on the same pictures.
        landmarks: training of the landmark network, which both methods share.
        schedule: of the descent network; LVD and GLVD take the same number of steps.
        images: per step; a step sees either so many subjects once or fewer subjects three times.
        points: vertices per step.
        threads: of the computation on a CPU.
    """

    pictures: PictureSettings = field(default_factory=PictureSettings)
    landmarks: LandmarkSettings = field(default_factory=LandmarkSettings)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=4200, learning_rate=1.5e-3))
    images: int = 8
    points: int = 384
    threads: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)
    disturbance: Disturbance = field(default_factory=Disturbance)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One step's material, on the network's device: a placed batch, its landmarks, and points of some vertices.

    Attributes:
        batch: in the frame of the placement.
        projection: (B, n, 3, 4) head -> homogeneous coordinates in [-1, 1].
        seen: its landmarks.
        clues: (B, n, 204), see `harness.methods.lvd.network.landmark_clues`.
        ids: (P,) the vertices.
        start: (B, P, 3) where their descent begins.
        keypoints: (B, 68, 3) where that of the landmarks begins.
        points: (B, P, 3) somewhere on their way.
        truth: (B, P, 3) where they belong.
        generator: of what else is random in the step.
    """

    batch: Batch
    projection: Tensor
    seen: Landmarks
    clues: Tensor
    ids: Tensor
    start: Tensor
    keypoints: Tensor
    points: Tensor
    truth: Tensor
    generator: torch.Generator


Losses = Callable[[Lesson], Mapping[str, Tensor]]
"""Losses of a network."""


@dataclass(frozen=True, eq=False)
class Workshop:
    """What the training of either method needs: the head, its pictures, the landmark network."""

    head: Head
    pictures: TrainingSet
    landmarks: LandmarkNetwork


def prepare(settings: TrainingSettings, folder: Path, device: torch.device) -> Workshop:
    """Renders the pictures and trains the landmark network, or takes them from beside `folder` where they are."""
    torch.set_num_threads(settings.threads)
    head = procedural_head()
    pictures = TrainingSet(render_training_set(settings.pictures, folder.parent / "pictures", head), head.template)
    torch.manual_seed(0)
    net = LandmarkNetwork().to(device)
    for i in range(1, 1 + len(settings.landmarks.stages)):
        train_landmarks(net, pictures, settings.landmarks, i, folder.parent / f"landmarks{i}")
    return Workshop(head, pictures, net.eval().requires_grad_(False))


def train_landmarks(
    net: LandmarkNetwork, pictures: TrainingSet, settings: LandmarkSettings, number: int, folder: Path
) -> None:
    """Trains `net` in place on single views in stage `number`; at once if `folder` holds the finished training."""
    size, device, stage = net.sizes.image, net.head.weight.device, settings.stages[number - 1]

    def loss(generator: torch.Generator) -> dict[str, Tensor]:
        batch = pictures.random_batch(settings.batch, 1, size, stage.augmentation, generator).to(device)
        homogeneous = torch.cat([batch.landmarks, torch.ones_like(batch.landmarks[..., :1])], dim=-1)
        image = torch.einsum("bij,bkj->bki", normalised_projection(batch.projection[:, 0], size), homogeneous)
        found = net(batch.images[:, 0])
        truth = image[..., :2] / image[..., 2:]
        return {"landmarks": landmark_loss(found, truth)}

    recipe = (pictures.name, settings.stages[:number], settings.batch, net.sizes)
    fit(net, loss, stage.schedule, folder, recipe=recipe)


Network = TypeVar("Network", bound=nn.Module)


def begin(
    build: Callable[[int], Network], settings: TrainingSettings, folder: Path, device: torch.device
) -> tuple[Network, Workshop]:
    """The network that `build` makes for the head's number of vertices, started, and what its training needs."""
    shop = prepare(settings, folder, device)
    torch.manual_seed(settings.schedule.seed)
    net = build(len(shop.head.template)).to(device)
    start_network(net, shop)
    return net, shop


def start_network(net: nn.Module, shop: Workshop) -> None:
    """Starts the image filter of `net` from the landmark network's, each reduced last layer from the head's modes."""
    filter = net.get_submodule("image_filter")
    filter.load_state_dict(shop.landmarks.filter.state_dict())
    modes = modes_of(shop.head)
    for module in net.modules():
        if isinstance(module, OwnRows):
            basis = starting_modes(modes, module.rows.shape[2])
            module.start_from(basis if len(module.rows) == basis.shape[1] else shop.head.landmarks(basis))


def vertex_weights(head: Head) -> Tensor:
    """(V,) how often each vertex is trained: the face, near the landmarks, four times as often as the rest."""
    distance = torch.cdist(head.template, head.landmarks(head.template[None])[0]).min(dim=1).values
    return torch.where(distance < 30.0, 4.0, 1.0)


def train_descent(
    net: nn.Module, losses: Losses, shop: Workshop, settings: TrainingSettings, folder: Path, command: str
) -> Path:
    """Trains `net` in place with `losses`; writes `mini.safetensors` in `folder` at every checkpoint and at the end."""
    weights, schedule = vertex_weights(shop.head), settings.schedule
    device = next(net.parameters()).device
    head = StartingHead(shop.head).to(device)
    size = int(net.sizes.image)  # type: ignore[union-attr, arg-type]
    path = folder / "mini.safetensors"

    def loss(generator: torch.Generator) -> Mapping[str, Tensor]:
        views = 3 if torch.rand((), generator=generator) < 0.5 else 1
        count = max(1, round(settings.images / views))
        pictures = shop.pictures.random_batch(count, views, size, settings.augmentation, generator).to(device)
        seen = look(shop.landmarks, pictures.images)
        batch, coefficients = placed(pictures, seen, head, settings.disturbance, generator)
        projection = normalised_projection(batch.projection, size)
        clues = landmark_clues(seen.points, seen.spread, projection, head.points.mean)
        ids = torch.multinomial(weights, settings.points, generator=generator).to(device)
        truth = batch.vertices[:, ids]
        start, keypoints = head.vertices(coefficients, ids), head.landmarks(coefficients)
        points = on_the_way(truth, start, generator)
        return losses(Lesson(batch, projection, seen, clues, ids, start, keypoints, points, truth, generator))

    def export(steps: int, seconds: float) -> None:
        metadata = {
            "command": command,
            "seed": str(schedule.seed),
            "steps": f"{steps} of {schedule.steps}",
            "seconds": f"{seconds:.0f}",
            "subjects": str(len(shop.pictures)),
            "head": head_signature(shop.head),
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        }
        export_weights(nn.ModuleDict({"net": net, "landmarks": shop.landmarks}), path, metadata)

    recipe = (shop.pictures.name, settings.landmarks, settings.images, settings.points, settings.augmentation)
    seconds = fit(net, loss, schedule, folder, export, (recipe, settings.disturbance, net.sizes))
    export(schedule.steps, seconds)
    return path


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini LVD; continues where an earlier call with the same folder stopped.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures and the landmark network go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    net, shop = begin(lambda vertices: LVD(MINI, vertices), settings, folder, device)

    def losses(lesson: Lesson) -> dict[str, Tensor]:
        features = net.encode(lesson.batch.images, lesson.projection, lesson.batch.rotation, lesson.clues)
        offsets = net.field(features, lesson.points, lesson.ids, lesson.start)
        return descent_losses(-offsets, lesson.truth - lesson.points, lesson.truth)

    return train_descent(net, losses, shop, settings, folder, "python -m harness train method=lvd")
