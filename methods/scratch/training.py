"""Training of the baseline: PaCo-FR's heads and encoder, all from random weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from harness.heads.procedural import procedural_head
from harness.methods.farl.material import Faces
from harness.methods.farl.training import HeadTraining, train_heads
from harness.methods.paco_fr.training import ALIGNMENT, MINI_SIZES
from harness.methods.regression.training import PICTURES
from harness.training_pictures import PictureSettings

SCRATCH_PARSING = HeadTraining(encoder_rate=0.5)
SCRATCH_ALIGNMENT = replace(ALIGNMENT, encoder_rate=0.25)
"""The encoder learns at 0.002 and 0.0025, which is what such a network is usually trained with from random weights."""


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        pictures: what is rendered.
        parsing, alignment: as PaCo-FR's, but for the encoder's rates, which are larger, since all weights are new.
        threads: of the computation on a CPU.
    """

    pictures: PictureSettings = PICTURES
    parsing: HeadTraining = field(default_factory=lambda: SCRATCH_PARSING)
    alignment: HeadTraining = field(default_factory=lambda: SCRATCH_ALIGNMENT)
    threads: int = 1


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the baseline; continues where an earlier call with the same folder stopped.

    Args:
        settings: the recipe.
        folder: gets checkpoints, `parsing.safetensors` and `landmarks.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The folder of the weights.
    """
    torch.set_num_threads(settings.threads)
    faces = Faces(settings.pictures, folder.parent / "pictures", procedural_head())
    return train_heads(
        MINI_SIZES, None, faces, (settings.parsing, settings.alignment), folder, device, {"method": "scratch"}
    )
