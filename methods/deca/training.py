"""Training of the mini DECA on rendered heads: landmarks first, then the picture too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from harness.methods.deca.network import MINI, Deca
from harness.methods.regression.identity import IdentityTeacher
from harness.methods.regression.losses import (
    eye_closure,
    half_squares,
    light_variance,
    lip_closure,
    weighted_landmarks,
)
from harness.methods.regression.material import Lesson
from harness.methods.regression.training import (
    Setting,
    Stage,
    export,
    landmarks_of,
    photometric,
    placed,
    prepare,
    train_stage,
)
from harness.training import Schedule


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        setting: pictures and crops.
        landmarks: the stage without pictures' colours; DECA's first.
        picture: the stage with them.
        identity: landmarks again, and the neutral head behind the picture as in the stage before.
        photometric: weight of the colours.
        neutral: weight of the neutral head, in millimetres.
        prior: weight of the squares of shape, expression and texture codes.
    """

    setting: Setting = field(default_factory=Setting)
    landmarks: Stage = field(default_factory=lambda: Stage(Schedule(2500, learning_rate=1.5e-3, seed=0), 16, 2))
    picture: Stage = field(default_factory=lambda: Stage(Schedule(1600, learning_rate=1.5e-3, seed=1), 16, 2))
    identity: Stage = field(
        default_factory=lambda: Stage(Schedule(3000, learning_rate=1.5e-3, seed=2), 16, 2, covered=0.3)
    )
    photometric: float = 0.5
    neutral: float = 1.0
    prior: float = 1e-4


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini DECA; continues where an earlier call with the same folder stopped.

    The losses are the paper's coarse ones with one exception: its identity loss compares what a face recognition
    network says of photograph and drawing. There is none here, but the heads behind the pictures are known: in the
    later stages the identity is told by the neutral head, as MICA does.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    shop = prepare(settings.setting, folder, device)
    torch.manual_seed(settings.landmarks.schedule.seed)
    net = Deca(MINI).to(device)
    teacher = IdentityTeacher(shop.head)

    def losses(lesson: Lesson, stage: str) -> Mapping[str, Tensor]:
        codes = net(lesson.images)
        # The other picture of the subject must do with this one's identity.
        other = codes.shape.unflatten(0, (lesson.subjects, -1)).roll(1, dims=1).flatten(0, 1)
        result = {}
        for name, read in (("", codes), ("swapped ", replace(codes, shape=other))):
            landmarks = landmarks_of(shop.sketcher, placed(shop.sketcher, read)[1])
            result[f"{name}landmarks"] = weighted_landmarks(landmarks, lesson.landmarks)
            result[f"{name}eyes"] = eye_closure(landmarks, lesson.landmarks)
            result[f"{name}lips"] = 0.5 * lip_closure(landmarks, lesson.landmarks)
        assert codes.expression is not None and codes.texture is not None and codes.light is not None
        result["prior"] = settings.prior * sum(map(half_squares, (codes.shape, codes.expression)))
        if stage != "landmarks":
            result["identity"] = settings.neutral * teacher(codes.shape, lesson.shape)
        if stage == "picture":
            # Drawing takes most of the time: one crop of each subject is drawn.
            one = slice(None, None, len(lesson.images) // lesson.subjects)
            shaped, points = placed(shop.decoder, codes.rows(one))
            drawn = shop.artist.draw(shaped.vertices, points, lesson.images.shape[-1])
            picture = photometric(shop.artist, drawn, codes.rows(one), lesson.images[one], lesson.masks[one])
            result["picture"] = settings.photometric * picture
            result["light"] = light_variance(codes.light)
            result["texture prior"] = settings.prior * half_squares(codes.texture)
        return result

    spent = {}
    weights = {"landmarks": (), "picture": (settings.photometric, settings.neutral), "identity": (settings.neutral,)}
    for name, more in weights.items():
        stage: Stage = getattr(settings, name)
        loss = partial(lambda name, lesson, generator: losses(lesson, name), name)
        recipe = (settings.prior, more)
        spent[name] = (stage, train_stage(net, loss, shop, stage, folder / name, MINI.image, recipe=recipe))
    return export(net, folder / "mini.safetensors", shop, "python -m harness train method=deca", spent)
