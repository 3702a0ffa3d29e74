"""The five regressors as a user meets them: shipped weights, odd pictures, odd options."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.errors import HarnessError
from harness.heads.procedural import procedural_head
from harness.methods.regression.adapter import RegressorAdapter
from harness.protocols.checks import check_plausible
from harness.samples import Prediction, Sample, View
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import Rendering, render
from harness.synthesis.subject import MIRROR_SEEDS, random_subject

NAMES = ("deca", "emoca", "smirk", "mica", "teaser")
WITH_CAMERA = ("deca", "emoca", "smirk", "teaser")


def adapter_of(name: str, **options: object) -> RegressorAdapter:
    cls = getattr(importlib.import_module(f"harness.methods.{name}.adapter"), f"{name.capitalize()}Adapter")
    adapter: RegressorAdapter = cls(**options)
    adapter.load(torch.device("cpu"))
    return adapter


@pytest.fixture(scope="module", params=NAMES)
def adapter(request: pytest.FixtureRequest) -> RegressorAdapter:
    return adapter_of(request.param)


@pytest.fixture(scope="module")
def picture() -> Rendering:
    subject = random_subject(MIRROR_SEEDS + 77, expression=False)
    camera = orbit_camera(12.0, 3.0, 900.0, 700.0, 240, subject.middle)
    return render(subject, camera, seed=5, antialias=False)


def view_of(picture: Rendering, image: np.ndarray | Path | None = None, shift: float = 0.0) -> View:
    landmarks = picture.landmarks + shift
    return View(image=picture.image if image is None else image, landmarks=landmarks)


def answer(adapter: RegressorAdapter, *views: View) -> Prediction:
    return adapter.predict([Sample("x", "s", views)])[0]


def test_a_face_becomes_a_head_of_plausible_size_in_metres(adapter: RegressorAdapter, picture: Rendering) -> None:
    found = answer(adapter, view_of(picture))
    assert found.failure is None and found.vertices is not None and found.neutral_vertices is not None
    assert check_plausible(found.in_millimetres("m")) is None
    assert found.vertices.shape == procedural_head().template.shape
    if adapter.name == "mica":
        np.testing.assert_allclose(found.vertices, found.neutral_vertices)
        assert found.projection is None and set(found.parameters) == {"shape"}
    else:
        assert not np.allclose(found.vertices, found.neutral_vertices)
        assert {"shape", "expression", "pose", "camera"} <= set(found.parameters)


def test_the_mesh_lies_on_the_face(adapter: RegressorAdapter, picture: Rendering) -> None:
    if adapter.name not in WITH_CAMERA:
        pytest.skip("it gives no camera")
    found = answer(adapter, view_of(picture))
    assert found.projection is not None and found.landmarks_2d is not None and found.landmarks is not None
    for prediction in (found, found.in_millimetres("m")):
        assert prediction.projection is not None and prediction.landmarks is not None
        pixels = prediction.landmarks @ prediction.projection[:2, :3].T + prediction.projection[:2, 3]
        np.testing.assert_allclose(pixels, found.landmarks_2d, atol=1e-6)
    face = np.ptp(picture.landmarks, axis=0).mean()
    error = np.linalg.norm(found.landmarks_2d - picture.landmarks, axis=1).mean()
    # A mean face in the middle of the box, facing the camera, is off by a seventh of the face here.
    assert error < 0.1 * face, f"{error / face:.3f} of the face"


def test_two_views_share_an_identity(adapter: RegressorAdapter, picture: Rendering) -> None:
    mirrored = View(image=picture.image[:, ::-1].copy(), landmarks=picture.landmarks * [-1, 1] + [239, 0])
    views = view_of(picture), mirrored
    one, other, both = answer(adapter, views[0]), answer(adapter, views[1]), answer(adapter, *views)
    mean = (one.parameters["shape"] + other.parameters["shape"]) / 2
    np.testing.assert_allclose(both.parameters["shape"], mean, atol=1e-5)
    for name in set(one.parameters) - {"shape"}:
        np.testing.assert_allclose(both.parameters[name], one.parameters[name], atol=1e-5)


def test_a_view_without_a_face_leaves_the_others(adapter: RegressorAdapter, picture: Rendering) -> None:
    outside = view_of(picture, shift=5000.0)
    alone = answer(adapter, outside)
    assert alone.failure == "bad_input" and "outside the image" in alone.detail
    found = answer(adapter, outside, view_of(picture))
    assert found.failure is None and "view 1" in found.detail and found.projection is None


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16"])
def test_pictures_of_other_kinds(tmp_path: Path, picture: Rendering, mode: str) -> None:
    file = tmp_path / "picture.png"
    grey = np.asarray(Image.fromarray(picture.image).convert("L"))
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(file)
    else:
        Image.fromarray(picture.image).convert(mode).save(file)
    deca = adapter_of("deca")
    expected = picture.image if mode == "RGBA" else np.repeat(grey[..., None], 3, axis=2)
    ours, theirs = answer(deca, view_of(picture, file)), answer(deca, view_of(picture, expected))
    assert ours.failure is None and theirs.vertices is not None
    np.testing.assert_allclose(ours.vertices, theirs.vertices, atol=1e-7)


@pytest.mark.parametrize("side", [20, 8000])
def test_tiny_and_huge_pictures(picture: Rendering, side: int) -> None:
    image = np.asarray(Image.fromarray(picture.image).resize((side, side)))
    view = View(image=image, landmarks=(picture.landmarks + 0.5) * side / 240 - 0.5)
    assert answer(adapter_of("emoca"), view).failure is None


def test_no_face_is_said(picture: Rendering) -> None:
    pytest.importorskip("dlib")
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    assert answer(adapter_of("deca", track="own"), View(image=noise)).failure == "no_face"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge"}, "expected mini or paper"),
        ({"size": "paper"}, r"method\.checkpoint=PATH"),
        ({"track": "mine"}, "track=mine"),
        ({"weights": "nowhere.safetensors"}, "harness train method=deca"),
        ({"head": "flam"}, "did you mean flame"),
        ({"checkpoint": "deca_model.tar"}, r"method\.head=flame head\.path=PATH"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        adapter_of("deca", **options)


def test_the_published_size_can_be_timed_without_weights(picture: Rendering) -> None:
    found = answer(adapter_of("deca", size="paper", random_weights=True), view_of(picture))
    assert found.failure in (None, "non_finite")
