"""A Docker engine for the tests, and a small image to build on: no registry is needed.

A running engine is used. Where there is none, root starts one of its own in a folder that is gone afterwards. The base
image is Debian with Python and numpy, made by debootstrap once and kept in the cache.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from filelock import FileLock

from harness.data import cache_folder
from harness.isolation import engine
from harness.isolation.image import REPOSITORY

BASE = "face-recon-harness-tests/base:1"
SUITE = "bookworm"
PACKAGES = "python3-minimal,python3-numpy"
UNNEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
DRIVERS = ("overlay2", "vfs")  # vfs works on every file system, but copies the whole image for each container
START_S = 30.0


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """Address of an engine, set as DOCKER_HOST for the session; skips where there can be none."""
    with contextlib.ExitStack() as stack:
        place = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        if not answers(place):
            missing = [tool for tool in ("dockerd", "debootstrap") if shutil.which(tool) is None]
            if os.getuid() != 0 or missing:
                lacks = f"{' and '.join(missing)} is not installed" if missing else "only root can start one"
                pytest.skip(f"no Docker engine runs, and {lacks}")
            place = stack.enter_context(started_engine())
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = place
        stack.callback(_restore, before)
        yield place


@pytest.fixture(scope="session")
def docker_base(docker_host: str) -> Iterator[str]:
    """Name of an image with Python and numpy; afterwards it and what was built on it are removed."""
    client = engine.connect()
    archive = base_archive()
    client.api.import_image(str(archive), repository=BASE.partition(":")[0], tag=BASE.partition(":")[2])
    yield BASE
    for container in client.containers.list(all=True, filters={"label": engine.WORKER_LABEL}):
        container.remove(force=True)
    ours = (REPOSITORY + "/", BASE.partition(":")[0])
    images = [image for image in client.images.list() if any(tag.startswith(ours) for tag in image.tags)]
    for image in sorted(images, key=lambda image: BASE in image.tags):  # what it was built on comes last
        try:
            client.images.remove(image.id, force=True)
        except docker.errors.APIError as error:
            if error.status_code != 409:  # an interrupted build leaves an image without a name that stands on the base
                raise


def base_archive() -> Path:
    """The base image as a tar file, from the cache or made now (about a minute); skips where that is not possible."""
    folder = cache_folder() / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{SUITE}-{PACKAGES.replace(',', '-')}.tar"
    with FileLock(f"{archive}.lock"):
        if archive.exists():
            return archive
        if os.getuid() != 0 or shutil.which("debootstrap") is None:
            pytest.skip("the base image is made by debootstrap, as root")
        with tempfile.TemporaryDirectory(prefix="harness-base-") as scratch:
            root, unfinished = Path(scratch) / "root", archive.with_suffix(".tmp")
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"debootstrap failed: {made.stdout[-300:]}")
            for name in UNNEEDED:
                shutil.rmtree(root / name, ignore_errors=True)
            subprocess.run(["tar", "-C", str(root), "-cf", str(unfinished), "."], check=True)
            unfinished.replace(archive)
    return archive


@contextlib.contextmanager
def started_engine() -> Iterator[str]:
    """An engine of our own, without networks; skips with its last words where it does not start."""
    root = Path(tempfile.mkdtemp(prefix="harness-engine-", dir="/tmp"))  # a socket's path must be short
    last = ""
    try:
        for driver in DRIVERS:
            with (root / "log").open("wb") as log:
                process = subprocess.Popen(_command(root, driver), stdout=log, stderr=subprocess.STDOUT)
            place = f"unix://{root}/docker.sock"
            if _came_up(process, place):
                try:
                    yield place
                finally:
                    _stop(process)
                return
            _stop(process)
            last = (root / "log").read_text(errors="replace").strip().splitlines()[-1:]
        pytest.skip(f"an engine cannot run here: {last}")
    finally:
        _remove(root)


def answers(place: str) -> bool:
    """Whether an engine answers at an address."""
    try:
        client = docker.DockerClient(base_url=place, timeout=5)
        return bool(client.ping())
    except docker.errors.DockerException:
        return False


def _command(root: Path, driver: str) -> list[str]:
    places = [
        f"--data-root={root}/data",
        f"--exec-root={root}/exec",
        f"--pidfile={root}/pid",
        "-H",
        f"unix://{root}/docker.sock",
    ]
    return ["dockerd", "--iptables=false", "--bridge=none", f"--storage-driver={driver}", *places]


def _came_up(process: subprocess.Popen, place: str) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if answers(place):
            return True
        time.sleep(0.2)
    return False


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(root: Path) -> None:
    """Removes the engine's folder with whatever is still mounted below it."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounted if place.startswith(f"{root}/")), reverse=True):
        subprocess.run(["umount", "-l", place], capture_output=True)
    shutil.rmtree(root, ignore_errors=True)


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop("DOCKER_HOST", None)
    else:
        os.environ["DOCKER_HOST"] = before
