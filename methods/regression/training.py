"""What the trainings of the mini regressors share: the rendered subjects, the head, the loop, the exported file."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.heads.restricted import restricted
from harness.methods.lvd.modes import head_signature
from harness.methods.regression.appearance import Drawn, FaceArtist, face_vertices
from harness.methods.regression.codes import Codes
from harness.methods.regression.decoding import Decoder, Shaped, project
from harness.methods.regression.material import CropVariation, Lesson, Material, Squares, random_squares
from harness.training import Schedule, export_weights, fit
from harness.training_pictures import PictureSettings

PICTURES = PictureSettings(subjects=3000, views=3, size=192)
"""What all mini regressors train on: rendered once, 9000 pictures."""


@dataclass(frozen=True)
class Stage:
    """A part of a training.

    Attributes:
        schedule: of its steps.
        subjects: per step.
        views: of each subject, at most as many as the pictures have.
        covered: share of crops with something before the face.
    """

    schedule: Schedule
    subjects: int = 16
    views: int = 2
    covered: float = 0.0


@dataclass(frozen=True)
class Setting:
    """What every mini regressor's training has in common.

    Attributes:
        pictures: what is rendered.
        variation: of the crops.
        threads: of the computation on a CPU.
    """

    pictures: PictureSettings = PICTURES
    variation: CropVariation = field(default_factory=CropVariation)
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Workshop:
    """What a training works with, on its device.

    Attributes:
        setting: of the training.
        head: the whole model.
        material: the pictures.
        sketcher: decodes what the landmarks need of the head, at a tenth of the cost.
        decoder: decodes the face region, for the artist.
        artist: draws it.
        device: of the tensors.
    """

    setting: Setting
    head: Head
    material: Material
    sketcher: Decoder
    decoder: Decoder
    artist: FaceArtist
    device: torch.device

    def lesson(self, stage: Stage, size: int, generator: torch.Generator, squares: Squares = random_squares) -> Lesson:
        """One step's subjects."""
        variation = replace(self.setting.variation, covered=stage.covered)
        found = self.material.lesson(stage.subjects, stage.views, size, variation, generator, squares)
        return found.to(self.device)


def prepare(setting: Setting, folder: Path, device: torch.device) -> Workshop:
    """Renders the pictures beside `folder`, or takes them from there."""
    torch.set_num_threads(setting.threads)
    head = procedural_head()
    material = Material(setting.pictures, folder.parent / "pictures", head)
    face = restricted(head, face_vertices(head)).to(device)
    sketcher = Decoder(restricted(head, head.faces[head.landmark_faces].flatten()).to(device))
    return Workshop(setting, head.to(device), material, sketcher, Decoder(face), FaceArtist(face), device)


LessonLosses = Callable[[Lesson, torch.Generator], Mapping[str, Tensor]]
"""The losses of a step by name, from its subjects and what else is random in it."""


def train_stage(
    net: nn.Module,
    losses: LessonLosses,
    shop: Workshop,
    stage: Stage,
    folder: Path,
    size: int,
    squares: Squares = random_squares,
    recipe: object = None,
) -> float:
    """Trains `net` in place; at once if `folder` holds the finished stage. Returns the seconds it took.

    Args:
        net: what the checkpoint holds: everything that learns.
        losses: computed on crops of `size`.
        shop: the material.
        stage: how long.
        folder: for the checkpoint.
        size: side of the crops.
        squares: how they are cut.
        recipe: what else the losses depend on.
    """
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU

    def loss(generator: torch.Generator) -> Mapping[str, Tensor]:
        return losses(shop.lesson(stage, size, generator, squares), generator)

    setting = (shop.material.name, shop.setting.variation, stage.subjects, stage.views, stage.covered, size)
    return fit(net, loss, stage.schedule, folder, recipe=(setting, recipe))


def export(net: nn.Module, path: Path, shop: Workshop, command: str, stages: Mapping[str, tuple[Stage, float]]) -> Path:
    """Writes the weights of `net` in half precision, with what they were made by; statistics of norms in single."""
    metadata = {
        "command": command,
        "stages": "; ".join(
            f"{name}: {stage.schedule.steps} steps of {stage.subjects} subjects x {stage.views}, "
            f"seed {stage.schedule.seed}, {seconds:.0f} s"
            for name, (stage, seconds) in stages.items()
        ),
        "subjects": str(len(shop.material.pictures)),
        "head": head_signature(shop.head.to("cpu")),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }
    export_weights(net, path, metadata, exact=("running_mean", "running_var", "num_batches_tracked"))
    return path


def placed(decoder: Decoder, codes: Codes) -> tuple[Shaped, Tensor]:
    """The decoded heads, and their vertices in [-1, 1] of the crops."""
    assert codes.camera is not None
    shaped = decoder(codes)
    return shaped, project(shaped.vertices, codes.camera)


def landmarks_of(decoder: Decoder, points: Tensor) -> Tensor:
    """(B, V, 3) vertices in [-1, 1] -> (B, 68, 2): weak perspective keeps barycentric coordinates."""
    return decoder.head.landmarks(points)[..., :2]


def photometric(artist: FaceArtist, drawn: Drawn, codes: Codes, images: Tensor, masks: Tensor) -> Tensor:
    """DECA's L1 between crops (B, 3, S, S) and the drawn faces, where masks (B, 1, S, S) say that the subject is."""
    assert codes.texture is not None and codes.light is not None
    fragments = drawn.fragments
    where = (fragments.picture, fragments.row, fragments.column)
    inside = masks[:, 0][where].to(images)
    error = artist.colours(drawn, codes.texture, codes.light) - images.permute(0, 2, 3, 1)[where]
    return (error.abs().mean(dim=1) * inside).sum() / inside.sum().clamp_min(1)
