"""Adapters that answer with label maps and points: networks that see perfectly must give back what they see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import HarnessError
from harness.methods.farl import adapter as module
from harness.methods.farl.adapter import FaceTasks, Farl
from harness.methods.farl.network import Aligner, Parser, Sizes
from harness.methods.networks.vit import ViTSizes
from harness.methods.paco_fr.adapter import PacoFr
from harness.methods.scratch.adapter import Scratch
from harness.protocols.labels import CELEBAMASK_FARL, LAPA
from harness.samples import Sample, View
from harness.training import export_weights

CPU = torch.device("cpu")
TINY = Sizes(ViTSizes(image=32, patch=16, width=8, depth=2, heads=2, out=1), taps=(0, 0, 1, 1), channels=8)
BOX = np.array([60.0, 40.0, 140.0, 150.0])


class SeeingParser(Parser):
    """Takes a pixel's red, in steps of 20, for its class."""

    def __init__(self, classes: int) -> None:
        super().__init__(TINY, classes)
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        red = (images[:, 0] * 255 / 10).round().long().clamp(0, self.classes - 1)
        return functional.one_hot(red, self.classes).permute(0, 3, 1, 2).float()


class SeeingAligner(Aligner):
    """Says of every point that it is where the green is."""

    def __init__(self) -> None:
        super().__init__(TINY, 68)

    def forward(self, images: Tensor) -> Tensor:
        green = (images[:, 1] - 0.5).clamp_min(0)
        size = green.shape[-1]
        place = (torch.arange(size) + 0.5) / size
        total = green.sum(dim=(1, 2))
        x, y = (green.sum(dim=1) @ place) / total, (green.sum(dim=2) @ place) / total
        return torch.stack([x, y], dim=1)[:, None].expand(-1, 68, -1)


class Seeing(FaceTasks):
    name = "seeing"
    folder = Path()

    def __init__(self, *nets: nn.Module, track: str = "shared") -> None:
        super().__init__(size="paper", random_weights=True, track=track)
        self.device = CPU
        self.nets = {"parsing" if isinstance(net, Parser) else "landmarks": net for net in nets}


def blocks(height: int, width: int, count: int) -> np.ndarray:
    """(H, W) classes in squares of 25 pixels."""
    row, column = np.mgrid[:height, :width]
    return (row // 25 * 3 + column // 25) % count


def sample(image: np.ndarray, **more: object) -> Sample:
    return Sample("a", "a", (View(image.astype(np.uint8), **more),))


def test_label_maps_come_back_through_the_warped_frame() -> None:
    classes = blocks(190, 210, 11)
    image = np.stack([classes * 10, classes * 0, classes * 0], axis=-1)
    (answer,) = Seeing(SeeingParser(11)).predict([sample(image, box=BOX)])
    right = answer.label_map == LAPA.labels()[classes]
    assert right[45:145, 65:135].mean() > 0.95, "in the face, where the frame has most pixels"
    assert right.mean() > 0.8
    shifted = answer.label_map[:, 3:] == LAPA.labels()[classes][:, :-3]
    assert right.mean() > shifted.mean() + 0.05


def test_nineteen_classes_see_the_picture_as_it_is() -> None:
    corners = np.array([[-0.5, -0.5], [299.5, 149.5]])
    assert np.allclose(module.whole_picture(300, 150).to_frame(corners), [[-0.5, -0.5], [511.5, 511.5]])
    classes = blocks(150, 300, 19)
    image = np.stack([classes * 10, classes * 0, classes * 0], axis=-1)
    (answer,) = Seeing(SeeingParser(19)).predict([sample(image)])  # no box: nothing looks for a face
    assert (answer.label_map == CELEBAMASK_FARL.labels()[classes]).mean() > 0.93


@pytest.mark.parametrize("track", ["shared", "landmarks"])
def test_points_come_back_to_the_picture(track: str) -> None:
    image = np.zeros((200, 220, 3))
    image[88:95, 103:112, 1] = 255
    points = np.full((68, 2), np.nan)
    points[[0, 16, 8, 19]], points[36:48], points[48:68] = [[60, 80], [140, 80], [100, 150], [90, 50]], 90, 110
    (answer,) = Seeing(SeeingAligner(), track=track).predict([sample(image, box=BOX, landmarks=points)])
    assert np.abs(answer.landmarks_2d - [107, 91]).max() < 0.3


def test_what_cannot_be_answered_fails_with_a_reason() -> None:
    image = np.zeros((64, 64, 3))
    method = Seeing(SeeingAligner())
    bare, outside = method.predict([sample(image), sample(image, box=BOX + 500)])
    assert (bare.failure, outside.failure) == ("bad_input", "bad_input") and "no face box" in bare.detail
    (nowhere,) = Seeing(SeeingAligner(), track="own").predict([sample(image)])
    assert nowhere.failure == "no_face"
    missing = Sample("b", "b", (View(Path("no.png"), box=BOX),))
    assert method.predict([missing])[0].failure == "bad_input"
    net = SeeingAligner()
    net.forward = lambda images: torch.full((1, 68, 2), torch.nan)  # type: ignore[method-assign]
    assert Seeing(net).predict([sample(image, box=BOX)])[0].failure == "non_finite"


def test_official_files_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "read_network", lambda path: SeeingParser(11))
    method = Farl(parsing=str(tmp_path / "lapa.pth"))
    method.load(CPU)
    assert list(method.nets) == ["parsing"] and method.files() == [tmp_path / "lapa.pth"]
    wrong = Farl(landmarks=str(tmp_path / "lapa.pth"))
    with pytest.raises(HarnessError, match=r"lapa\.pth: is a network for parsing, given as option landmarks"):
        wrong.load(CPU)
    monkeypatch.setattr(module, "read_network", lambda path: SeeingParser(7))
    method.load(CPU)
    with pytest.raises(HarnessError, match=r"has 7 classes, expected \[11, 19\]"):
        method.predict([sample(np.zeros((9, 9, 3)), box=BOX)])


class Small(PacoFr):
    mini = TINY


def test_weights_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    net = Parser(TINY, 11)
    export_weights(net, tmp_path / "parsing.safetensors", {"answers": "lapa"})
    export_weights(net.backbone, tmp_path / "other.safetensors", {})
    good = str(tmp_path / "parsing.safetensors")
    method = Small(parsing=good, tasks=["parsing"])
    method.load(CPU)
    assert method.predict([sample(np.zeros((150, 140, 3)), box=BOX)])[0].label_map.shape == (150, 140)
    for options, words in (
        ({"landmarks": good, "tasks": ["landmarks"]}, "answers lapa, expected 68 points; give the other file"),
        ({"parsing": str(tmp_path / "other.safetensors"), "tasks": ["parsing"]}, "does not fit the mini network"),
        ({"parsing": str(tmp_path / "no.safetensors"), "tasks": ["parsing"]}, "harness train method=paco_fr"),
        ({"weights": str(tmp_path)}, r"landmarks\.safetensors: weights are missing"),
    ):
        with pytest.raises(HarnessError, match=words):
            Small(**options).load(CPU)


def test_options_that_do_not_exist() -> None:
    for options, words in (
        ({"size": "big"}, "size='big', expected mini or paper"),
        ({"tasks": ["eyes"]}, r"tasks=\['eyes'\], expected some of parsing, landmarks"),
        ({"tasks": []}, "expected some of"),
        ({"size": "paper"}, "needs weights: method.options.parsing=PATH"),
        ({"track": "guess"}, "track=guess"),
    ):
        with pytest.raises(HarnessError, match=words):
            Scratch(**options)
    with pytest.raises(HarnessError, match="farl: size=mini needs weights"):
        Farl()
    assert PacoFr.paper_sizes.taps == (1, 3, 7, 11) and Farl.paper_sizes.taps == (3, 5, 7, 11)
