"""KaoLRM from a file of weights and FLAME to a prediction, at a tiny size that stands in for the released one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from harness.errors import HarnessError
from harness.methods.kaolrm import adapter as module
from harness.methods.kaolrm import checkpoints
from harness.methods.kaolrm.adapter import KaoLRMAdapter
from harness.methods.kaolrm.cameras import source_numbers
from harness.methods.kaolrm.network import KaoLRM
from harness.methods.kaolrm.pictures import network_picture
from harness.samples import Prediction, Sample, View
from tests import kaolrm_reference
from tests.methods.kaolrm.test_kaolrm_checkpoints import TINY
from tests.network_reference import needs_reference

RNG = np.random.default_rng(0)
MASK = np.hypot(*(np.mgrid[:90, :70] - np.array([45, 35])[:, None, None])) < 30
VIEW = View(RNG.integers(0, 256, (90, 70, 3), dtype=np.uint8), mask=MASK)
OTHER = View(RNG.integers(0, 256, (80, 80, 3), dtype=np.uint8), mask=np.pad(np.ones((60, 60), bool), 10))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (module, checkpoints):
        monkeypatch.setattr(place, "PAPER", TINY)
    checkpoints._expected.cache_clear()
    monkeypatch.setattr(checkpoints, "_paper", lambda _=0, __=False: KaoLRM(TINY))
    monkeypatch.setattr(module, "build_head", lambda name, path: kaolrm_reference.flame())


@pytest.fixture
def released(tmp_path: Path) -> KaoLRMAdapter:
    torch.manual_seed(3)
    save_file(dict(KaoLRM(TINY).state_dict()), tmp_path / "model.safetensors")
    checkpoints._expected.cache_clear()
    adapter = KaoLRMAdapter(checkpoint=str(tmp_path), head="flame", head_path="flame", focal=0.75)
    adapter.load(torch.device("cpu"))
    return adapter


def answer(adapter: KaoLRMAdapter, *views: View) -> Prediction:
    (prediction,) = adapter.predict([Sample("one", "s", views)])
    return prediction


@needs_reference
def test_a_sample_becomes_a_head_in_metres_on_its_picture(released: KaoLRMAdapter) -> None:
    found = answer(released, VIEW)
    assert found.failure is None and found.vertices is not None and found.vertices.shape == (5023, 3)
    assert 0.05 < np.ptp(found.vertices, axis=0).max() < 1.0 and found.neutral_vertices is not None
    sizes = {"shape": 100, "expression": 50, "pose": 6, "scale": 1, "translation": 3}
    assert {k: len(v) for k, v in found.parameters.items()} == sizes
    assert [path.name for path in released.files()] == ["model.safetensors", "flame"]
    # by hand: the network's frame, then u = W/2 + f W X / (2 - Z) from the picture's edge, then the padded view
    crop = network_picture(VIEW, 224)
    image = torch.from_numpy(crop.pixels).permute(2, 0, 1)[None]
    codes = released.net(image, source_numbers()).codes
    x, y, z = (codes.scale.numpy() * found.landmarks + codes.translation.numpy()).T
    pixels = np.stack([112 + 0.75 * 224 * x / (2 - z), 112 - 0.75 * 224 * y / (2 - z)], axis=1) - 0.5
    expected = pixels * 89 / 223 - [10, 0]
    assert np.abs(found.landmarks_2d - expected).max() < 1e-4
    homogeneous = found.landmarks @ found.projection[:, :3].T + found.projection[:, 3]
    assert np.abs(homogeneous[:, :2] / homogeneous[:, 2:] - expected).max() < 1e-4


@needs_reference
def test_a_long_lens_changes_the_place_and_not_the_head(released: KaoLRMAdapter) -> None:
    near = answer(released, VIEW)
    released.focal = 20.0
    far = answer(released, VIEW)
    assert np.array_equal(near.vertices, far.vertices) and not np.allclose(near.landmarks_2d, far.landmarks_2d)
    released.net.flame_decoder.decoder[-1].bias.data[-1] += 0.3  # depth, which a long lens does not see
    assert np.allclose(answer(released, VIEW).landmarks_2d, far.landmarks_2d)


@needs_reference
def test_several_views_share_the_identity(released: KaoLRMAdapter) -> None:
    one, other, both = answer(released, VIEW), answer(released, OTHER), answer(released, VIEW, OTHER)
    mean = (one.parameters["shape"] + other.parameters["shape"]) / 2
    assert np.abs(both.parameters["shape"] - mean).max() < 1e-6
    assert np.abs(both.parameters["expression"] - one.parameters["expression"]).max() < 1e-6


@needs_reference
def test_bad_views_fail_with_a_reason(released: KaoLRMAdapter, tmp_path: Path) -> None:
    Image.fromarray(VIEW.read_image()).save(tmp_path / "photo.png")
    assert answer(released, View(tmp_path / "photo.png")).failure == "no_face"  # none to cut the head out around
    released.matting = "none"
    assert answer(released, View(tmp_path / "photo.png")).failure == "bad_input"
    assert "neither transparency nor a mask" in answer(released, View(VIEW.image)).detail
    assert answer(released, View(VIEW.image, mask=np.zeros_like(MASK))).failure == "no_face"
    assert answer(released, View(tmp_path / "none.png", mask=MASK)).failure == "bad_input"
    torch.nn.init.constant_(released.net.upsampler.bias, float("nan"))
    assert answer(released, VIEW).failure == "non_finite"


def test_without_weights_it_runs_on_any_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "PAPER", TINY)
    adapter = KaoLRMAdapter(size="paper", random_weights=True)
    adapter.load(torch.device("cpu"))
    found = answer(adapter, VIEW)
    assert found.failure is None and len(found.parameters["shape"]) == len(adapter.decoder.head.shape_names)
    assert adapter.files() == []


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"method\.checkpoint=PATH"):
        KaoLRMAdapter(size="paper")
    with pytest.raises(HarnessError, match="speak of FLAME"):
        KaoLRMAdapter(checkpoint=str(tmp_path), head="procedural")
    with pytest.raises(HarnessError, match="focal=0"):
        KaoLRMAdapter(random_weights=True, focal=0)
