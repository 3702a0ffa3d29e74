"""Training of mini parsing and alignment heads on an encoder, frozen or not, with as many labels as one allows."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from harness.methods.farl.adapter import answer_of
from harness.methods.farl.losses import alignment_losses, class_weights, parsing_loss
from harness.methods.farl.material import Faces, FrameVariation
from harness.methods.farl.network import Aligner, Parser, Sizes
from harness.methods.networks.vit import resized_positions
from harness.methods.regression.material import CropVariation
from harness.protocols.labels import LABEL_SETS
from harness.training import Schedule, export_weights, fit

ENCODER = "backbone.visual."
LABELS = "lapa"
POINTS = 68
EMPTY = -4.0
"""What a heat map's logits begin with: hardly any heat, so that few steps suffice to tell the points from the rest."""

GIVEN_BACK = 0.5
"""How much of the classes' weights is taken from the trained logits: with all of it these are of unweighted classes,
with none small parts grow too large. Half gives the best F1 on the rendered pictures (0: 53.5, 0.5: 56.4, 1: 43.0)."""

T = TypeVar("T", Parser, Aligner)


@dataclass(frozen=True)
class HeadTraining:
    """How a head is trained.

    Attributes:
        steps: of the optimiser.
        pictures: per step.
        learning_rate: of head and pyramid.
        encoder_rate: factor on it for the encoder; 0 leaves the encoder as it is. FaRL's is 0.1 for parsing, and 0.01
            for alignment.
        subjects: how many people have labels; all if None.
        balance: `class_weights`' power: so that few steps suffice for the small parts; FaRL's is 0.
        heat: side of the target heat maps; 128 in FaRL, whose own maps are larger.
        radius: of a point in these.
        seed: of the weights and of every step.
    """

    steps: int = 400
    pictures: int = 12
    learning_rate: float = 4e-3
    encoder_rate: float = 0.25
    subjects: int | None = None
    balance: float = 0.5
    heat: int = 32
    radius: float = 2.5
    seed: int = 0


def train_parser(
    sizes: Sizes, encoder: nn.Module | None, faces: Faces, how: HeadTraining, folder: Path, device: torch.device
) -> Parser:
    """A trained parser of LaPa's classes; `encoder` is what its own begins as, random if None."""
    labels = LABEL_SETS[LABELS]
    count = len(labels.classes)
    some = faces.parsed(
        64, sizes.vit.image, how.subjects, labels, FrameVariation(), torch.Generator().manual_seed(how.seed)
    )[1]
    weights = class_weights(some, count, how.balance).to(device)

    def losses(net: Parser, generator: torch.Generator) -> Mapping[str, Tensor]:
        images, classes = faces.parsed(how.pictures, sizes.vit.image, how.subjects, labels, FrameVariation(), generator)
        logits = net.head(net.backbone(images.to(device).contiguous(memory_format=torch.channels_last)))
        return {"parsing": parsing_loss(logits, classes.to(device), weights)}

    torch.manual_seed(how.seed)
    net = _trained(Parser(sizes, count), encoder, losses, how, faces, folder, device)
    last = net.head.head.conv_seg.bias
    assert last is not None
    with torch.no_grad():
        last -= GIVEN_BACK * weights.log()
    return net


def train_aligner(
    sizes: Sizes, encoder: nn.Module | None, faces: Faces, how: HeadTraining, folder: Path, device: torch.device
) -> Aligner:
    """A trained aligner of iBUG's 68 points; `encoder` is what its own begins as, random if None."""

    def losses(net: Aligner, generator: torch.Generator) -> Mapping[str, Tensor]:
        size = sizes.vit.image
        lesson = faces.pointed(how.pictures, size, how.subjects, CropVariation(covered=0.2), generator).to(device)
        shares = ((lesson.landmarks + 1) * ((size - 1) / 2) + 0.5) / size
        return alignment_losses(net.heatmap_head(net.backbone(lesson.images)), shares, how.heat, how.radius)

    torch.manual_seed(how.seed)
    net = Aligner(sizes, POINTS)
    last = net.heatmap_head.head.conv_seg.bias
    assert last is not None
    nn.init.constant_(last, EMPTY)
    return _trained(net, encoder, losses, how, faces, folder, device)


def _trained(
    net: T,
    encoder: nn.Module | None,
    losses: Callable[[T, torch.Generator], Mapping[str, Tensor]],
    how: HeadTraining,
    faces: Faces,
    folder: Path,
    device: torch.device,
) -> T:
    if encoder is not None:
        state = dict(encoder.state_dict())
        state["positional_embedding"] = resized_positions(state["positional_embedding"], net.backbone.sizes.vit.side)
        net.backbone.visual.load_state_dict(state)
    net.backbone.visual.requires_grad_(how.encoder_rate > 0)
    net.to(device).to(memory_format=torch.channels_last)  # twice as fast on a CPU
    schedule = Schedule(how.steps, learning_rate=how.learning_rate, seed=how.seed)
    slower = {ENCODER: how.encoder_rate} if how.encoder_rate not in (0, 1) else None
    recipe = (faces.material.name, net.backbone.sizes, how)
    fit(net.train(), lambda generator: losses(net, generator), schedule, folder, recipe=recipe, slower=slower)
    return net.eval()


def train_heads(
    sizes: Sizes,
    encoder: nn.Module | None,
    faces: Faces,
    how: tuple[HeadTraining, HeadTraining],
    folder: Path,
    device: torch.device,
    more: Mapping[str, str],
) -> Path:
    """Trains both heads, each with an encoder of its own, and writes `parsing.safetensors`, `landmarks.safetensors`.

    Args:
        sizes: dimensions.
        encoder: what both begin with; random ones if None.
        faces: pictures with labels.
        how: steps and rates of the parsing head, and of the alignment head.
        folder: gets the weights, and checkpoints in a folder of each.
        device: what to train on.
        more: what else to write into the files.

    Returns:
        The folder.
    """
    command = f"python -m harness train method={more['method']}"
    parser = train_parser(sizes, encoder, faces, how[0], folder / "parsing", device)
    export(parser, folder / "parsing.safetensors", command, how[0], more)
    aligner = train_aligner(sizes, encoder, faces, how[1], folder / "landmarks", device)
    export(aligner, folder / "landmarks.safetensors", command, how[1], more)
    return folder


def export(net: Parser | Aligner, path: Path, command: str, how: HeadTraining, more: Mapping[str, str]) -> Path:
    """Writes the weights in half precision, with what they were made by; statistics of norms in single."""
    metadata = {
        "command": command,
        "answers": answer_of(net),
        "training": f"{how.steps} steps of {how.pictures} pictures, seed {how.seed}",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        **more,
    }
    export_weights(net, path, metadata, exact=("running_mean", "running_var", "num_batches_tracked"))
    return path
