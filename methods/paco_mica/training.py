"""Training of the mini PaCo-FR with MICA: expressive heads behind the pictures, on two pre-trained networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.methods.farl.material import ffhq_squares_of
from harness.methods.lvd.modes import head_signature
from harness.methods.paco_fr.adapter import PacoFr
from harness.methods.paco_mica.network import MINI, PacoMica
from harness.methods.regression.codes import Codes
from harness.methods.regression.decoding import Decoder
from harness.methods.regression.identity import IdentityTeacher
from harness.methods.regression.material import CropVariation, onto_template, random_five_points
from harness.methods.regression.training import Setting, Workshop, prepare
from harness.training import Schedule, export_weights, fit, read_weights
from harness.training_data import cut, vary_colour

MICA_WEIGHTS = Path(__file__).parent.parent / "mica" / "mini.safetensors"
ENCODER = "backbone.visual."
EXACT = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        setting: pictures and crops.
        schedule: of all that learns; the encoder does so at a quarter of the rate, MICA's backbone not at all.
        pictures: per step.
        mica: weights of the mini MICA.
        encoder: weights of PaCo-FR's mini alignment network, whose encoder is taken.
    """

    setting: Setting = field(default_factory=lambda: Setting(variation=CropVariation(boxes=0.6)))
    schedule: Schedule = field(default_factory=lambda: Schedule(1500, learning_rate=1.5e-3))
    pictures: int = 16
    mica: str = str(MICA_WEIGHTS)
    encoder: str = str(PacoFr.folder / "landmarks.safetensors")


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini size; continues where an earlier call with the same folder stopped.

    Args:
        settings: the recipe.
        folder: gets the checkpoint and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    shop = prepare(settings.setting, folder, device)
    torch.manual_seed(settings.schedule.seed)
    net = PacoMica(MINI).to(device)
    net.mica.load_state_dict(_weights(settings.mica, "mica"))
    whole = _weights(settings.encoder, "paco_fr")
    net.visual.load_state_dict({k.removeprefix(ENCODER): v for k, v in whole.items() if k.startswith(ENCODER)})
    net.mica.arcface.requires_grad_(False)
    losses = Losses(net, shop, settings)
    recipe = (shop.material.name, settings.setting.variation, settings.pictures, settings.mica, settings.encoder)
    seconds = fit(net, losses, settings.schedule, folder / "branch", recipe=recipe, slower={"visual.": 0.25})
    metadata = {
        "command": "python -m harness train method=paco_mica",
        "training": f"{settings.schedule.steps} steps of {settings.pictures} pictures, {seconds:.0f} s",
        "head": head_signature(shop.head.to("cpu")),
    }
    export_weights(net, folder / "mini.safetensors", metadata, exact=EXACT)
    return folder / "mini.safetensors"


def _weights(path: str, method: str) -> dict[str, Tensor]:
    if not Path(path).exists():
        raise HarnessError(f"{path}: is missing; `python -m harness train method={method}` first")
    return read_weights(Path(path))[0]


class Losses:
    """What a step minimises: distances of vertices, neutral ones as MICA's and expressive ones of the face.

    Expressive heads are compared with the true identity, since otherwise expressions learn to make up for a wrong one.

    Args:
        net: what learns.
        shop: pictures and head.
        settings: of the training.
    """

    def __init__(self, net: PacoMica, shop: Workshop, settings: TrainingSettings) -> None:
        self.net, self.shop, self.settings = net, shop, settings
        self.identity = IdentityTeacher(shop.head)

    def __call__(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The losses of a step."""
        crops, truth = self.lesson(generator)
        self.net.mica.arcface.eval()
        codes = self.net(crops.to(self.shop.device))
        assert codes.expression is not None and truth.expression is not None
        decoder: Decoder = self.shop.decoder
        found, wanted = (decoder(each).vertices for each in (replace(codes, shape=truth.shape), truth))
        return {
            "shape": self.identity(codes.shape, truth.shape),
            "expressive": (found - wanted).norm(dim=2).mean(),
            "coefficients": 1e-2 * (codes.expression - truth.expression).square().mean(),
        }

    def lesson(self, generator: torch.Generator) -> tuple[Tensor, Codes]:
        """Six-channel crops of random subjects and the codes behind them."""
        material, variation = self.shop.material, self.settings.setting.variation
        seen = material.random_pictures(self.settings.pictures, generator)
        five = random_five_points(seen.landmarks, variation, generator)
        size = MINI.vit.image
        portraits = cut(seen.images, ffhq_squares_of(five, size), size)
        aligned = cut(seen.images, onto_template(five, size), size)
        both = vary_colour(torch.cat([portraits, aligned], dim=3), variation.colour, generator)
        crops = torch.cat([both[..., :size], both[..., size:] * 2 - 1], dim=1)
        shape, expression, jaw = (codes[seen.subjects].to(self.shop.device) for codes in material.codes)
        return crops, Codes(shape=shape, expression=expression, turn=torch.zeros_like(jaw), jaw=jaw)
