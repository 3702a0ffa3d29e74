"""Released weights of KaoLRM and OpenLRM: accepted for what they are good for, refused with a reason otherwise.

The files are made at the small size, which stands in for the released one.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from harness.errors import HarnessError
from harness.methods.kaolrm import checkpoints
from harness.methods.kaolrm.checkpoints import official_network, read_start, read_weights
from harness.methods.kaolrm.network import PAPER, KaoLRM, Sizes
from harness.methods.kaolrm.triplanes import TriplaneSizes
from harness.methods.networks.dinov2 import VisionSizes
from tests.network_reference import json_of, needs_reference

TINY = Sizes(
    encoder=VisionSizes(width=8, depth=1, heads=2, grid=4),
    triplane=TriplaneSizes(width=8, depth=1, heads=2, camera=4, low=2, channels=3),
    hidden=(16, 8, 8),
    gate=4,
    gaussian=4,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PAPER", TINY)
    checkpoints._expected.cache_clear()
    monkeypatch.setattr(checkpoints, "_paper", lambda _=0, __=False: KaoLRM(TINY))


@pytest.fixture(autouse=True)
def forget() -> object:
    yield
    checkpoints._expected.cache_clear()


def kaolrm() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(KaoLRM(TINY).state_dict()) | {"flame_model.v_template": torch.zeros(5, 3)}


def openlrm() -> dict[str, Tensor]:
    own = ("flame_decoder.", "flame_model.", "gaussian_decoder.")
    shared = {key: value for key, value in kaolrm().items() if not key.startswith(own)}
    return shared | {"synthesizer.decoder.net.0.weight": torch.zeros(4, 9)}


def written(folder: Path, tensors: dict[str, Tensor], config: object = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return folder


def refusal(path: Path, read: object = read_weights) -> str:
    with pytest.raises(HarnessError) as caught:
        read(path)  # type: ignore[operator]
    return str(caught.value)


def test_weights_arrive_unchanged_and_flame_stays_away(tmp_path: Path) -> None:
    folder = written(tmp_path / "mono", kaolrm())
    for path in (folder, folder / "model.safetensors"):
        net, report = official_network(path)
        assert not net.training and report.ignored == {"FLAME": 1} and report.path.name == "model.safetensors"
        for key, value in net.state_dict().items():
            assert torch.equal(value, kaolrm()[key]), key
    image = torch.rand(1, 3, 56, 56)
    assert net(image, torch.zeros(1, 16)).codes.shape.shape == (1, 100)


def test_openlrm_is_a_start_but_predicts_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path / "openlrm", openlrm())
    message = refusal(folder)
    assert "checkpoint of OpenLRM, not of KaoLRM" in message and "no FLAME head" in message
    assert "start of a training" in message
    state, report = read_start(folder)
    net = KaoLRM(TINY)
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and {key.partition(".")[0] for key in missing} == {"flame_decoder", "gaussian_decoder"}
    assert report.ignored == {"radiance field": 1} and "OpenLRM from" in str(report)


def test_kaolrm_is_a_start_too(tmp_path: Path) -> None:
    state, _ = read_start(written(tmp_path, kaolrm()))
    assert state.keys() == KaoLRM(TINY).state_dict().keys()


def test_wrong_contents_are_named(tmp_path: Path) -> None:
    tensors = kaolrm()
    key = "transformer.layers.0.norm1.mlp.1.bias"
    assert f"lacks {key}" in refusal(written(tmp_path, {k: v for k, v in tensors.items() if k != key}))
    assert "holds extra.weight, which" in refusal(written(tmp_path, tensors | {"extra.weight": torch.zeros(1)}))
    shape = refusal(written(tmp_path, tensors | {"pos_embed": torch.zeros(1, 12, 9)}))
    assert "pos_embed has shape (1, 12, 9), expected (1, 12, 8)" in shape
    assert f"{key} holds NaN" in refusal(written(tmp_path, tensors | {key: torch.full((16,), torch.nan)}))
    other = {"smirk_encoder.pose_encoder.x": torch.zeros(1)}
    assert "checkpoint of SMIRK, not of KaoLRM" in refusal(written(tmp_path, other))
    assert "is no checkpoint of KaoLRM" in refusal(written(tmp_path, {"a": torch.zeros(1)}))


def test_half_precision_and_wrappers_are_taken(tmp_path: Path) -> None:
    tensors = {f"_orig_mod.{key}": value.half() for key, value in kaolrm().items()}
    state, report = read_weights(written(tmp_path, tensors))
    assert {value.dtype for value in state.values()} == {torch.float32} and report.stripped == ("_orig_mod.",)
    assert report.cast == {"float16": len(state)}


def test_files_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    assert "there is no such checkpoint" in refusal(tmp_path)
    assert "there is no such checkpoint" in refusal(tmp_path / "none.safetensors")
    file = written(tmp_path, kaolrm()) / "model.safetensors"
    whole = file.read_bytes()
    for content in (b"", whole[:7], whole[:900], whole[:-1], b"<!DOCTYPE html>", b"\xff" * 99):
        file.write_bytes(content)
        assert "truncated, damaged or of another kind" in refusal(file)
    torch.save(kaolrm(), file)
    assert "cannot be read as a safetensors file" in refusal(file)


def test_config_of_another_size_is_refused(tmp_path: Path) -> None:
    good = {"transformer_heads": 12, "encoder_model_name": "dinov2_vitb14_reg", "encoder_freeze": False}
    for config in (good, {"config": good}):
        read_weights(written(tmp_path, kaolrm(), config))
    assert "transformer_heads is 16, expected 12" in refusal(
        written(tmp_path, kaolrm(), good | {"transformer_heads": 16})
    )
    assert "cannot be read as JSON" in refusal(written(tmp_path, kaolrm(), "{"))
    assert "expected a dictionary" in refusal(written(tmp_path, kaolrm(), "[1]"))


@needs_reference
def test_keys_are_told_apart_as_published() -> None:
    shapes = {key: tuple(value[0]) for key, value in json_of("kaolrm_base", "keys").items()}
    extra = json_of("kaolrm_base", "openlrm_keys")
    with torch.device("meta"):
        state = KaoLRM(PAPER).state_dict()
    shared = {key for key in state if not key.startswith(checkpoints.OWN)}
    assert len(shared) == extra["shared_keys"]
    flame = shapes.keys() - state.keys()
    assert {checkpoints.KAOLRM.kind(key) for key in flame} == {"FLAME"} and state.keys() <= shapes.keys()
    assert {checkpoints.OPENLRM.kind(key) for key in extra["openlrm_only"]} == {"radiance field"}
    expected = json_of("kaolrm_base", "meta")["config"]
    assert {key: expected[key] for key in checkpoints._CONFIG} == dict(checkpoints._CONFIG)
