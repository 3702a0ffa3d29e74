"""A run's manifest as names and values for a reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.leaderboards.runs import Run


def run_facts(run: Run) -> dict[str, str]:
    """What was run on what, by which code, on which machine."""
    manifest, environment = run.manifest, run.manifest["environment"]
    method = manifest["method"]
    return {
        "Method": f"{method['name']} ({method['adapter']})",
        "Paper": manifest["paper"] or "none",
        "Options": _pairs(method["options"]) or "none",
        "Digests of the method": ", ".join(f"{Path(k).name} {v}" for k, v in manifest["method_digests"].items()),
        "Benchmark": f"{manifest['bench']}, {len(run.samples)} samples",
        "Data": f"{manifest['data']['kind']}, version {manifest['data']['version']} ({manifest['access']})",
        "Data folder": manifest.get("data_folder", "not published"),
        "Data digest": manifest["data_digest"],
        "Protocols": _pairs({name: entry["id"] for name, entry in manifest["protocols"].items()}),
        "Run identity": manifest["identity"],
        "Seed": str(manifest["seed"]),
        "Batch size": str(manifest["batch_size"]),
        "Time limit": f"{manifest['timeout_s']} s per call" if manifest["timeout_s"] else "none",
        "Geometry": manifest.get("geometry", "warp"),
        "Device": f"{manifest['device']}, {environment['accelerator'] or environment['cpu']}",
        "Machine": f"{environment['system']}, {environment['cores']} CPU cores",
        "Python": environment["python"],
        "Packages": _pairs({name: version for name, version in environment["packages"].items() if version}),
        "Harness commit": _commit(environment["git"]),
        "Started": manifest["started"],
        "Finished": run.date,
        "Published": run.publication or "no, on this machine only",
        "Run folder": str(run.folder.path),
        **({"Notes": ". ".join(run.summary["notes"])} if run.summary.get("notes") else {}),
    }


def _commit(git: dict[str, Any] | None) -> str:
    if git is None:
        return "not in a git repository"
    return f"{git['commit']}{' with local changes' if git['modified'] else ''}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
