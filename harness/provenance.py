"""What ran on what: versions, git state, hardware."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.files import digest, digest_files

PACKAGES = (
    "face-recon-harness",
    "numpy",
    "scipy",
    "torch",
    "warp-lang",
    "trimesh",
    "hydra-core",
    "pillow",
    "pytorch3d",
)
CPU_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
GPU_IDENTITY = ("name", "memory_mib", "multiprocessors", "power_limit", "highest_sm_clock", "application_clock")
NVIDIA_SMI = {
    "driver": "driver_version",
    "power_limit": "power.limit",
    "highest_sm_clock": "clocks.max.sm",
    "application_clock": "clocks.applications.graphics",
}
NVIDIA_SMI_NOW = {"sm_clock": "clocks.sm", "memory_clock": "clocks.mem", "temperature": "temperature.gpu"}


def environment(device: str) -> dict[str, Any]:
    """Versions, git commit and hardware of this process, as plain JSON values."""
    return {
        "python": platform.python_version(),
        "packages": packages(),
        "git": git_state(Path(__file__).parent),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": cores(),
        "device": device,
        "accelerator": accelerator_name(device) if device.startswith("cuda") else None,
        "hardware": hardware_record(device),
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


def hardware(device: str) -> str:
    """A readable name with a digest of what on this machine decides how long a computation takes on `device`.

    Clocks and temperatures of the moment are no part of it, nor are versions of packages.
    """
    record = hardware_record(device)
    gpu = record["gpu"]
    name = f"{gpu['name']} with " if gpu else ""
    threads = "" if gpu else f", {record['threads']} thread{'' if record['threads'] == 1 else 's'}"
    stable = {key: record[key] for key in ("cpu", "cpu_details", "cores", "governor", "threads")}
    stable |= {key: gpu[key] for key in GPU_IDENTITY} if gpu else {}
    return f"{name}{record['cpu']}, {record['cores']} cores{threads} [{digest(json.dumps(stable, sort_keys=True))[:8]}]"


def hardware_record(device: str) -> dict[str, Any]:
    """Processor, threads, precision and, for a CUDA device, the GPU with its driver and limits; plain JSON values."""
    import torch

    return {
        "cpu": cpu_name(),
        "cpu_details": cpu_details(),
        "cores": cores(),
        "governor": _first_line(CPU_FREQUENCY / "scaling_governor"),
        "threads": torch.get_num_threads(),
        "gpu": gpu_record(device) if device.startswith("cuda") and torch.cuda.is_available() else None,
    }


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_details() -> dict[str, str]:
    """What tells processors of one name apart, where the system says it."""
    wanted = ("cpu family", "model", "stepping", "cache size")
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return {}
    found = {name.strip(): value.strip() for name, _, value in reversed(lines) if name.strip() in wanted}
    highest = _first_line(CPU_FREQUENCY / "cpuinfo_max_freq")
    return {**dict(sorted(found.items())), **({"highest kHz": highest} if highest else {})}


@cache
def gpu_record(device: str) -> dict[str, Any]:
    """A CUDA device as torch and `nvidia-smi` describe it; None for what neither says."""
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return {
        "name": properties.name,
        "memory_mib": properties.total_memory // 2**20,
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        **{name: _ask_nvidia_smi(device, query) for name, query in NVIDIA_SMI.items()},
    }


def clocks(device: str) -> dict[str, Any]:
    """How fast everything runs at this moment, and how busy the machine is."""
    gpu = device.startswith("cuda")
    return {
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "cpu_khz": _first_line(CPU_FREQUENCY / "scaling_cur_freq"),
        **{name: _ask_nvidia_smi(device, query) for name, query in (NVIDIA_SMI_NOW if gpu else {}).items()},
    }


def _ask_nvidia_smi(device: str, query: str) -> str | None:
    import torch

    try:
        place = str(torch.cuda.get_device_properties(torch.device(device)).uuid)
        command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "-i", f"GPU-{place}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError, AttributeError, RuntimeError, AssertionError):
        return None  # no nvidia-smi in a container, or a slice of a GPU, which it does not describe
    return None if answer.startswith("[") else answer


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text().strip().partition("\n")[0]
    except OSError:
        return None
