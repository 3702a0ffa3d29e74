"""Hostile workers in containers: each attack is contained and named, and the next sample is answered."""

import os
import socket
import time
from pathlib import Path

import pytest

from harness import Sample, View
from harness.isolation import docker, engine
from harness.isolation.options import IsolationOptions
from harness.isolation.remote import RemoteWorker
from harness.method import MethodSpec
from tests.isolation import hostile_method
from tests.toys import IMAGE

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker"), pytest.mark.slow]
LIMITS = IsolationOptions(kind="docker", memory_mb=192, pids=48, file_mb=32, silence_s=4)
TIMEOUT_S = 8.0


@pytest.fixture(scope="module")
def target(docker_host, tmp_path_factory):
    """What there is on this machine that a container must not reach."""
    folder = tmp_path_factory.mktemp("others")
    folder.chmod(0o777)
    secret = folder / "secret.txt"
    secret.write_text("another user's")
    secret.chmod(0o666)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "port": server.getsockname()[1],
            "engine": docker_host.partition("://")[2],
            "folder": str(folder),
            "secrets": [str(secret), "/etc/shadow", f"/proc/{os.getpid()}/environ", str(Path.home() / ".bashrc")],
            "pid": os.getpid(),
        }


@pytest.fixture(scope="module")
def folder(docker_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    folder.chmod(0o755)
    (folder / "Dockerfile").write_text(f"FROM {docker_base}\n")
    (folder / "hostile_method.py").write_text(Path(hostile_method.__file__).read_text())
    return folder


@pytest.fixture(scope="module")
def worker(folder, target):
    method = MethodSpec("hostile", f"{folder}/hostile_method.py:Hostile", {"target": target})
    launcher = docker.DockerLauncher.of(method, LIMITS, "cpu")
    worker = RemoteWorker(method, "cpu", 0, TIMEOUT_S, launcher, folder / "log", silence_s=LIMITS.silence_s)
    yield worker
    worker.close()


def asked(worker, name):
    return worker.predict([Sample(name, "p", (View(IMAGE),))])[0]


def attacked(worker, name):
    """What became of the sample; the one after it must be answered."""
    start = time.monotonic()
    outcome = asked(worker, name)
    took = time.monotonic() - start
    assert asked(worker, "good").failure is None, "the run did not go on"
    assert took < TIMEOUT_S + 15
    return outcome


@pytest.mark.parametrize(
    ("attack", "reason", "words"),
    [
        ("exits", "crash", "ended with exit code 7"),
        ("crashes", "crash", "was killed by SIGSEGV"),
        ("sleeps", "timeout", "no answer within 8 s"),
        ("stops", "timeout", "gave no sign of life for 4 s"),
        ("prints", "crash", "wrote more than 64 MiB of output"),
        ("allocates", "out_of_memory", "used more than its 192 MiB of memory"),
        ("fills_tmp", "crash", "No space left on device"),
        ("forks", "timeout", ""),
    ],
)
def test_ends_silences_and_floods(worker, folder, attack, reason, words):
    outcome = attacked(worker, attack)
    assert (outcome.failure, words in outcome.detail) == (reason, True), outcome.detail
    assert (folder / "log").stat().st_size < 9 * 2**20


@pytest.mark.parametrize(
    "lie",
    [
        *("bad_magic", "truncated", "huge_header", "huge_body", "no_json", "pickled"),
        *("objects", "endless_shape", "beyond_the_body"),
    ],
)
def test_lies_on_the_wire(worker, lie):
    outcome = attacked(worker, lie)
    assert outcome.failure == "crash"
    assert "wire format" in outcome.detail or "exit code" in outcome.detail


@pytest.mark.parametrize("attack", ["connects", "writes", "reads", "gains"])
def test_nothing_outside_is_within_reach(worker, folder, target, attack):
    source = (folder / "hostile_method.py").read_bytes()
    outcome = attacked(worker, attack)
    assert outcome.failure is None, outcome.detail
    assert (folder / "hostile_method.py").read_bytes() == source
    assert docker.WORKER.read_bytes()[-1:] == b"\n"
    assert not (folder / "written").exists()
    assert [path.name for path in Path(target["folder"]).iterdir()] == ["secret.txt"]


def test_the_attacks_reach_their_targets_without_a_container(target):
    """The tests above can fail: run by the user who may, the same code gets hold of what it reaches for."""
    method = hostile_method.Hostile(target)
    assert any(str(target["port"]) in place for place in method.connects())
    assert any("secret.txt" in place for place in method.reads())


def test_nothing_is_left_of_them(worker, folder):
    asked(worker, "forks")
    mine = {"label": f"{engine.OWNER_LABEL}={engine.owner_mark()}"}
    assert engine.connect().containers.list(all=True, filters=mine) == []
