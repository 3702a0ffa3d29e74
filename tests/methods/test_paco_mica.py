"""PaCo-FR with MICA: two crops by the same five points, MICA's own identity, a tiny training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import HarnessError
from harness.heads.procedural import procedural_head
from harness.methods.farl.network import Aligner
from harness.methods.mica.adapter import MicaAdapter
from harness.methods.paco_fr.training import MINI_SIZES
from harness.methods.paco_mica import training
from harness.methods.paco_mica.adapter import PacoMicaAdapter
from harness.methods.paco_mica.network import MINI, PAPER, PacoMica
from harness.methods.regression.material import CropVariation
from harness.methods.regression.training import Setting
from harness.samples import Sample, View
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import render
from harness.synthesis.subject import random_subject
from harness.training import Schedule, export_weights
from harness.training_pictures import PictureSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def view() -> View:
    subject = random_subject(1_000_778)
    camera = orbit_camera(10, 0, 900, 500, (180, 200), subject.middle)
    picture = render(subject, camera, seed=3, antialias=False)
    return View(picture.image, landmarks=picture.landmarks)


def test_sizes() -> None:
    head = procedural_head()
    assert MINI.expression == len(head.expression_names) and MINI.mica.shape == len(head.shape_names)
    with torch.device("meta"):
        net = PacoMica(PAPER)
    branch = 2 * 768 + 768 * 16 + 16 + 196 * 16 * 512 + 512 + 512 * 512 + 512 + 512 * 103 + 103
    assert sum(p.numel() for p in net.branch.parameters()) == branch


def test_both_crops_show_the_face_where_they_should(view: View) -> None:
    method = PacoMicaAdapter(random_weights=True)
    crop, _ = method.cut(view)
    assert crop.pixels.shape == (96, 96, 6)
    aligned = MicaAdapter().cut(view)[0].pixels
    shrunk = crop.pixels[..., 3:]
    assert np.corrcoef(shrunk[::3, ::3].ravel(), aligned[::2, ::2].ravel())[0, 1] > 0.9
    portrait = crop.pixels[..., :3]
    assert portrait.min() >= 0 and portrait.max() <= 1
    # FFHQ's square is centred a tenth below the eyes and four eye distances wide; both crops see the same colours.
    assert (
        np.abs(portrait[40:56, 40:56].mean(axis=(0, 1)) - (shrunk[40:60, 30:66].mean(axis=(0, 1)) + 1) / 2).max() < 0.12
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    export_weights(Aligner(MINI_SIZES, 68), folder / "landmarks.safetensors", {"answers": "68 points"})
    return folder / "landmarks.safetensors"


def test_a_tiny_training_learns_expressions_and_keeps_the_backbone(weights: Path, view: View, tmp_path: Path) -> None:
    pictures = PictureSettings(subjects=2, views=2, size=96, processes=1)
    settings = training.TrainingSettings(
        Setting(pictures, CropVariation(boxes=0.6)), Schedule(12, learning_rate=2e-3), 4, encoder=str(weights)
    )
    path = training.train(settings, tmp_path / "paco_mica", CPU)
    method = PacoMicaAdapter(weights=str(path))
    method.load(CPU)
    (answer,) = method.predict([Sample("a", "a", (view,))])
    assert answer.failure is None and answer.has_neutral
    assert answer.parameters["expression"].shape == (46,) and np.abs(answer.parameters["expression"]).max() > 0
    assert not np.array_equal(answer.vertices, answer.neutral_vertices)
    mica = MicaAdapter()
    mica.load(CPU)
    (bare,) = mica.predict([Sample("a", "a", (view,))])
    assert np.abs(answer.neutral_vertices - bare.vertices).max() < 0.01, "metres; the mapping has learnt for 12 steps"
    net = method.net
    assert all(
        torch.equal(a, b) for a, b in zip(net.mica.arcface.parameters(), mica.net.arcface.parameters(), strict=True)
    )


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"no\.safetensors: is missing; `python -m harness train method=paco_fr`"):
        training._weights(str(tmp_path / "no.safetensors"), "paco_fr")
