"""Training of the mini PaCo-FR: pre-training without labels, then a parsing and an alignment head."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from harness.errors import HarnessError
from harness.heads.procedural import procedural_head
from harness.methods.farl.material import Faces
from harness.methods.farl.network import Sizes
from harness.methods.farl.training import HeadTraining, train_heads
from harness.methods.paco_fr.network import ABLATIONS, MINI, MINI_TAPS
from harness.methods.paco_fr.pretraining import Pretraining, pretrain
from harness.methods.regression.training import PICTURES
from harness.training_pictures import PictureSettings

MINI_SIZES = Sizes(MINI.vit, MINI_TAPS, channels=32)
"""Of the networks with heads."""

ALIGNMENT = HeadTraining(learning_rate=1e-2, encoder_rate=0.1)
"""Of the alignment head, which learns faster than the parsing head in FaRL too."""


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        pictures: what is rendered.
        variant: key of `ABLATIONS`: the method itself, or a row of the paper's Table 7.
        pretraining: without labels.
        parsing, alignment: the heads, with labels.
        threads: of the computation on a CPU.
    """

    pictures: PictureSettings = PICTURES
    variant: str = "paco_fr"
    pretraining: Pretraining = field(default_factory=Pretraining)
    parsing: HeadTraining = field(default_factory=HeadTraining)
    alignment: HeadTraining = field(default_factory=lambda: ALIGNMENT)
    threads: int = 1


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini PaCo-FR; continues where an earlier call with the same folder stopped.

    Without the paper's perceptual loss, whose network (MoCo-v3) is not embedded.

    Args:
        settings: the recipe.
        folder: gets checkpoints, `parsing.safetensors` and `landmarks.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The folder of the weights.

    Raises:
        HarnessError: there is no such variant.
    """
    if settings.variant not in ABLATIONS:
        raise HarnessError(f"settings.variant={settings.variant}: expected one of {', '.join(ABLATIONS)}")
    torch.set_num_threads(settings.threads)
    faces = Faces(settings.pictures, folder.parent / "pictures", procedural_head())
    sizes = ABLATIONS[settings.variant]
    net = pretrain(sizes, settings.pretraining, faces, folder / "pretraining", device)
    how = settings.pretraining
    said = f"{how.steps} steps of {how.pictures} pictures, seed {how.seed}"
    more = {"method": "paco_fr", "pretraining": said, "variant": settings.variant}
    return train_heads(MINI_SIZES, net.visual, faces, (settings.parsing, settings.alignment), folder, device, more)
