"""Training of the mini LVD on rendered procedural heads, and what GLVD's training shares with it."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.methods.lvd.descents import LARGEST_OFFSET, normalised_projection
from harness.methods.lvd.landmarks import LandmarkNetwork, SoughtPoints, landmark_loss
from harness.methods.lvd.lessons import Lesson, LessonSettings, Teacher
from harness.methods.lvd.modes import head_signature, modes_of, starting_modes
from harness.methods.lvd.network import LVD, MINI, OwnRows
from harness.methods.lvd.perceiving import Perceiver, perception_losses, shape_loss, start_code
from harness.training import Schedule, export_weights, fit, step_generator
from harness.training_data import Augmentation, TrainingSet
from harness.training_pictures import PictureSettings, render_training_set

log = logging.getLogger(__name__)

_REGRESSION_SEED = 7


@dataclass(frozen=True)
class LandmarkStage:
    """A part of the landmark network's training."""

    schedule: Schedule
    augmentation: Augmentation


LANDMARK_STAGES = (
    # Loose crops first, since the network also has to find the head in a whole mask; then what a second look sees.
    LandmarkStage(Schedule(1500, learning_rate=3e-3, seed=0), Augmentation(scale=(0.85, 1.6), shift=0.1, roll=15.0)),
    LandmarkStage(Schedule(9000, learning_rate=2e-3, seed=1), Augmentation(scale=(0.85, 1.35), shift=0.08, roll=12.0)),
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
        lessons: of the perception, which they share too, and of the descents.
        regression: lessons for the first linear map of the perception's code.
        perception: training of f_v with the perception.
        code_rate: factor on the learning rate of that linear map.
        schedule: of the descent network; LVD and GLVD take the same number of steps.
        filter_rate: factor on the learning rate of what the perception's training left.
        threads: of the computation on a CPU.
    """

    pictures: PictureSettings = PictureSettings(subjects=7000, size=192, neutral=0.5)
    landmarks: LandmarkSettings = LandmarkSettings()
    lessons: LessonSettings = LessonSettings()
    regression: int = 600
    code_rate: float = 0.15
    perception: Schedule = Schedule(steps=11000, learning_rate=1e-3)
    schedule: Schedule = Schedule(steps=450, learning_rate=5e-4)
    filter_rate: float = 0.1
    threads: int = 1


Losses = Callable[[Lesson], Mapping[str, Tensor]]
"""Losses of a network."""


@dataclass(frozen=True, eq=False)
class Workshop:
    """What the training of either method needs: the head, who draws its lessons, the finished perception."""

    head: Head
    teacher: Teacher
    perceiver: Perceiver


def prepare(settings: TrainingSettings, folder: Path, device: torch.device) -> Workshop:
    """Renders the pictures and trains landmark network and perception, or takes them from beside `folder`."""
    torch.set_num_threads(settings.threads)
    head = procedural_head()
    pictures = TrainingSet(render_training_set(settings.pictures, folder.parent / "pictures", head), head.template)
    torch.manual_seed(0)
    net = LandmarkNetwork().to(device)
    for i in range(1, 1 + len(settings.landmarks.stages)):
        train_landmarks(net, head, pictures, settings.landmarks, i, folder.parent / f"landmarks{i}")
    net.eval().requires_grad_(False)
    teacher = Teacher(pictures, net, head, MINI.image, MINI.filter.stride, settings.lessons)
    torch.manual_seed(settings.perception.seed)
    perceiver = Perceiver(MINI, head).to(device)
    perceiver.image_filter.load_state_dict(net.filter.state_dict(), strict=False)  # it sees nothing expected
    recipe = (pictures.name, settings.landmarks, settings.lessons, settings.regression, MINI)
    if not (folder.parent / "perception" / "checkpoint.pt").exists():
        start_code(
            perceiver, lambda number: teacher.lesson(step_generator(_REGRESSION_SEED, number)), settings.regression
        )
    fit(
        perceiver,
        lambda generator: perception_losses(perceiver, teacher.lesson(generator)),
        settings.perception,
        folder.parent / "perception",
        recipe=recipe,
        slower={"perception.surface.linear": settings.code_rate},
    )
    return Workshop(head, teacher, perceiver)


def train_landmarks(
    net: LandmarkNetwork, head: Head, pictures: TrainingSet, settings: LandmarkSettings, number: int, folder: Path
) -> None:
    """Trains `net` in place on single views in stage `number`; at once if `folder` holds the finished training."""
    size, device, stage = net.sizes.image, net.head.weight.device, settings.stages[number - 1]
    sought = SoughtPoints(head)

    def loss(generator: torch.Generator) -> dict[str, Tensor]:
        batch = pictures.random_batch(settings.batch, 1, size, stage.augmentation, generator)
        homogeneous = functional.pad(sought(batch.vertices), (0, 1), value=1.0)
        image = torch.einsum("bij,bkj->bki", normalised_projection(batch.projection[:, 0], size), homogeneous)
        truth = image[..., :2] / image[..., 2:]
        return {"landmarks": landmark_loss(net(batch.images[:, 0].to(device)), truth.to(device))}

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
    """Starts f_v and the perception of `net` from the trained ones, each reduced last layer from the head's modes."""
    for part in ("image_filter", "perception"):
        net.get_submodule(part).load_state_dict(shop.perceiver.get_submodule(part).state_dict())
    modes = modes_of(shop.head)
    for module in net.modules():
        if isinstance(module, OwnRows):
            basis = starting_modes(modes, module.rows.shape[2])
            module.start_from(basis if len(module.rows) == basis.shape[1] else shop.head.landmarks(basis))


def vertex_losses(lesson: Lesson, found: Tensor) -> dict[str, Tensor]:
    """Of vertices (B, P, 3) that were found: their place, and the face's shape as surface distances feel it."""
    face = slice(lesson.inner)
    limit = LARGEST_OFFSET
    place = (found - lesson.truth).clamp(-limit, limit).abs().mean()
    return {"place": 0.3 * place, "shape": shape_loss(found[:, face], lesson.truth[:, face], lesson.normals[:, face])}


def train_descent(
    net: nn.Module, losses: Losses, shop: Workshop, settings: TrainingSettings, folder: Path, command: str
) -> Path:
    """Trains `net` in place with `losses`; writes `mini.safetensors` in `folder` at every checkpoint and at the end."""
    schedule, teacher = settings.schedule, shop.teacher
    path = folder / "mini.safetensors"

    def export(steps: int, seconds: float) -> None:
        metadata = {
            "command": command,
            "seed": str(schedule.seed),
            "steps": f"{steps} of {schedule.steps}",
            "seconds": f"{seconds:.0f}",
            "subjects": str(len(teacher.pictures)),
            "perception": f"{settings.perception.steps} steps",
            "head": head_signature(shop.head),
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        }
        export_weights(nn.ModuleDict({"net": net, "landmarks": teacher.net}), path, metadata)

    recipe = (teacher.pictures.name, settings.landmarks, settings.lessons, settings.perception, net.sizes)
    slower = dict.fromkeys(("image_filter", "perception"), settings.filter_rate)
    seconds = fit(
        net, lambda generator: losses(teacher.lesson(generator)), schedule, folder, export, recipe, slower=slower
    )
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
        features = net.encode(lesson.batch.images, lesson.projection, lesson.batch.rotation, lesson.expected)
        points = lesson.points()
        offsets = net.field(features, points, lesson.ids, lesson.start)
        return vertex_losses(lesson, points - offsets)

    return train_descent(net, losses, shop, settings, folder, "python -m harness train method=lvd")
