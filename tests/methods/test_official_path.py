"""The whole way of the official files: container and FLAME from disk, through the adapter, to the published mesh."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import HarnessError
from harness.heads.build import build_head
from harness.methods.emoca.adapter import EmocaAdapter
from harness.methods.mica.adapter import MicaAdapter
from harness.methods.regression.adapter import RegressorAdapter
from harness.methods.regression.decoding import METRES
from harness.methods.smirk.adapter import SmirkAdapter
from harness.samples import Sample, View
from tests.heads.flame_files import write_all
from tests.network_reference import container, inputs, needs_reference, rules

pytestmark = [needs_reference, pytest.mark.slow]
NEAR_M = 1e-6
"""Metres; what upstream's own single precision is worth."""


@pytest.fixture(scope="module")
def flame(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("flame")
        write_all(folder)
        yield folder


def loaded(cls: type[RegressorAdapter], name: str, flame: Path, folder: Path) -> RegressorAdapter:
    file = folder / f"{name}.tar"
    torch.save(container(name), file)
    adapter = cls(checkpoint=str(file), head="flame", head_path=str(flame))
    adapter.load(torch.device("cpu"))
    return adapter


def compare(name: str, stages: dict[str, np.ndarray]) -> None:
    for stage, (worst, limit) in rules().compare(name, stages).items():
        assert worst <= max(limit, 1e-5), f"{stage}: {worst} of its rms, expected at most {limit}"


def test_mica_gives_the_published_vertices_in_metres(flame: Path, tmp_path: Path) -> None:
    adapter = loaded(MicaAdapter, "mica", flame, tmp_path)
    with torch.inference_mode():
        shaped = adapter.decoder(adapter.net(inputs("mica")["arcface_image"]))
    vertices, landmarks = (x.numpy() / METRES for x in (shaped.vertices, shaped.fixed_landmarks))
    expected = np.load(Path(rules().__file__).parent / "mica" / "outputs.npz")
    assert np.abs(vertices - expected["vertices"].reshape(vertices.shape)).max() < NEAR_M
    assert np.abs(landmarks - expected["landmarks68"].reshape(landmarks.shape)).max() < NEAR_M


def test_emoca_gives_the_published_vertices_and_both_contours(flame: Path, tmp_path: Path) -> None:
    adapter = loaded(EmocaAdapter, "emoca", flame, tmp_path)
    with torch.inference_mode():
        shaped = adapter.decoder(adapter.net(inputs("emoca")["image"]))
    found = {
        "vertices": shaped.vertices.numpy() / METRES,
        "landmarks2d": shaped.landmarks.numpy() / METRES,
        "landmarks3d": shaped.fixed_landmarks.numpy() / METRES,
    }
    expected = np.load(Path(rules().__file__).parent / "emoca" / "outputs.npz")
    for stage, value in found.items():
        stride = -(-value.size // expected[stage].size)
        assert np.abs(value.reshape(-1)[::stride] - expected[stage].reshape(-1)).max() < NEAR_M, stage


def test_smirk_answers_a_sample_in_metres(flame: Path, tmp_path: Path) -> None:
    adapter = loaded(SmirkAdapter, "smirk", flame, tmp_path)
    image = np.random.default_rng(0).integers(0, 255, (300, 260, 3), dtype=np.uint8)
    view = View(image=image, box=np.array([40.0, 60.0, 210.0, 250.0]))
    answer = adapter.predict([Sample(id="one", subject="s", views=(view,))])[0]
    assert answer.failure is None, answer.detail
    assert answer.vertices is not None and answer.vertices.shape == (5023, 3)
    assert {k: len(v) for k, v in answer.parameters.items()} == {
        "shape": 300, "expression": 50, "pose": 6, "camera": 3, "eyelids": 2
    }  # fmt: skip
    assert 0.05 < np.ptp(answer.vertices, axis=0).max() < 1.0


def test_official_weights_need_flame(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"method\.head=flame head\.path=PATH"):
        SmirkAdapter(checkpoint=str(tmp_path / "x.pt"))


def test_smirk_says_which_files_lids_are_in(flame: Path, tmp_path: Path) -> None:
    for lid in ("l_eyelid.npy", "r_eyelid.npy"):
        assert (flame / lid).exists()
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in flame.iterdir():
        if "eyelid" not in file.name:
            (bare / file.name).write_bytes(file.read_bytes())
    adapter = SmirkAdapter(size="paper", random_weights=True, head="flame", head_path=str(bare))
    with pytest.raises(HarnessError, match=r"l_eyelid\.npy"):
        adapter.load(torch.device("cpu"))


def test_the_head_is_built_once(flame: Path) -> None:
    assert build_head("flame", flame) is build_head("flame", str(flame))
