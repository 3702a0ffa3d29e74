"""A method in Docker answers as in this process, from an image that is built once; what is in the way is named."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import HarnessError, Sample, View
from harness.datasets.h3ds import H3ds
from harness.isolation import calls, docker, engine, image
from harness.isolation.options import IsolationOptions
from harness.isolation.remote import RemoteWorker
from harness.method import MethodSpec
from harness.run_folder import RunFolder
from harness.samples import Camera

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SMALL = IsolationOptions(kind="docker", memory_mb=512, pids=64, file_mb=32)


@pytest.fixture
def method_folder(docker_base, tmp_path):
    """A method's folder with a Dockerfile, as an author has it."""
    return a_method(tmp_path, docker_base)


def a_method(folder, base):
    folder.chmod(0o755)  # the container's user is nobody
    (folder / "Dockerfile").write_text(f"FROM {base}\n")
    (folder / "plain_method.py").write_text((HERE / "plain_method.py").read_text())
    return folder


def samples(views=3):
    random = np.random.default_rng(5)
    camera = Camera(np.diag([500.0, 500, 1]), np.eye(3), np.array([1.0, 2, 3]), 64, 48)
    pictures = [random.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(views)]
    return [Sample(f"s{i}", "p", tuple(View(p, camera=camera) for p in pictures[: i + 1])) for i in range(views)]


def same(mine, theirs):
    names = ("vertices", "faces", "landmarks")
    return all(getattr(mine, n).tobytes() == getattr(theirs, n).tobytes() for n in names) and (
        mine.parameters["bend"].tobytes() == theirs.parameters["bend"].tobytes()
    )


def test_answers_equal_those_of_this_process_bit_by_bit(method_folder):
    (method_folder / "table.txt").write_text("0.375")
    (method_folder / "weights").mkdir()
    weights = method_folder / "weights" / "table.txt"
    weights.write_text("0.375")
    method = MethodSpec("plain", f"{method_folder}/plain_method.py:Plain", {"depth": 0.5, "table": str(weights)})
    adapter = method.build()
    calls.load(adapter, "cpu")
    here = calls.predict(adapter, samples(), seed=3)
    worker = RemoteWorker(method, "cpu", 3, 60, docker.DockerLauncher.of(method, SMALL, "cpu"), method_folder / "log")
    try:
        there = worker.predict(samples())
    finally:
        worker.close()
    assert [p.failure for p in there] == [None] * 3
    assert all(same(mine, theirs) for mine, theirs in zip(here, there, strict=True))
    assert len({p.vertices.tobytes() for p in there}) == 3


@pytest.mark.slow
def test_a_run_on_the_h3ds_mirror_equals_answers_of_this_process_bit_by_bit(method_folder, tmp_path):
    command = [
        *(sys.executable, "-m", "harness", "run", f"method={method_folder}/plain_method.py:Plain", "bench=h3ds"),
        *("data=mirror", "bench.views=1", "isolation=docker", "isolation.memory_mb=512", f"output={tmp_path}/run"),
        "bench.protocols=[{_target_: harness.protocols.h3ds.H3ds}]",  # its answers are compared, so one score is enough
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "MIRROR" in result.stdout
    adapter = MethodSpec("plain", f"{method_folder}/plain_method.py:Plain").build()
    calls.load(adapter, "cpu")
    asked, folder = H3ds("mirror", tmp_path, 1).samples(), RunFolder(tmp_path / "run")
    assert len(asked) >= 8
    for sample in asked:
        here = calls.predict(adapter, [sample], seed=0)[0]
        assert same(here, folder.prediction(sample.id))
    record = folder.manifest()["isolation"]
    assert record["kind"] == "docker"
    assert record["image"].startswith("sha256:")
    assert record["python"].startswith("3.")


def test_an_image_is_built_once_for_each_content_of_the_folder(method_folder, monkeypatch):
    client = engine.connect()
    first = image.image_of(client, method_folder)
    with monkeypatch.context() as patched:
        patched.setattr(image, "_build", None)  # a second build would fail
        assert image.image_of(client, method_folder) == first
    (method_folder / ".dockerignore").write_text("*.txt\n")
    before = image.context_digest(method_folder)
    (method_folder / "notes.txt").write_text("not part of the image")
    assert image.context_digest(method_folder) == before
    (method_folder / "Dockerfile").write_text((method_folder / "Dockerfile").read_text() + "ENV CHANGED=1\n")
    assert image.context_digest(method_folder) != before
    assert image.image_of(client, method_folder) != first


def test_a_build_that_fails_shows_its_last_lines(method_folder):
    with (method_folder / "Dockerfile").open("a") as file:
        file.write("RUN echo compiling the rasteriser; python3 -c 'import nothing_like_this'\n")
    with pytest.raises(HarnessError, match="(?s)Dockerfile: building the image failed.*No module named 'nothing_like"):
        image.image_of(engine.connect(), method_folder)


def test_an_image_without_python_is_refused_before_anything_runs(method_folder):
    with (method_folder / "Dockerfile").open("a") as file:
        file.write("RUN rm -r /usr/lib/python3/dist-packages/numpy\n")
    method = MethodSpec("plain", f"{method_folder}/plain_method.py:Plain")
    with pytest.raises(HarnessError, match=r"(?s)must have python3 \(3.7 or newer\) with numpy.*Error: .*numpy"):
        docker.DockerLauncher.of(method, SMALL, "cpu").record()


def test_what_is_in_the_way_is_named(docker_host, tmp_path, monkeypatch):
    with pytest.raises(HarnessError, match="has no Dockerfile; see docs/containers.md"):
        image.image_of(engine.connect(), tmp_path)
    with pytest.raises(HarnessError, match="no such image; `docker pull nowhere/nothing`"):
        image.named_image(engine.connect(), "nowhere/nothing")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(HarnessError, match=r"there is no engine at .*none.sock. Install Docker"):
        engine.connect()
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    with pytest.raises(HarnessError, match="reached over a network"):
        engine.connect()


def test_leftovers_of_a_killed_harness_are_removed_and_those_of_a_living_one_are_not(docker_base):
    client = engine.connect()

    def container(owner):
        labels = {engine.WORKER_LABEL: "1", engine.OWNER_LABEL: owner}
        made = client.containers.create(docker_base, ["sleep", "60"], labels=labels, network_mode="none")
        made.start()
        return made

    mine = engine.owner_mark()
    machine, number, started = mine.rsplit(":", 2)
    child = subprocess.Popen(["sleep", "0"])
    child.wait()
    living = [container(mine), container(f"elsewhere:{child.pid}:1")]
    dead = [container(f"{machine}:{child.pid}:1"), container(f"{machine}:{number}:{int(started) - 1}")]
    assert engine.remove_leftovers(client) >= 2
    left = {c.id for c in client.containers.list(all=True)}
    assert {c.id for c in living} <= left
    assert not {c.id for c in dead} & left
    for each in living:
        each.remove(force=True)
