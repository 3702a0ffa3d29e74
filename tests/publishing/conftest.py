"""Runs to publish, made once: toys of a protocol of their own, and made-up scores under the harness's protocols."""

import json
import shutil
import zlib
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from harness.benchmark import Benchmark
from harness.method import MethodSpec
from harness.protocols.faceverse import FaceVerseChamfer
from harness.protocols.h3ds import H3ds
from harness.protocols.now import Now
from harness.protocols.now_strict import NowStrict
from harness.protocols.scores import Score
from harness.publishing import publish
from harness.publishing.entries import bundle_of, entry_text, sha256_of
from harness.runner import RunOptions, run
from harness.samples import Sample, View
from tests.leaderboards.conftest import in_this_process, make_runs
from tests.toys import IMAGE, ToyDataset


class Scans(ToyDataset):
    """Four people with two scans each, and three views of each scan from two sides."""

    name = "scans"

    def samples(self) -> Sequence[Sample]:
        return [
            Sample(
                f"s{i:04d}", f"person{i // 6}", (View(IMAGE),), {"challenge": ("front", "side")[i % 2]}, f"scan{i // 3}"
            )
            for i in range(24)
        ]


def made_up(protocol, prediction, truth):
    """A score that depends on prediction and sample, with distances that belong to it where there is one column."""
    seed = zlib.crc32(f"{protocol.id} {prediction.vertices[1, 0]:.6f} {truth}".encode())
    rng = np.random.default_rng(seed)
    distances = {region: rng.gamma(2, 0.7, 50).astype(np.float32) for region in protocol.regions}
    first = next(iter(distances.values())).astype(np.float64)
    values = {"median": float(np.median(first)), "mean": float(first.mean()), "std": float(first.std())}
    ids = np.arange(50, dtype=np.int32)
    return Score(
        {column: values.get(column, float(rng.random())) for column in protocol.columns},
        per_point={region: (ids, values) for region, values in distances.items()},
    )


@pytest.fixture(scope="session")
def toys(tmp_path_factory):
    """Method -> folder of its run, under protocols that are not the harness's own: treat as read-only."""
    with in_this_process():
        root = make_runs(tmp_path_factory)
    return {json.loads(path.read_text())["method"]: path.parent for path in root.rglob("summary.json")}


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """Method -> folder of its run, under the harness's own protocols with made-up scores: treat as read-only."""
    root = tmp_path_factory.mktemp("known")
    protocols = (Now(), NowStrict(), H3ds(), FaceVerseChamfer())
    with in_this_process(), pytest.MonkeyPatch.context() as patch:
        for protocol in protocols:
            patch.setattr(type(protocol), "score", made_up)
        bench = Benchmark("scans", Scans(), protocols)
        folders = {n: run(bench, MethodSpec(n, f"tests.toys:{n}"), {}, RunOptions(root=root)) for n in ("Good", "Bad")}
    return {name: folder.path for name, folder in folders.items()}


@pytest.fixture
def copy(known, tmp_path):
    """A run that a test may damage."""
    return shutil.copytree(known["Bad"], tmp_path / "run")


@pytest.fixture(scope="session")
def _published(known, tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    return {name: publish(path, root).relative_to(root) for name, path in known.items()}, root


@pytest.fixture
def results(_published, tmp_path):
    """A folder of two entries that a test may damage: `root`, and the entries by method."""
    places, root = _published
    shutil.copytree(root, tmp_path / "results")
    return SimpleNamespace(root=tmp_path / "results", **{n: tmp_path / "results" / p for n, p in places.items()})


def edit_json(path, change):
    """Changes a JSON file's value in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def forge(entry, change=lambda value: None):
    """What someone would do who knows how hashes are made: changes values and puts all hashes right."""
    path = entry / "entry.json"
    value = json.loads(path.read_text())
    for name, record in value["files"].items():
        if (entry / name).is_file() and (entry / name).stat().st_size < 1 << 26:
            record["bytes"], record["sha256"] = (entry / name).stat().st_size, sha256_of(entry / name)
    change(value)
    try:
        path.write_bytes(entry_text(value))
    except ValueError:  # NaN: json cannot be told to write it and to refuse it
        text = json.dumps({**value, "bundle": "0" * 64}, indent=1, sort_keys=True).encode() + b"\n"
        path.write_bytes(text.replace(b"0" * 64, bundle_of(text).encode(), 1))
    assert json.loads(path.read_text())["bundle"] == bundle_of(path.read_bytes())
