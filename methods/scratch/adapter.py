"""The baseline without pre-training as a method of the harness."""

from __future__ import annotations

from pathlib import Path

from harness.methods.farl.adapter import FaceTasks
from harness.methods.paco_fr.training import MINI_SIZES


class Scratch(FaceTasks):
    """The same encoder and heads as PaCo-FR, trained from random weights."""

    name = "scratch"
    folder = Path(__file__).parent
    mini = MINI_SIZES
