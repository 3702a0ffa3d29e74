"""One small environment for all tests of workers, and samples to ask them about."""

from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from harness import Camera, HarnessError, Sample, View
from harness.isolation import remote
from harness.isolation.options import IsolationOptions
from harness.isolation.remote import RemoteWorker
from harness.isolation.venv import VenvLauncher
from harness.method import MethodSpec
from tests.isolation.docker_engine import docker_base, docker_host  # noqa: F401

ADAPTERS = Path(__file__).with_name("adapters.py")


def samples(count=3, size=16):
    chance = np.random.default_rng(0)
    camera = Camera(np.diag([100.0, 100.0, 1.0]), np.eye(3), np.array([0.0, 0, 500]), size, size)
    made = []
    for number in range(count):
        image = chance.integers(0, 256, (size, size, 3)).astype(np.uint8)
        full = {"mask": image[..., 0] > 99, "camera": camera, "scene": np.eye(4), "landmarks": chance.random((68, 2))}
        first = View(image, box=[1, 2, 3, 4], **full) if number % 2 else View(image)
        views = (first, View(image[::-1]))
        made.append(Sample(f"s{number:04d}", f"p{number}", views, {"views": 2, "kind": "toy"}, group="g"))
    return made


def method(name, options=None):
    return MethodSpec(name.lower(), f"{ADAPTERS}:{name}", options or {}, isolation=IsolationOptions("venv"))


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """A cache that all test processes of this session share, with the environment built."""
    place = tmp_path_factory.getbasetemp().parent / "isolation-cache"
    place.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, FileLock(place / "lock"):
        patch.setenv("HARNESS_CACHE", str(place))
        try:
            VenvLauncher(method("Honest"), IsolationOptions("venv"), "cpu").record()
        except HarnessError as error:
            pytest.skip(f"no environment can be built here: {error}")
    return place


@pytest.fixture
def environments(shared_cache, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(shared_cache))
    return shared_cache


@pytest.fixture
def started(environments, tmp_path):
    """Makes workers that are ended after the test."""
    workers = []

    def start(spec, timeout_s=60.0, silence_s=60.0, **limits) -> RemoteWorker:
        launcher = VenvLauncher(spec, IsolationOptions("venv", **limits), "cpu")
        output = tmp_path / "worker.log"
        workers.append(RemoteWorker(spec, "cpu", 7, timeout_s, launcher, output, silence_s))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def small_flood(monkeypatch):
    monkeypatch.setattr(remote, "FLOOD", 4 * 2**20)
