"""Python environments of methods: built once under the cache from a requirements.txt, found again by their hash."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.data import cache_folder
from harness.errors import HarnessError
from harness.files import digest, read_json, write_json
from harness.isolation.wire import shown

log = logging.getLogger(__name__)

OLDEST = (3, 7)
WORKER_NEEDS = ("numpy",)
RECORD = "environment.json"
ASK = (
    "import json, platform, sys; print(json.dumps([platform.python_version(), sys.base_prefix, sys.prefix,"
    " getattr(sys, '_base_executable', None) or sys.executable]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter of this machine.

    Attributes:
        path: that starts it.
        version: "3.9.18".
        prefix: folder that holds its libraries.
    """

    path: str
    version: str
    prefix: str

    @classmethod
    def of(cls, name: str | None) -> Interpreter:
        """Asks the interpreter of that name or path; this one where there is none.

        Raises:
            HarnessError: there is none, it does not start, or is older than workers need.
        """
        found = shutil.which(Path(name).expanduser()) if name else sys.executable
        remedy = "name another with isolation.python=PATH"
        if found is None:
            raise HarnessError(f"isolation.python={name}: no such program; install it, or {remedy}")
        try:
            asked = subprocess.run([found, "-I", "-c", ASK], capture_output=True, text=True, timeout=60)
            version, base, _, path = json.loads(asked.stdout)
        except (OSError, subprocess.SubprocessError, ValueError, TypeError):
            raise HarnessError(f"isolation.python={name}: {found} is no Python that starts; {remedy}") from None
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise HarnessError(f"isolation.python={name}: Python {version}, workers need {oldest} or newer; {remedy}")
        return cls(path, version, base)


@dataclass(frozen=True)
class Environment:
    """A finished environment.

    Attributes:
        folder: that holds it.
        key: the hash it is found by.
        prefix: folder of its interpreter's libraries.
        contents: `python`, `packages` (name -> version) as plain values.
    """

    folder: Path
    key: str
    prefix: str
    contents: dict[str, Any]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


def environment(requirements: str, python: str | None) -> Environment:
    """The environment that holds what `requirements` (the text of a requirements.txt) and workers need.

    It is built where it is not there yet: under another name, and renamed when it is complete.

    Raises:
        HarnessError: the interpreter is not usable, or pip could not install the requirements; with pip's last words.
    """
    interpreter = Interpreter.of(python)
    key = digest("\n".join([requirements, *WORKER_NEEDS, *interpreter.__dict__.values(), platform.platform()]))
    place = cache_folder() / "environments"
    folder = place / key
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / f"{key}.lock"):
            if not (folder / RECORD).exists():
                _build(folder, requirements, interpreter)
    except OSError as error:
        raise HarnessError(
            f"{place}: the environment could not be written ({error.strerror or error}). Make room, or set "
            "HARNESS_CACHE to another folder"
        ) from error
    return Environment(folder, key, interpreter.prefix, read_json(folder / RECORD))


def _build(folder: Path, requirements: str, interpreter: Interpreter) -> None:
    for left_over in folder.parent.glob(f".{folder.name}-*"):  # of a build that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    log.info("Building the method's environment with Python %s: %s", interpreter.version, folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _run([interpreter.path, "-I", "-m", "venv", str(temporary)], "it could not be made")
        python = str(temporary / "bin" / "python")
        wanted = temporary / "requirements.txt"
        wanted.write_text(requirements)
        install = [python, "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        _run([*install, "-r", str(wanted), *WORKER_NEEDS], "pip could not install the requirements")
        listed = _run([python, "-I", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"], "pip list")
        packages = {entry["name"]: entry["version"] for entry in json.loads(listed)}
        _point_to(temporary, folder)
        write_json(temporary / RECORD, {"python": interpreter.version, "packages": dict(sorted(packages.items()))})
        if folder.exists():
            shutil.rmtree(folder)  # incomplete: of a version that wrote in place
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(command: list[str], what: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-12:]
        raise HarnessError(
            f"the method's environment: {what} ({' '.join(command[:5])} ...):\n"
            + "\n".join(f"  {shown(line, 500)}" for line in said)
            + "\nMend its requirements.txt, or name another interpreter with isolation.python=PATH; a package that "
            "cannot be reached needs the network or pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS)"
        )
    return done.stdout


def _point_to(built: Path, final: Path) -> None:
    """Makes the environment's scripts name the place where it will stand."""
    for script in (built / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        if str(built).encode() in content and b"\0" not in content:
            script.write_bytes(content.replace(str(built).encode(), str(final).encode()))
