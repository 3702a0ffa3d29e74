"""PaCo-FR as a method of the harness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.methods.farl.adapter import FaceTasks
from harness.methods.farl.network import PACO_TAPS, PAPER
from harness.methods.paco_fr.training import MINI_SIZES


class PacoFr(FaceTasks):
    """PaCo-FR (arXiv 2508.09691): an encoder pre-trained to restore faces from a codebook of patches."""

    paper = "PaCo-FR, arXiv 2508.09691"
    name = "paco_fr"
    folder = Path(__file__).parent
    mini = MINI_SIZES
    paper_sizes = replace(PAPER, taps=PACO_TAPS)
