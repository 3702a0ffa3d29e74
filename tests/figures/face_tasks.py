"""PaCo-FR's tables in small: pre-training against none, by share of labels, and its ablations.

python -m tests.figures.face_tasks [--folder training/face_tasks] [--only print]

Trains what is not in the folder yet (mini size, one core: hours), measures every network on the mirrors of LaPa and
300W, and prints tables of the shape of the paper's 1, 3, 5 and 7 with 95 % intervals over subjects. All numbers are of
MIRRORS: they say something about the method, and nothing about the real data sets. Each variant is trained once, so
the intervals hold over people, not over repeated trainings.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from harness.datasets.lapa import Lapa
from harness.datasets.w300 import W300
from harness.heads.procedural import procedural_head
from harness.methods.farl.adapter import FaceTasks
from harness.methods.farl.material import Faces
from harness.methods.farl.network import Aligner, Parser
from harness.methods.farl.training import HeadTraining, train_aligner, train_parser
from harness.methods.paco_fr.network import ABLATIONS, MINI, Pretrainer, random_mask
from harness.methods.paco_fr.pretraining import Pretraining, habits, pretrain
from harness.methods.paco_fr.training import ALIGNMENT, MINI_SIZES
from harness.methods.regression.training import PICTURES
from harness.methods.scratch.training import SCRATCH_ALIGNMENT, SCRATCH_PARSING
from tests.figures.face_tables import tables

SHARES = {100: None, 10: 300, 1: 30}
"""Per cent of the labelled subjects -> how many."""
TUNED, FROM_SCRATCH = (HeadTraining(), ALIGNMENT), (SCRATCH_PARSING, SCRATCH_ALIGNMENT)
FROZEN = tuple(replace(how, encoder_rate=0.0) for how in TUNED)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """A network to train and to measure.

    Attributes:
        name: of its folder.
        encoder: key of ABLATIONS, "no_incubation", or "" for random weights.
        heads: how they are trained: for parsing, for alignment.
    """

    name: str
    encoder: str
    heads: tuple[HeadTraining, ...]


def _with(heads: tuple[HeadTraining, ...], subjects: int | None) -> tuple[HeadTraining, ...]:
    return tuple(replace(how, subjects=subjects) for how in heads)


def rows() -> Iterator[Row]:
    """All, the most important first."""
    for share, subjects in SHARES.items():
        yield Row(f"paco_fr-{share}", "paco_fr", _with(TUNED, subjects))
        yield Row(f"scratch-{share}", "", _with(FROM_SCRATCH, subjects))
    # The encoder's rate is another one from scratch: is the difference that of the rates?
    yield Row("paco_fr-100-scratch_s_rates", "paco_fr", FROM_SCRATCH)
    for encoder in ("paco_fr", "random_3", "no_incubation", "", "one_token", "1x196", "random_5", "belief_5"):
        yield Row(f"frozen-{encoder or 'untrained'}", encoder, FROZEN)


def encoder_of(row: Row, faces: Faces, folder: Path) -> Pretrainer | None:
    """The pre-trained network, None for random weights; writes what its Belief Predictor does."""
    if not row.encoder:
        return None
    how = Pretraining(incubation=row.encoder != "no_incubation")
    place = folder / "encoders" / row.encoder
    net = pretrain(ABLATIONS.get(row.encoder, MINI), how, faces, place, CPU)
    if not (place / "habits.txt").exists():
        rng = torch.Generator().manual_seed(12345)
        images = faces.plain(64, MINI.vit.image, rng)
        found = habits(net, images, random_mask(64, MINI.patches, MINI.masked, rng))
        shares = " ".join(f"{share:.3f}" for share in found.shares)
        (place / "habits.txt").write_text(f"{found.error:.4f} {found.hits:.3f} {shares}\n")
    return net


class Trained(FaceTasks):
    """Answers with networks that are in memory."""

    name = "trained"
    folder = Path()
    mini = MINI_SIZES

    def __init__(self, net: Parser | Aligner, track: str) -> None:
        super().__init__(random_weights=True, track=track)
        self.device, self.nets = CPU, {"parsing" if isinstance(net, Parser) else "landmarks": net}


def measure(net: Parser | Aligner, path: Path) -> None:
    """Writes points (300W) or classes (LaPa) of every picture of the mirrors' tests, with the truth."""
    parses = isinstance(net, Parser)
    data = Lapa("mirror", "data") if parses else W300("mirror", "data")
    method = Trained(net, "landmarks" if parses else "shared")
    kept = []
    for sample in data.samples():
        (answer,) = method.predict([sample])
        kept.append(answer.label_map if parses else answer.landmarks_2d)
    np.savez_compressed(path, **{sample.id: value for sample, value in zip(data.samples(), kept, strict=True)})


def train_row(row: Row, faces: Faces, folder: Path) -> None:
    """Both tasks of a row, unless their answers are there."""
    place = folder / "rows" / row.name
    missing = [task for task in ("parsing", "landmarks") if not (place / f"{task}.npz").exists()]
    if not missing:
        return
    net = encoder_of(row, faces, folder)
    visual = None if net is None else net.visual
    for task in missing:
        if task == "parsing":
            trained: Parser | Aligner = train_parser(MINI_SIZES, visual, faces, row.heads[0], place / task, CPU)
        else:
            trained = train_aligner(MINI_SIZES, visual, faces, row.heads[1], place / task, CPU)
        measure(trained, place / f"{task}.npz")


def main(folder: Path, only_print: bool) -> None:
    """Trains, measures and prints."""
    torch.set_num_threads(1)
    if not only_print:
        faces = Faces(PICTURES, folder.parent / "pictures", procedural_head())
        for row in rows():
            train_row(row, faces, folder)
    tables(folder, [row.name for row in rows()])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("training/face_tasks"))
    parser.add_argument("--only", choices=["print"])
    asked = parser.parse_args()
    main(asked.folder, asked.only == "print")
