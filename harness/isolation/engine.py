"""The Docker engine: reaching it, and removing what a killed run left in it.

Needs the package `docker` (extra `docker`), which is imported only where isolation=docker asks for it.
"""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

log = logging.getLogger(__name__)

WORKER_LABEL = "face-recon-harness.worker"
OWNER_LABEL = "face-recon-harness.owner"
INSTALL = "pip install 'face-recon-harness[docker]'"


def connect() -> docker.DockerClient:
    """A client of the engine that DOCKER_HOST names, or of the machine's own.

    Raises:
        HarnessError: the package or the engine is missing, not running, out of bounds or on another machine.
    """
    try:
        import docker
    except ImportError:
        raise HarnessError(f"isolation=docker: the package `docker` is not installed; {INSTALL}") from None
    place = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not place.startswith(("unix://", "http+unix://")):
        raise HarnessError(
            f"isolation=docker: DOCKER_HOST={place} is reached over a network; the worker answers through a socket "
            "file, so the engine must run on this machine (unix://...)"
        )
    try:
        client = docker.from_env()
        client.ping()
    except errors() as error:
        raise HarnessError(f"isolation=docker: {_trouble(place, error)}") from None
    return client


def errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What calls of the engine raise (its refusals, a connection that is gone), and `others`."""
    import docker

    return docker.errors.DockerException, OSError, *others


def _trouble(place: str, error: Exception) -> str:
    """Why the engine does not answer, and what to do."""
    path = Path(place.partition("://")[2])
    text = str(error)
    if "PermissionError" in text or "Permission denied" in text:
        return (
            f"this user may not use the engine at {path}. Ask to be made a member of the group `docker` (its members "
            "can become root), or run a rootless engine and set DOCKER_HOST"
        )
    if not path.exists():
        return f"there is no engine at {path}. Install Docker (docs.docker.com/engine/install), or set DOCKER_HOST"
    if "ConnectionRefused" in text or "Connection refused" in text:
        return f"no engine answers at {path}. Start it (`sudo systemctl start docker`), or set DOCKER_HOST"
    return f"the engine at {path} does not answer: {text}"


def owner_mark() -> str:
    """Names this process for good: machine, number, and when it started (numbers are used again)."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def remove_leftovers(client: docker.DockerClient) -> int:
    """Removes workers whose harness is gone (killed, or the machine went down); returns how many there were."""
    removed = 0
    for container in client.containers.list(all=True, filters={"label": WORKER_LABEL}, ignore_removed=True):
        if _abandoned(container):
            try:
                container.remove(force=True)
            except errors() as error:  # another run removes it at the same time
                log.debug("%s: not removed: %s", container.name, error)
                continue
            removed += 1
    if removed:
        log.info("Removed %d container%s that a killed run left", removed, "" if removed == 1 else "s")
    return removed


def _abandoned(container: Container) -> bool:
    host, _, rest = str(container.labels.get(OWNER_LABEL, "")).partition(":")
    number, _, started = rest.partition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    return _started(int(number)) != started


def _started(number: int) -> str:
    """When a process started, in ticks since the machine did; empty where there is no such process."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
