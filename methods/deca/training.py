"""Training of the mini DECA on rendered heads: landmarks first, then the picture too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from harness.methods.deca.network import MINI, Deca
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
        photometric: weight of the colours.
        prior: weight of the squares of shape, expression and texture codes.
    """

    setting: Setting = field(default_factory=Setting)
    landmarks: Stage = field(default_factory=lambda: Stage(Schedule(2500, learning_rate=1.5e-3, seed=0), 16, 2))
    picture: Stage = field(default_factory=lambda: Stage(Schedule(1500, learning_rate=8e-4, seed=1), 16, 2))
    photometric: float = 2.0
    prior: float = 1e-4


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini DECA; continues where an earlier call with the same folder stopped.

    The losses are the paper's coarse ones but for the identity loss, which needs a face recognition network.

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

    def losses(lesson: Lesson, coloured: bool) -> Mapping[str, Tensor]:
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
        if coloured:
            shaped, points = placed(shop.decoder, codes)
            drawn = shop.artist.draw(shaped.vertices, points, lesson.images.shape[-1])
            result["picture"] = settings.photometric * photometric(shop.artist, drawn, codes, lesson)
            result["light"] = light_variance(codes.light)
            result["texture prior"] = settings.prior * half_squares(codes.texture)
        return result

    spent = {}
    for name, stage, coloured in (("landmarks", settings.landmarks, False), ("picture", settings.picture, True)):
        seconds = train_stage(
            net,
            lambda lesson, _, coloured=coloured: losses(lesson, coloured),
            shop,
            stage,
            folder / name,
            MINI.image,
            recipe=(settings.photometric, settings.prior),
        )
        spent[name] = (stage, seconds)
    return export(net, folder / "mini.safetensors", shop, "python -m harness train method=deca", spent)
