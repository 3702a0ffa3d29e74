"""Prints the tables of `tests.figures.face_tasks` from the answers that it left in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.datasets.lapa import Lapa
from harness.datasets.w300 import W300
from harness.protocols.labels import LAPA
from harness.protocols.landmarks import LandmarkError
from harness.protocols.parsing import ParsingF1, ParsingF1PerImage, f1_of, total
from harness.samples import Prediction
from harness.statistics import Difference, Interval, subject_interval
from harness.statistics.pairs import difference

Array = NDArray[Any]

CLAIMS = (
    ("pre-training helps (all labels)", "paco_fr-100", "scratch-100"),
    ("pre-training helps (all labels, encoders at the same rate)", "paco_fr-100-scratch_s_rates", "scratch-100"),
    ("pre-training helps (10 % of the labels)", "paco_fr-10", "scratch-10"),
    ("pre-training helps (1 % of the labels)", "paco_fr-1", "scratch-1"),
    ("a frozen pre-trained encoder beats a frozen untrained one", "frozen-paco_fr", "frozen-untrained"),
    ("the Belief Predictor beats random choice", "frozen-paco_fr", "frozen-random_3"),
    ("incubation beats learning together", "frozen-paco_fr", "frozen-no_incubation"),
    ("three tokens beat one shared token", "frozen-paco_fr", "frozen-one_token"),
    ("three tokens beat one of each place", "frozen-paco_fr", "frozen-1x196"),
)
"""What the paper says: the first row is better than the second."""


class Measured:
    """Scores of all rows that have been measured: per picture, and the pictures' confusion matrices."""

    def __init__(self, folder: Path, rows: Sequence[str]) -> None:
        self.f1: dict[str, pd.Series] = {}
        self.pooled: dict[str, Array] = {}
        self.nme: dict[str, pd.Series] = {}
        lapa, w300 = Lapa("mirror", "data"), W300("mirror", "data")
        self.subset = {sample.id: str(sample.condition["subset"]) for sample in w300.samples()}
        truths = {sample.id: lapa.truth(sample) for sample in lapa.samples()}
        points = {sample.id: w300.truth(sample) for sample in w300.samples()}
        for row in rows:
            place = folder / "rows" / row
            if (place / "parsing.npz").exists():
                answers = np.load(place / "parsing.npz")
                maps = {name: Prediction(label_map=answers[name]) for name in truths}
                scores = {name: ParsingF1().score(answer, truths[name]) for name, answer in maps.items()}
                self.pooled[row] = f1_of(total(s.vectors["confusion"].reshape(11, 11) for s in scores.values()))
                own = {n: ParsingF1PerImage().score(a, truths[n]).values["mean"] for n, a in maps.items()}
                self.f1[row] = pd.Series(own)
            if (place / "landmarks.npz").exists():
                answers = np.load(place / "landmarks.npz")
                found = {n: LandmarkError().score(Prediction(landmarks_2d=answers[n]), t) for n, t in points.items()}
                self.nme[row] = pd.Series({name: score.values["nme"] for name, score in found.items()})

    def subset_of(self, row: str, subset: str) -> pd.Series:
        """Errors of the pictures of a subset of 300W; all if "full"."""
        errors = self.nme[row]
        return errors[[subset in ("full", self.subset[name]) for name in errors.index]]


def interval(values: pd.Series) -> Interval:
    """Over subjects, of whom the mirrors show each once."""
    return subject_interval(values, pd.Series(values.index, index=values.index))


def tables(folder: Path, rows: Sequence[str]) -> None:
    """Prints everything that has been measured."""
    found = Measured(folder, rows)
    parsing_table(found)
    alignment_table(found)
    labels_table(found)
    ablation_table(found, folder)
    claims(found)


def parsing_table(found: Measured) -> None:
    """As the paper's Table 1."""
    print(f"\nTable 1, LaPa MIRROR (test, 100 pictures), {ParsingF1().id}: F1 in %, pixels of all pictures pooled;")
    print("last column: mean over pictures of each one's mean F1 [95 % over subjects]")
    print(f"{'':<30}" + "".join(f"{name:>13}" for name in (*LAPA.foreground, "mean")))
    for row, values in found.pooled.items():
        cells = "".join(f"{value:>13.2f}" for value in (*values[1:], values[1:].mean()))
        print(f"{row:<30}{cells}   {interval(found.f1[row])}")


def alignment_table(found: Measured) -> None:
    """As the paper's Table 3."""
    print(f"\nTable 3, 300W MIRROR (44 common, 20 challenge), {LandmarkError().id}: NME over outer eye corners in %")
    print(f"{'':<30}" + "".join(f"{name:>26}" for name in ("common", "challenge", "full")))
    for row in found.nme:
        cells = [interval(found.subset_of(row, subset)) for subset in ("common", "challenge", "full")]
        print(f"{row:<30}" + "".join(f"{cell!s:>26}" for cell in cells))


def labels_table(found: Measured) -> None:
    """As the paper's Table 5: by share of labels."""
    print("\nTable 5, MIRRORS, by share of the labelled subjects: F1 per picture in % / NME full in %")
    print(f"{'':<12}" + "".join(f"{f'{share} %':>52}" for share in (1, 10, 100)))
    for method in ("paco_fr", "scratch"):
        cells = []
        for share in (1, 10, 100):
            row = f"{method}-{share}"
            known = row in found.f1 and row in found.nme
            cells.append(f"{interval(found.f1[row])} / {interval(found.nme[row])}" if known else "not measured")
        print(f"{method:<12}" + "".join(f"{cell:>52}" for cell in cells))


def ablation_table(found: Measured, folder: Path) -> None:
    """As the paper's Table 7, with what became of the codebook."""
    print("\nTable 7, MIRRORS, frozen encoders: F1 per picture in %, NME full in %;")
    print("then: error of restored patches (normalised), share of choices that restore best, share of each token")
    for row in found.f1:
        if row.startswith("frozen-") and row in found.nme:
            notes = [p.read_text().strip() for p in (folder / "encoders").glob(f"{row[7:]}/habits.txt")]
            print(f"{row:<30}{interval(found.f1[row])!s:>26}{interval(found.nme[row])!s:>24}   {' '.join(notes)}")


def verdict(better: Difference) -> str:
    """Of a difference that the claim says is positive."""
    if not better.excludes_zero:
        return "undecided"
    return "confirmed" if better.low > 0 else "contradicted"


def claims(found: Measured) -> None:
    """What the paper says, and what was measured on the mirrors."""
    print("\nClaims, MIRRORS: by how much the first is better, paired over subjects [95 %]; one training each")
    for words, first, second in CLAIMS:
        for name, scores, sign in (("F1 %", found.f1, 1.0), ("NME %", found.nme, -1.0)):
            if first in scores and second in scores:
                better = difference(sign * scores[first].to_numpy(), sign * scores[second].to_numpy())
                print(f"{words:<60}{name:>7} {better!s:>24}  {verdict(better)}")
    for name, scores, sign in (("F1 %", found.f1, 1.0), ("NME %", found.nme, -1.0)):
        if all(f"{method}-{share}" in scores for method in ("paco_fr", "scratch") for share in (1, 100)):
            gains = [sign * (scores[f"paco_fr-{share}"] - scores[f"scratch-{share}"]).to_numpy() for share in (1, 100)]
            better = difference(*gains)
            print(
                f"{'it helps more with 1 % of the labels than with all':<60}{name:>7} {better!s:>24}  {verdict(better)}"
            )
