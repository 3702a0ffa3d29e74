"""A method's Docker image: built once for each content of its folder."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from harness.data import cache_folder
from harness.errors import HarnessError
from harness.files import read_json, write_json
from harness.isolation import engine

if TYPE_CHECKING:
    import docker

log = logging.getLogger(__name__)

BUILD_SILENCE_S = 3600  # a step that compiles may say nothing for long
SHOWN_LINES = 20
REPOSITORY = "face-recon-harness"
INTERPRETER = "python3"
ASK = (
    "import json, platform, numpy; print(json.dumps({'python': platform.python_version(), 'numpy': numpy.__version__}))"
)


def image_of(client: docker.DockerClient, folder: Path) -> str:
    """The id of the image of `folder/Dockerfile`, built now where this content has none yet.

    Raises:
        HarnessError: there is no Dockerfile, or building it failed; with the last lines that the build printed.
    """
    if not (folder / "Dockerfile").is_file():
        raise HarnessError(
            f"isolation=docker: {folder} has no Dockerfile; see docs/containers.md, or name isolation.image"
        )
    tag = f"{REPOSITORY}/{_plain(folder.name)}:{context_digest(folder)}"
    found = _find(client, tag)
    if found is not None:
        return found
    locks = cache_folder() / "docker"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / "build.lock"):  # two runs at once would make two images
        found = _find(client, tag)
        return found if found is not None else _build(client, folder, tag)


def named_image(client: docker.DockerClient, name: str) -> str:
    """The id of an image that is there already. Raises HarnessError where it is not; nothing is downloaded."""
    found = _find(client, name)
    if found is None:
        raise HarnessError(f"isolation.image={name}: the engine has no such image; `docker pull {name}`, or build it")
    return found


def interpreter(client: docker.DockerClient, image_id: str) -> dict[str, str]:
    """Versions of the image's Python and numpy; asked once, then kept in the cache.

    Raises:
        HarnessError: the image has no Python with numpy, with what it said instead.
    """
    known = cache_folder() / "docker" / f"{_plain(image_id)}.json"
    if known.is_file():
        return dict(read_json(known))
    command = {"entrypoint": [INTERPRETER, "-I", "-c", ASK], "command": []}
    rights = {"network_mode": "none", "read_only": True, "cap_drop": ["ALL"], "user": "65534:65534", "mem_limit": "1g"}
    try:
        said = client.containers.run(image_id, remove=True, **command, **rights)
        versions = json.loads(said)
        found = {name: str(versions[name])[:40] for name in ("python", "numpy")}
    except engine.errors(ValueError, KeyError, TypeError) as error:
        said = getattr(error, "stderr", None)
        reason = (said.decode(errors="replace") if isinstance(said, bytes) else str(error)).strip()[-300:]
        raise HarnessError(
            f"isolation=docker: the image {image_id[:19]} must have {INTERPRETER} (3.7 or newer) with numpy, and it "
            f"cannot be asked which: {reason}"
        ) from None
    known.parent.mkdir(parents=True, exist_ok=True)
    write_json(known, found)
    return found


def context_digest(folder: Path) -> str:
    """Sixteen hexadecimal digits over what a build can see: names, contents, execute bits; honours .dockerignore."""
    from docker.utils import exclude_paths

    ignored = folder / ".dockerignore"
    lines = ignored.read_text().splitlines() if ignored.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    total = hashlib.sha256()
    for name in sorted(exclude_paths(str(folder), patterns)):
        path = folder / name
        if path.is_symlink():
            total.update(f"{name}\0link\0{path.readlink()}\n".encode())
        elif path.is_file():
            with path.open("rb") as file:
                content = hashlib.sha256()
                while block := file.read(2**20):
                    content.update(block)
            total.update(f"{name}\0{path.stat().st_mode & 0o111:o}\0{content.hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def _find(client: docker.DockerClient, name: str) -> str | None:
    import docker

    try:
        return str(client.images.get(name).id)
    except docker.errors.ImageNotFound:
        return None
    except engine.errors() as error:
        raise HarnessError(f"isolation=docker: the engine refuses the image {name}: {error}") from None


def _build(client: docker.DockerClient, folder: Path, tag: str) -> str:
    """Runs the build; its output goes to the debug log, its end into the error if it fails."""
    log.info("Building the image of %s once; this can take a while", folder / "Dockerfile")
    lines: deque[str] = deque(maxlen=SHOWN_LINES)
    try:
        steps = client.api.build(path=str(folder), tag=tag, rm=True, forcerm=True, decode=True, timeout=BUILD_SILENCE_S)
        for step in steps:
            lines.extend(_text(step).splitlines())
            if "error" in step:
                raise HarnessError(_failed(folder, str(step["error"]), lines))
    except engine.errors() as error:
        raise HarnessError(_failed(folder, str(error), lines)) from None
    found = _find(client, tag)
    if found is None:
        raise HarnessError(_failed(folder, "the engine reported no error, but there is no image", lines))
    return found


def _text(step: dict[str, Any]) -> str:
    text = str(step.get("stream") or step.get("status") or "")
    log.debug("%s", text.rstrip())
    return text


def _failed(folder: Path, error: str, lines: deque[str]) -> str:
    shown = "\n".join(f"    {line}" for line in lines if line.strip())
    return (
        f"{folder / 'Dockerfile'}: building the image failed: {error.strip()}\n  the last lines of its output:\n{shown}"
    )


def _plain(name: str) -> str:
    """A name that an image may have."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "method"
