"""What ran on what: versions, git state, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.files import digest, digest_files

PACKAGES = ("face-recon-harness", "numpy", "scipy", "torch", "warp-lang", "trimesh", "hydra-core", "pillow")


def environment(device: str) -> dict[str, Any]:
    """Versions, git commit and hardware of this process, as plain JSON values."""
    return {
        "python": platform.python_version(),
        "packages": packages(),
        "git": git_state(Path(__file__).parent),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": device,
        "accelerator": accelerator_name(device) if device.startswith("cuda") else None,
    }


def code_digest() -> str:
    """A digest of the harness's own code: methods, data sets and protocols included."""
    import harness.datasets
    import harness.methods

    total = []
    for package in (harness, harness.methods, harness.datasets):
        folder = Path(str(package.__file__)).parent
        total.append(digest_files(folder.rglob("*.py"), folder))
    return digest(" ".join(total))


def packages() -> dict[str, str | None]:
    """Versions of the packages that numbers depend on."""
    return {name: version(name) for name in PACKAGES}


def version(package: str) -> str | None:
    """The installed version of a package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit of the repository that holds `folder` and whether it has changes; None outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if git("ls-files", "runner.py") != "runner.py":
            return None  # installed below some other repository
        return {"commit": git("rev-parse", "HEAD"), "modified": bool(git("status", "--porcelain", "."))}
    except (OSError, subprocess.SubprocessError):
        return None


def cpu_name() -> str:
    """The processor's model name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def accelerator_name(device: str) -> str | None:
    """The CUDA device's name, None where there is none."""
    import torch

    return torch.cuda.get_device_name(torch.device(device)) if torch.cuda.is_available() else None
