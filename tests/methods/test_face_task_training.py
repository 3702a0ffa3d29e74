"""Heads of FaRL's kind: losses against slow twins, frames that hold what they say, and a whole tiny training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.heads.procedural import procedural_head
from harness.methods.farl import material
from harness.methods.farl.adapter import answer_of
from harness.methods.farl.losses import alignment_losses, class_weights, heat_target, parsing_loss
from harness.methods.farl.material import Faces, FrameVariation, ffhq_squares
from harness.methods.farl.training import HeadTraining
from harness.methods.farl.warp import Frame
from harness.methods.paco_fr import training as paco
from harness.methods.paco_fr.adapter import PacoFr
from harness.methods.paco_fr.pretraining import Pretraining
from harness.methods.regression.material import five_points
from harness.methods.scratch import training as scratch
from harness.protocols.labels import LAPA
from harness.samples import Sample, View
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import render
from harness.synthesis.subject import random_subject
from harness.training import Schedule, fit, read_weights
from harness.training_labels import label_map
from harness.training_pictures import PictureSettings

PICTURES = PictureSettings(subjects=3, views=2, size=96, processes=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def faces(root: Path) -> Faces:
    return Faces(PICTURES, root / "pictures", procedural_head())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_label_maps_are_those_of_the_pictures(faces: Faces) -> None:
    subject = random_subject(7)
    camera = orbit_camera(30, 10, 700, 400, (90, 90), subject.middle)
    picture = render(subject, camera, seed=1, antialias=False)
    found = label_map(subject, camera.projection, camera.rotation, 90)
    assert np.array_equal(found, picture.label_map) and len(np.unique(found)) > 8
    masks = faces.pictures.arrays["images"][..., 3] > 127
    assert faces.labels.shape == masks.shape == (3, 2, 96, 96)
    assert not faces.labels[~masks].any() and (faces.labels[masks] > 0).mean() > 0.99


def test_label_maps_are_made_once(faces: Faces, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.training_labels._fill", None)  # calling it would raise
    again = Faces(PICTURES, root / "pictures", procedural_head())
    assert np.array_equal(again.labels, faces.labels)


def test_heat_maps() -> None:
    points = torch.tensor([[[0.25, 0.5], [0.9, 0.1]]], dtype=torch.float64)
    heat = heat_target(points)
    assert heat.shape == (1, 2, 128, 128)
    for n, (x, y) in enumerate(points[0].numpy() * 128 - 0.5):
        for row, column in ((64, 32), (63, 30), (12, 115), (15, 118), (0, 0)):
            squared = (column - x) ** 2 + (row - y) ** 2
            expected = np.exp(-8 * squared / 25) if squared <= 25 else 0
            assert heat[0, n, row, column].item() == pytest.approx(expected, abs=1e-12)


def test_alignment_losses_in_closed_form() -> None:
    logits = torch.full((1, 1, 8, 8), -60.0)
    logits[0, 0, 2, 5] = 60.0
    points = torch.tensor([[[5.5 / 8, 2.5 / 8 + 0.1]]])
    found = alignment_losses(logits, points, size=8, radius=2.0)
    assert found["coordinates"].item() == pytest.approx(0.1, abs=1e-6)
    target = heat_target(points, 8, 2.0).double().numpy()
    probability = np.clip(torch.sigmoid(logits.double()).numpy(), 1e-300, 1)
    expected = -(target * np.log(probability) - (1 - target) * np.logaddexp(0, logits.double().numpy())).mean()
    assert found["heat"].item() == pytest.approx(expected, rel=1e-5)


def test_parsing_loss_is_a_mean_over_pixels() -> None:
    logits, classes = torch.randn(2, 4, 6, 6), torch.randint(4, (2, 6, 6))
    x = logits.double().numpy()
    logs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    expected = -np.take_along_axis(logs, classes.numpy()[:, None], axis=1).mean()
    assert parsing_loss(logits, classes).item() == pytest.approx(expected, rel=1e-5)
    weights = torch.tensor([1.0, 2.0, 0.0, 5.0])
    each = -np.take_along_axis(logs, classes.numpy()[:, None], axis=1)[:, 0]
    weighted = (each * weights.numpy()[classes.numpy()]).mean()
    assert parsing_loss(logits, classes, weights).item() == pytest.approx(weighted, rel=1e-5)


def test_class_weights() -> None:
    classes = torch.tensor([0] * 80 + [1] * 16 + [3] * 4)
    assert torch.equal(class_weights(classes, 4, 0.0), torch.ones(4))
    half = class_weights(classes, 4, 0.5)
    assert half[classes].mean().item() == pytest.approx(1, abs=1e-6)
    assert (half[1] / half[0]).item() == pytest.approx(5**0.5, rel=1e-2)


def test_ffhq_s_square_by_its_public_recipe() -> None:
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(20, 200, (4, 68, 2))
    matrices = ffhq_squares(torch.from_numpy(landmarks).float(), 64).double().numpy()
    for points, matrix in zip(landmarks, matrices, strict=True):
        left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        middle, mouth = (left + right) / 2, (points[48] + points[54]) / 2
        x = (right - left) - np.array([-(mouth - middle)[1], (mouth - middle)[0]])
        x = x / np.hypot(*x) * max(np.hypot(*(right - left)) * 2.0, np.hypot(*(mouth - middle)) * 1.8)
        y, c = np.array([-x[1], x[0]]), middle + 0.1 * (mouth - middle)
        corners = np.stack([c - x - y, c - x + y, c + x + y, c + x - y])
        found = corners @ matrix[:2, :2].T + matrix[:2, 2]
        assert np.abs(found - [[-0.5, -0.5], [-0.5, 63.5], [63.5, 63.5], [63.5, -0.5]]).max() < 1e-3


def test_frames_hold_the_classes_at_their_places(faces: Faces) -> None:
    """Of frames without variation: the class of a frame's pixel is that of the picture where `Frame` says it is."""
    still = FrameVariation(turn=0, scale=0, shift=0, boxes=0, cropped=0, covered=0, colour=0)
    images, classes = faces.parsed(3, 64, None, LAPA, still, generator())
    picked = faces.material.random_pictures(3, generator())
    for i in range(3):
        frame = Frame.of_points(five_points(picked.landmarks)[i].double().numpy())
        row, column = np.mgrid[:64, :64]
        places = (np.stack([column.ravel(), row.ravel()], axis=1) + 0.5) * 8 - 0.5
        x, y = np.round(frame.to_picture(places)).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < 96) & (y < 96)
        labels = faces.labels[picked.subjects[i], picked.views[i]]
        expected = np.where(inside, LAPA.table()[labels[np.clip(y, 0, 95), np.clip(x, 0, 95)]], 0)
        assert (expected == classes[i].numpy().ravel()).mean() > 0.995
        assert (images[i].sum(dim=0).numpy().ravel()[~inside] < 1.5).all()
    assert len(np.unique(classes)) > 6


def test_variation_keeps_the_face_and_covers_count_as_background(faces: Faces) -> None:
    images, classes = faces.parsed(8, 64, 1, LAPA, FrameVariation(covered=1.0), generator(1))
    assert images.shape == (8, 3, 64, 64) and float(images.min()) >= 0 and float(images.max()) <= 1
    assert classes.dtype == torch.int64 and int(classes.max()) <= 10
    bare = faces.parsed(8, 64, 1, LAPA, FrameVariation(covered=0.0), generator(1))[1]
    assert (classes > 0).sum() < (bare > 0).sum()
    windows = material._windows(faces.material.random_pictures(8, generator()).landmarks, 96, 1.0, generator())
    points = faces.material.random_pictures(8, generator()).landmarks.round().long().clamp(0, 95)
    seen = windows[torch.arange(8)[:, None], 0, points[..., 1], points[..., 0]]
    assert seen.double().mean() > 0.98 and windows.mean() < 0.95


def test_a_slower_part_moves_by_its_factor(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.ModuleDict({"encoder": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    before = {name: value.clone() for name, value in net.state_dict().items()}

    def loss(rng: torch.Generator) -> dict[str, torch.Tensor]:
        return {"x": net["head"](net["encoder"](torch.ones(1, 2))).square().sum()}

    once = Schedule(1, learning_rate=0.01, weight_decay=0.0)
    fit(net, loss, once, tmp_path, slower={"encoder.": 0.25})
    moved = {name: (value - before[name]).abs().max().item() for name, value in net.state_dict().items()}
    assert moved["head.weight"] == pytest.approx(0.01, rel=1e-3)  # Adam's first step is the rate
    assert moved["encoder.weight"] == pytest.approx(0.0025, rel=1e-3)


TINY = HeadTraining(steps=2, pictures=2)


def test_a_whole_training_resumes_and_is_loaded(faces: Faces, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = paco.TrainingSettings(
        PICTURES, pretraining=Pretraining(steps=8, pictures=2), parsing=TINY, alignment=TINY
    )
    folder = paco.train(settings, root / "paco_fr", torch.device("cpu"))
    metadata = read_weights(folder / "parsing.safetensors")[1]
    assert metadata["answers"] == "lapa" and metadata["command"].endswith("method=paco_fr")
    changed = folder.rename(root / "first")
    again = paco.train(settings, root / "paco_fr", torch.device("cpu"))
    for name in ("parsing", "landmarks"):
        one, two = (read_weights(place / f"{name}.safetensors")[0] for place in (changed, again))
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
        assert (again / f"{name}.safetensors").stat().st_size < 8_000_000
    paths = {name: str(again / f"{name}.safetensors") for name in ("parsing", "landmarks")}
    adapter = PacoFr(**paths)
    adapter.load(torch.device("cpu"))
    assert [answer_of(net) for net in adapter.nets.values()] == ["lapa", "68 points"]
    image = np.asarray(faces.pictures.arrays["images"][0, 0][..., :3])
    view = View(image, box=np.array([20, 10, 80, 85]))
    (answer,) = adapter.predict([Sample("a", "a", (view,))])
    assert answer.failure is None and answer.landmarks_2d.shape == (68, 2) and answer.label_map.shape == (96, 96)
    encoder = "backbone.visual.conv1.weight"
    frozen = replace(settings, parsing=replace(TINY, encoder_rate=0.0))
    still = paco.train(frozen, root / "frozen", torch.device("cpu"))
    state = torch.load(root / "frozen/pretraining/restore/checkpoint.pt", weights_only=True)["net"]
    kept = read_weights(still / "parsing.safetensors")[0][encoder]
    assert torch.equal(kept, state["visual.conv1.weight"].half().float())
    assert not torch.equal(kept, one[encoder])


def test_the_baseline_begins_with_random_weights(faces: Faces, root: Path) -> None:
    heads = replace(TINY, encoder_rate=1.0)
    folder = scratch.train(scratch.TrainingSettings(PICTURES, heads, heads), root / "scratch", torch.device("cpu"))
    assert read_weights(folder / "landmarks.safetensors")[1]["method"] == "scratch"
