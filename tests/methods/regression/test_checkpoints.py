"""Official checkpoints: accepted as published, refused with a reason otherwise."""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor

from harness.errors import HarnessError
from harness.methods.regression.checkpoints import best_checkpoint, network_of, read_checkpoint
from harness.methods.regression.layouts import LAYOUTS, expected
from tests import network_reference as reference

METHODS = sorted(LAYOUTS)
PUBLISHED = {
    "deca": {"E_flame": 25_848_108, "E_detail": 25_737_408, "D_detail": 1_773_345},
    "emoca": {
        "E_flame": 25_848_108,
        "E_detail": 25_737_408,
        "D_detail": 1_773_345,
        "E_expression": 25_657_458,
    },
    "smirk": {"smirk_encoder": 3_599_921},
    "teaser": {"teaser_encoder": 4_586_889},
    "mica": {"arcface": 65_156_160, "regressor": 515_100},
}
BESIDE = {  # of which the file holds more than the network
    "deca": {"opt": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []}, "global_step": 7},
    "emoca": {"pytorch-lightning_version": "1.4.9", "epoch": 3, "callbacks": {}, "optimizer_states": []},
    "mica": {"opt": {"state": {}}, "epoch": 1},
}


def _hollow(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Zeros of any shape that take no place on disk."""
    return torch.zeros((), dtype=dtype).expand(shape)


def flat(method: str) -> dict[str, Tensor]:
    """A file's tensors by the official keys."""
    layout, state = LAYOUTS[method], expected(method, 0, True)
    tensors = {layout.official(key): _hollow(value.shape, value.dtype) for key, value in state.items()}
    more = {"emoca": ("deca.flame.v_template", "deca.render.faces", "deca.perceptual_loss.featlayer.mean")}
    more["mica"] = ("flameModel.generator.v_template",)
    return tensors | {key: torch.zeros(3) for key in more.get(method, ())}


def nested(method: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The same in the levels of the official file."""
    if method == "emoca":
        return BESIDE["emoca"] | {"state_dict": tensors}
    if method in ("smirk", "teaser"):
        return dict(tensors)
    content: dict[str, Any] = {}
    for key, value in tensors.items():
        level, _, rest = key.partition(".")
        content.setdefault(level, {})[rest] = value
    return content | BESIDE[method]


def write(path: Path, method: str, change: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda t: t) -> Path:
    torch.save(nested(method, change(flat(method))), path)
    return path


def refusal(path: Path, method: str, **options: Any) -> str:
    with pytest.raises(HarnessError) as caught:
        read_checkpoint(path, method, **options)
    message = str(caught.value)
    assert str(path) in message
    return message


@pytest.mark.parametrize("method", METHODS)
def test_official_layout_is_accepted(method: str, tmp_path: Path) -> None:
    state, report = read_checkpoint(write(tmp_path / "file.pt", method), method)
    assert report.parameters == report.specified == PUBLISHED[method]
    assert report.entries == len(state) and not report.cast and not report.stripped and not report.leftovers
    text = str(report)
    assert all(f"{count:,} parameters, as specified" in text for count in PUBLISHED[method].values())
    if method in BESIDE:
        assert f"{len(BESIDE[method])} state of the training" in text


@reference.needs_reference
@pytest.mark.parametrize("method", ["deca", "emoca", "smirk", "mica"])
def test_keys_are_the_published_ones(method: str) -> None:
    keys = reference.rules().flatten(reference.json_of(method, "keys"))
    separator = str.maketrans("/", ".")
    official = {key.removeprefix("state_dict/").translate(separator): tuple(v[0]) for key, v in keys.items()}
    layout = LAYOUTS[method]
    ours = {key: tuple(value.shape) for key, value in flat(method).items() if layout.kind(key) is None}
    assert ours.items() <= official.items()
    assert {key for key in official.keys() - ours.keys() if layout.kind(key) is None} == set()


def test_weights_arrive_unchanged_in_the_network(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = flat("smirk")
    key = "smirk_encoder.pose_encoder.pose_cam_layers.0.weight"
    tensors[key] = torch.randn(6, 576, generator=generator)
    torch.save(tensors, tmp_path / "file.pt")
    state, _ = read_checkpoint(tmp_path / "file.pt", "smirk")
    (tmp_path / "file.pt").unlink()
    net = network_of(state, "smirk")
    assert not net.training and torch.equal(net.state_dict()[key], tensors[key])
    assert not any(p.is_meta for p in (*net.parameters(), *net.buffers()))


def test_generator_comes_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "file.pt", "teaser")
    without, report = read_checkpoint(path, "teaser")
    assert not any("generator" in key for key in without) and "generator (for training only)" in str(report)
    state, report = read_checkpoint(path, "teaser", generator=True)
    assert report.parameters["teaser_generator"] == 85_224_355 and len(state) > len(without)
    encoders = write(tmp_path / "encoders.pt", "teaser", lambda t: {k: v for k, v in t.items() if "generator" not in k})
    assert read_checkpoint(encoders, "teaser")[0].keys() == without.keys()
    assert "lacks teaser_generator.encoder1.conv1.weight" in refusal(encoders, "teaser", generator=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_cast_and_reported(dtype: torch.dtype, tmp_path: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()}

    state, report = read_checkpoint(write(tmp_path / "file.pt", "smirk", change), "smirk")
    assert {v.dtype for v in state.values()} == {torch.float32, torch.int64}
    name = str(dtype).removeprefix("torch.")
    floats = sum(v.is_floating_point() for v in state.values())
    assert report.cast == {name: floats} and f"cast to float32: {floats} {name}" in str(report)


@pytest.mark.parametrize("method", METHODS)
def test_wrappers_are_taken_off(method: str, tmp_path: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"module.{k.replace('.', '._orig_mod.', 1)}": v for k, v in tensors.items()}

    path = tmp_path / "file.pt"
    torch.save({"state_dict": change(flat(method))}, path)
    state, report = read_checkpoint(path, method)
    assert report.stripped == ("_orig_mod.", "module.") and "prefixes removed: _orig_mod., module." in str(report)
    assert state.keys() == expected(method, 0, False).keys()


def test_a_key_with_and_without_wrapper_is_refused(tmp_path: Path) -> None:
    first = "E_flame.encoder.conv1.weight"
    path = write(tmp_path / "file.pt", "deca", lambda t: t | {f"module.{first}": t[first]})
    assert f"holds {first} twice" in refusal(path, "deca")


@pytest.mark.parametrize("method", METHODS)
def test_another_methods_checkpoint_is_recognised(method: str, tmp_path: Path) -> None:
    path = write(tmp_path / "file.pt", method)
    for other in METHODS:
        if other != method:
            message = refusal(path, other)
            assert f"is a checkpoint of {LAYOUTS[method].title}, not of {LAYOUTS[other].title}" in message
            assert LAYOUTS[other].file in message


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_prefix_is_named(method: str, tmp_path: Path) -> None:
    torch.save({f"net.{key}": value for key, value in flat(method).items()}, tmp_path / "file.pt")
    assert "its keys begin with 'net.'" in refusal(tmp_path / "file.pt", method)


def test_another_version_is_named_by_key_and_shapes(tmp_path: Path) -> None:
    key = "smirk_encoder.shape_encoder.shape_layers.0.weight"
    path = write(tmp_path / "file.pt", "smirk", lambda t: t | {key: torch.zeros(100, 960)})
    message = refusal(path, "smirk")
    assert f"{key} has shape (100, 960), expected (300, 960)" in message and "another version" in message


def test_missing_and_unexpected_keys_are_listed(tmp_path: Path) -> None:
    gone = [f"arcface.layer3.{i}.conv1.weight" for i in range(7)]

    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {k: v for k, v in tensors.items() if k not in gone} | {"arcface.head.weight": torch.zeros(2)}

    message = refusal(write(tmp_path / "file.pt", "mica", change), "mica")
    assert f"lacks {', '.join(gone[:5])} and 2 more" in message
    assert "holds arcface.head.weight, which the official file does not" in message


def test_values_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    key = "E_detail.layers.2.bias"
    for value, reason in (
        (torch.full((128,), torch.nan), "NaN or infinity"),
        (torch.zeros(128, dtype=torch.int8), "is of type int8"),
        (torch.zeros(128).to_sparse(), "is of type sparse_coo"),
        ("text", "holds a str, expected a tensor"),
        (np.zeros(128), "holds a .*, expected a tensor"),
    ):
        path = write(tmp_path / "file.pt", "deca", lambda t, value=value: t | {key: value})  # type: ignore[misc]
        with pytest.raises(HarnessError, match=rf"{key} .*{reason}"):
            read_checkpoint(path, "deca")


@pytest.mark.parametrize(("rows", "jaw"), [(50, False), (53, True), (56, True)])
def test_emocas_file_decides_how_much_its_encoder_gives(rows: int, jaw: bool, tmp_path: Path) -> None:
    last = "deca.E_expression.layers.2."
    size = {f"{last}weight": torch.zeros(rows, 1024), f"{last}bias": torch.zeros(rows)}
    state, report = read_checkpoint(write(tmp_path / "a.ckpt", "emoca", lambda t: t | size), "emoca")
    assert state["E_expression.layers.2.bias"].shape == (rows,)
    assert report.parameters["E_expression"] == report.specified["E_expression"] == 25_606_208 + 1025 * rows
    assert network_of(state, "emoca").sizes.own_jaw == jaw  # type: ignore[union-attr]


def test_emoca_with_a_strange_number_of_outputs_is_refused(tmp_path: Path) -> None:
    key = "deca.E_expression.layers.2.weight"
    path = write(tmp_path / "a.ckpt", "emoca", lambda t: t | {key: torch.zeros(51, 1024)})
    assert f"{key} has shape (51, 1024)" in refusal(path, "emoca")


def test_emocas_folder_gives_the_detail_stage_with_the_smallest_loss(tmp_path: Path) -> None:
    names = ["deca-epoch=01-val_loss/loss=12.5.ckpt", "deca-epoch=02-val_loss/loss=3.25.ckpt", "last.ckpt"]
    for stage in ("coarse", "detail"):
        for name in (*names, "deca-epoch=00-val_loss/loss=0.1.ckpt") if stage == "coarse" else names:
            file = tmp_path / stage / "checkpoints" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    best = tmp_path / "detail" / "checkpoints" / names[1]
    assert best_checkpoint(tmp_path) == best and best_checkpoint(best) == best
    write(best, "emoca")
    assert str(best) in str(read_checkpoint(tmp_path, "emoca")[1])


def test_a_folder_without_a_choice_is_refused(tmp_path: Path) -> None:
    assert "found none" in refusal(tmp_path, "emoca")
    (tmp_path / "a.ckpt").touch()
    assert best_checkpoint(tmp_path) == tmp_path / "a.ckpt"
    (tmp_path / "b.ckpt").touch()
    assert "2 of them, none with a loss in its name" in refusal(tmp_path, "emoca")
    assert "is a folder" in refusal(tmp_path, "deca")


class _Command:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["opt", "E_flame"])
def test_a_pickle_that_names_anything_else_is_refused_and_not_run(place: str, zipped: bool, tmp_path: Path) -> None:
    content = nested("deca", flat("deca")) | {place: _Command(tmp_path / "run")}
    torch.save(content, tmp_path / "file.tar", _use_new_zipfile_serialization=zipped)
    message = refusal(tmp_path / "file.tar", "deca")
    assert f"asks for {os.name}.system" in message or "asks for posix.system" in message
    assert not (tmp_path / "run").exists()


class CfgNode(dict):
    """As yacs pickles one: a dictionary of its own type, with attributes."""

    def __init__(self) -> None:
        super().__init__(depth=CfgNode.child() if type(self) is CfgNode else 1)
        self.__dict__["frozen"] = True

    @staticmethod
    def child() -> dict[str, int]:
        return {"layers": 50}


@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_programs_leave_is_skipped(zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yacs = ModuleType("yacs.config")
    yacs.CfgNode = CfgNode  # type: ignore[attr-defined]
    path = tmp_path / "a.ckpt"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yacs", ModuleType("yacs"))
        patch.setitem(sys.modules, "yacs.config", yacs)
        patch.setattr(CfgNode, "__module__", "yacs.config")
        left = {
            "hyper_parameters": OmegaConf.create({"lr": 1e-4, "names": ["a", "b"]}),
            "callbacks": {"best": np.float64(2.5), "where": Path("x"), "options": argparse.Namespace(a=1)},
            "validator": CfgNode(),
        }
        torch.save(nested("emoca", flat("emoca")) | left, path, _use_new_zipfile_serialization=zipped)
    state, report = read_checkpoint(path, "emoca")
    assert len(state) == report.entries and report.parameters == report.specified
    assert {"yacs.config.CfgNode", "omegaconf.dictconfig.DictConfig", "argparse.Namespace"} <= set(report.leftovers)
    assert "not made, only skipped: " in str(report)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "file.tar"
    torch.save(nested("deca", flat("deca")), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for kept in (0, 1, 60, int(0.3 * len(whole)), int(0.9 * len(whole)), len(whole) - 1):
        path.write_bytes(whole[:kept])
        assert "truncated, damaged or of another kind" in refusal(path, "deca")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4), zipped=st.booleans())
def test_damage_ends_in_a_message(places: list[tuple[float, int]], zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    content = {"smirk_encoder.a.weight": torch.zeros(3, 4), "opt": {"lr": 1e-4, "when": Path("x")}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    damaged = bytearray(path.read_bytes())
    for place, value in places:
        damaged[int(place * (len(damaged) - 1))] = value
    path.write_bytes(damaged)
    with pytest.raises(HarnessError, match="file.pt: "):
        read_checkpoint(path, "smirk")


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    assert "there is no such checkpoint" in refusal(tmp_path / "none.tar", "deca")
    (tmp_path / "text.tar").write_text("<!DOCTYPE html>")
    assert "of another kind" in refusal(tmp_path / "text.tar", "deca")
    torch.save([1, 2], tmp_path / "list.pt")
    assert "holds a list, expected a dictionary" in refusal(tmp_path / "list.pt", "smirk")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    assert "is no checkpoint of SMIRK: it holds no tensor at all" in refusal(tmp_path / "empty.pt", "smirk")
    torch.save({"a.weight": torch.zeros(1)}, tmp_path / "other.pt")
    assert "is no checkpoint of SMIRK: it holds a.weight" in refusal(tmp_path / "other.pt", "smirk")
    save_file({"a": torch.zeros(1)}, tmp_path / "mini.safetensors")
    assert "is a safetensors file" in refusal(tmp_path / "mini.safetensors", "smirk")
    with zipfile.ZipFile(tmp_path / "EMOCA.zip", "w") as archive:
        archive.writestr("EMOCA/cfg.yaml", "")
    assert "Unpack it and name what is inside" in refusal(tmp_path / "EMOCA.zip", "emoca")
    with tarfile.open(tmp_path / "real.tar", "w") as tar:
        tar.add(tmp_path / "text.tar")
    assert "is a tar archive" in refusal(tmp_path / "real.tar", "deca")
