"""Training of the mini KaoLRM: planes that draw the subject, then landmarks, then both bound to one another.

The published training starts with OpenLRM, whose planes draw what a picture shows from any side. No such start is open,
so a first stage here stands for it: it draws the training subjects by Gaussians on their true meshes.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.heads.procedural import procedural_head
from harness.heads.restricted import restricted
from harness.methods.kaolrm.cameras import source_numbers
from harness.methods.kaolrm.drawing import FaceDrawer, appearance, decoded
from harness.methods.kaolrm.gaussians import SCALES, GaussianDecoder
from harness.methods.kaolrm.losses import binding, dissimilarity, landmark_loss, mask_loss, pixel_loss
from harness.methods.kaolrm.material import Framing, Lesson, Material, Plan
from harness.methods.kaolrm.network import MINI, MINI_FOCAL, HeadCodes, KaoLRM, Reconstruction
from harness.methods.kaolrm.splatting import Picture
from harness.methods.kaolrm.triplanes import Layer
from harness.methods.lvd.modes import head_signature
from harness.methods.regression.decoding import Decoder
from harness.methods.regression.training import PICTURES
from harness.training import Schedule, export_weights, fit
from harness.training_data import projected
from harness.training_pictures import PictureSettings

EXPRESSION = 100.0
"""The procedural head's expression coefficients are that much less spread, in squares, than FLAME's."""
FIRST_SIZE = 0.01
"""Of the Gaussians, in the network's unit, before training; as published they would start larger than the head."""
PLACE_GAIN, ENCODER_GAIN, LOOK_GAIN, SHARPNESS, READ_GAINS = 20.0, 4.0, 3.0, 2.0, (6.0, 2.0, 2.0)
"""How much larger than PyTorch's some first weights are: see `start_from_nothing`."""
GENTLY = dict.fromkeys(("encoder", "camera_embedder", "pos_embed", "transformer", "upsampler", "flame_decoder"), 0.15)
"""Factors on the rate of the last stage, for all but the Gaussians."""
WHITE = 0.75
"""About the mean of a portrait on white."""
KNOWN = {"pretraining": 1, "landmarks": 2, "picture": 4}
"""How many of the switches a stage depends on: a copy of its folder serves the trainings that differ in others."""


@dataclass(frozen=True)
class Stage:
    """A part of a training: how long, and on how much at a time."""

    schedule: Schedule
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights, and the switches of the paper's ablation.

    Attributes:
        pictures: what is rendered.
        framing: how the pictures that the network reads vary.
        pretraining: the stage that stands for OpenLRM.
        landmarks: the paper's first stage.
        picture: its second.
        points: Gaussians of a head.
        pretrained: false leaves the first stage out.
        regularised: false takes the weight from shape and expression.
        photometric: false leaves the picture out of the last stage.
        bound: false lets the Gaussians lie where they want, whatever the mesh.
        threads: of the computation on a CPU.
    """

    pictures: PictureSettings = PICTURES
    framing: Framing = field(default_factory=Framing)
    pretraining: Stage = field(
        default_factory=lambda: Stage(Schedule(300, learning_rate=3e-4, warmup=0.1, clip=1.0, seed=0), Plan(8, 2, 8))
    )
    landmarks: Stage = field(
        default_factory=lambda: Stage(Schedule(5000, learning_rate=3e-4, warmup=0.15, clip=1.0, seed=1), Plan(16, 3, 1))
    )
    picture: Stage = field(
        default_factory=lambda: Stage(Schedule(200, learning_rate=3e-4, clip=1.0, seed=2), Plan(8, 2, 8))
    )
    points: int = 2000
    pretrained: bool = True
    regularised: bool = True
    photometric: bool = True
    bound: bool = True
    threads: int = 1


class Teacher:
    """The network with what its losses need."""

    def __init__(self, settings: TrainingSettings, folder: Path, device: torch.device) -> None:
        head = procedural_head()
        self.settings, self.device = settings, device
        self.material = Material(settings.pictures, folder.parent / "pictures", head, MINI_FOCAL)
        self.signature = head_signature(head)
        self.net = KaoLRM(MINI).to(device)
        start_from_nothing(self.net)
        start_small(self.net.gaussian_decoder)
        whole = head.to(device)
        self.decoder = Decoder(whole)
        self.sketcher = Decoder(restricted(whole, whole.faces[whole.landmark_faces].flatten()))
        self.drawer = FaceDrawer.of(self.decoder)

    def lesson(self, plan: Plan, generator: torch.Generator) -> Lesson:
        """Colours vary only where nothing has to be drawn in them."""
        framing = self.settings.framing
        if plan.drawn == plan.subjects:
            framing = Framing(framing.zoom, framing.shift, colour=0.0)
        return self.material.lesson(plan, framing, generator).to(self.device)

    def read(self, lesson: Lesson) -> tuple[Reconstruction, HeadCodes]:
        """What the network makes of the pictures, and its codes as a long lens sees them."""
        made = self.net(lesson.images, source_numbers(len(lesson.images)).to(self.device))
        return made, made.codes.before_a_long_lens()

    def drawn(
        self,
        made: Reconstruction,
        meshes: Tensor,
        lesson: Lesson,
        generator: torch.Generator,
        views: int | None = None,
    ) -> list[list[Picture]]:
        """The Gaussians on the first D meshes (B, V, 3) before the first cameras, or all, of their subjects."""
        return [
            appearance(
                *(self.net, made, item, meshes[item], self.decoder.head.faces, lesson.cameras[item][:views]),
                *(self.settings.points, MINI_FOCAL, generator),
            )
            for item in range(len(lesson.pictures))
        ]

    def pretraining(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Pictures of Gaussians on the true meshes."""
        lesson = self.lesson(self.settings.pretraining.plan, generator)
        made, _ = self.read(lesson)
        return picture_losses(self.drawn(made, lesson.meshes, lesson, generator), lesson)

    def landmarks(self, generator: torch.Generator) -> dict[str, Tensor]:
        """The paper's first stage: landmarks 1, rest 1e-2, mask 0.1, the mask of one view to save time."""
        lesson = self.lesson(self.settings.landmarks.plan, generator)
        made, codes = self.read(lesson)
        losses = {"landmarks": self.landmark_loss(codes, lesson), **self.rest(codes, 1e-2)}
        if len(lesson.pictures):
            first = HeadCodes(**{k: v[: len(lesson.pictures)].detach() for k, v in vars(codes).items()})
            vertices, _ = decoded(self.decoder, first)
            covered = stacked(self.drawn(made, vertices, lesson, generator, views=1), "opacity")
            losses["mask"] = 0.1 * mask_loss(covered, lesson.masks[:, 0, 0])
        return losses

    def picture(self, generator: torch.Generator) -> dict[str, Tensor]:
        """The paper's second stage: picture 0.5 and D-SSIM 0.5, depth and normals 0.5, landmarks 0.1, rest 1e-3.

        In the paper landmarks have 0.01 and rest 1e-5. Here that lets go of the head before the picture has a hold on
        it: in 150 steps the landmark loss rose from 9 to 15, the shape's sum of squares from 2 to 47.
        """
        lesson = self.lesson(self.settings.picture.plan, generator)
        made, codes = self.read(lesson)
        losses = {"landmarks": 0.1 * self.landmark_loss(codes, lesson), **self.rest(codes, 1e-3)}
        if not (self.settings.photometric or self.settings.bound):
            return losses
        vertices, _ = decoded(self.decoder, codes)
        pictures = self.drawn(made, vertices, lesson, generator)
        if self.settings.photometric:
            losses |= {name: 0.5 * value for name, value in picture_losses(pictures, lesson).items()}
        if self.settings.bound:
            losses |= {name: 0.5 * value for name, value in self.binding(pictures, vertices, lesson).items()}
        return losses

    def landmark_loss(self, codes: HeadCodes, lesson: Lesson) -> Tensor:
        """Of all pictures of all subjects."""
        found = projected(decoded(self.sketcher, codes)[1], lesson.projections)
        return landmark_loss(found, lesson.landmarks, lesson.side)

    def rest(self, codes: HeadCodes, weight: float) -> dict[str, Tensor]:
        """Sums of squares of shape and expression, means over the batch."""
        if not self.settings.regularised:
            return {}
        return {
            "shape": weight * codes.shape.square().sum(dim=1).mean(),
            "expression": weight * EXPRESSION * codes.expression.square().sum(dim=1).mean(),
        }

    def binding(self, pictures: list[list[Picture]], vertices: Tensor, lesson: Lesson) -> dict[str, Tensor]:
        """Depth and normals of Gaussians and mesh, where the mesh's face is."""
        cameras = [camera for row in lesson.cameras[: len(pictures)] for camera in row]
        views = len(cameras) // len(pictures)
        seen = self.drawer(vertices[: len(pictures)].repeat_interleave(views, dim=0), cameras)
        depth, normals = stacked(pictures, "depth")[..., None], stacked(pictures, "normals")
        return {
            "depth": binding(depth, seen.depth, seen.there),
            "normals": binding(normals, seen.normals, seen.there),
        }


def stacked(pictures: list[list[Picture]], name: str) -> Tensor:
    """(N, R, R, ...) one field of all pictures."""
    return torch.stack([getattr(picture, name) for row in pictures for picture in row])


def picture_losses(pictures: list[list[Picture]], lesson: Lesson) -> dict[str, Tensor]:
    """Pixels and D-SSIM; the paper's third, LPIPS, needs a network that is not embedded."""
    colours = stacked(pictures, "colour").permute(0, 3, 1, 2)
    seen, masks = lesson.pictures.flatten(0, 1), lesson.masks.flatten(0, 1)
    return {"pixels": pixel_loss(colours, seen, masks), "structure": dissimilarity(colours, seen)}


def start_from_nothing(net: KaoLRM) -> None:
    """First weights with which what differs between pictures arrives at the head.

    With PyTorch's own a hundredth of it does, and the first steps learn the mean head and forget the picture. As
    published nothing starts from nothing: the encoder is DINOv2's, the transformer OpenLRM's.
    """
    look = net.encoder.model.patch_embed.proj
    readers = [layer for layer in net.flame_decoder.decoder if isinstance(layer, nn.Linear)][:-1]
    assert look.bias is not None
    with torch.no_grad():
        net.encoder.model.pos_embed *= PLACE_GAIN
        look.weight *= ENCODER_GAIN
        look.bias.copy_(-WHITE * look.weight.sum(dim=(1, 2, 3)))
        for layer in net.transformer.layers:
            assert isinstance(layer, Layer)
            query_and_key = 2 * net.sizes.triplane.width
            layer.cross_attn.in_proj_weight[:query_and_key] *= SHARPNESS
            layer.cross_attn.out_proj.weight *= LOOK_GAIN
        for reader, gain in zip(readers, READ_GAINS, strict=True):
            reader.weight *= gain
            reader.bias.zero_()


def start_small(decoder: GaussianDecoder) -> None:
    """Lets the Gaussians begin with FIRST_SIZE."""
    last = decoder.decoder.net[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias[SCALES] = math.log(math.expm1(2 * FIRST_SIZE))  # the inverse of what `activated` does


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini KaoLRM; continues where an earlier call with the same folder stopped.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.landmarks.schedule.seed)
    teacher = Teacher(settings, folder, device)
    stages: dict[str, tuple[Stage, Callable[[torch.Generator], Mapping[str, Tensor]]]] = {}
    if settings.pretrained:
        stages["pretraining"] = (settings.pretraining, teacher.pretraining)
    stages["landmarks"] = (settings.landmarks, teacher.landmarks)
    stages["picture"] = (settings.picture, teacher.picture)
    spent = {}
    for name, (stage, losses) in stages.items():
        switches = (settings.pretrained, settings.regularised, settings.photometric, settings.bound)[: KNOWN[name]]
        recipe = (teacher.material.pictures.name, settings.framing, stage.plan, settings.points, switches)
        slower = GENTLY if name == "picture" else None
        spent[name] = fit(teacher.net, losses, stage.schedule, folder / name, recipe=recipe, slower=slower)
    path = folder / "mini.safetensors"
    export_weights(teacher.net, path, metadata(settings, teacher, {n: (stages[n][0], s) for n, s in spent.items()}))
    return path


def metadata(settings: TrainingSettings, teacher: Teacher, spent: Mapping[str, tuple[Stage, float]]) -> dict[str, str]:
    """What the weights were made by."""
    return {
        "command": "python -m harness train method=kaolrm",
        "stages": "; ".join(
            f"{name}: {stage.schedule.steps} steps of {stage.plan.subjects} subjects x {stage.plan.views}, "
            f"seed {stage.schedule.seed}, {seconds:.0f} s"
            for name, (stage, seconds) in spent.items()
        ),
        "switches": f"pretrained {settings.pretrained}, regularised {settings.regularised}, "
        f"photometric {settings.photometric}, bound {settings.bound}",
        "subjects": str(len(teacher.material.pictures)),
        "head": teacher.signature,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }
