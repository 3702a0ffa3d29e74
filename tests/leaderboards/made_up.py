"""Made-up published entries, as many as asked for: subjects that differ, methods that differ, noise."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from harness.files import digest
from harness.publishing.entries import entry_text

STAMP = "2026-01-{:02d}T00:00:00+00:00"
COLUMNS = ("median", "mean")
CHALLENGES = ("neutral", "expressions", "occlusions", "selfie")
PER_SUBJECT = 20
FAMILIES = ("regressor", "vertex descent", "baseline", "optimiser")


def make_entries(root: Path, methods: int, benches: int, samples: int, seed: int = 0) -> None:
    """Writes `methods` x `benches` entries, each over the same samples of 20 per subject.

    Every benchmark has one protocol with two columns and four conditions, and a row over all conditions.
    """
    for bench in range(benches):
        name = f"bench_{bench:02d}"
        kind = "real" if bench % 2 else "mirror"
        protocol = protocol_of(name)
        frame = _Samples(samples, protocol, np.random.default_rng([seed, bench]))
        for method in range(methods):
            random = np.random.default_rng([seed, bench, method])
            values = frame.values(1 + 0.005 * method, random)
            folder = root / name / ("test" if kind == "real" else "test-mirror")
            write_entry(folder, name, kind, protocol, method, frame, values)


def protocol_of(name: str) -> dict[str, str]:
    """Its name, id and canonical form."""
    fields = {
        **{"name": name, "official": True, "unit": "mm", "regions": ["face"], "track": "own"},
        **{"aggregation": "sample>subject>set", "version": 1},
    }
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return {"name": name, "id": hashlib.sha256(canonical.encode()).hexdigest()[:8], "canonical": canonical}


class _Samples:
    """What all methods of a benchmark have in common."""

    def __init__(self, count: int, protocol: dict[str, str], random: np.random.Generator) -> None:
        self.names = [f"sample_{n:05d}" for n in range(count)]
        self.digest = digest(" ".join(self.names))
        self.subject = np.arange(count) // PER_SUBJECT
        self.challenge = np.arange(count) % len(CHALLENGES)
        self.levels = random.lognormal(0, 0.25, self.subject[-1] + 1)
        self.table = self._table(protocol)

    def _table(self, protocol: dict[str, str]) -> pyarrow.Table:
        count = len(self.names) * len(COLUMNS)

        def words(codes: np.ndarray, names: list[str]) -> pyarrow.Array:
            return pyarrow.array(np.asarray(names, dtype=object)[np.repeat(codes, len(COLUMNS))])

        same = {"protocol": protocol["name"], "protocol_id": protocol["id"], "detail": "", "warnings": ""}
        columns = {
            "sample": words(np.arange(len(self.names)), self.names),
            "subject": words(self.subject, [f"subject_{n:03d}" for n in range(len(self.levels))]),
            "challenge": words(self.challenge, list(CHALLENGES)),
            "column": pyarrow.array(list(COLUMNS) * len(self.names)),
            "fallback": pyarrow.nulls(count, pyarrow.float64()),
            "failure": pyarrow.nulls(count, pyarrow.string()),
            **{name: pyarrow.array([value] * count) for name, value in same.items()},
        }
        return pyarrow.table(columns)

    def values(self, level: float, random: np.random.Generator) -> np.ndarray:
        """(samples, columns)."""
        own = self.levels * random.lognormal(0, 0.05, len(self.levels))
        noise = random.lognormal(0, 0.15, (len(self.names), len(COLUMNS)))
        return level * own[self.subject][:, None] * noise * np.array([1.0, 1.25])

    def rows(self, protocol: dict[str, str], values: np.ndarray) -> list[dict[str, object]]:
        """Of a summary."""
        chosen = {"all": np.ones(len(values), bool)}
        chosen |= {name: self.challenge == k for k, name in enumerate(CHALLENGES)}
        return [
            self._row(protocol, challenge, column, values[:, c], which)
            for challenge, which in chosen.items()
            for c, column in enumerate(COLUMNS)
        ]

    def _row(
        self, protocol: dict[str, str], challenge: str, column: str, values: np.ndarray, which: np.ndarray
    ) -> dict[str, object]:
        sums = np.bincount(self.subject[which], values[which], len(self.levels))
        counts = np.bincount(self.subject[which], minlength=len(self.levels))
        means = sums[counts > 0] / counts[counts > 0]
        number = int(which.sum())
        return {
            **{"protocol": protocol["name"], "protocol_id": protocol["id"], "unit": "mm", "column": column},
            **{"challenge": challenge, "value": float(means.mean()), "value_dropping_failures": float(means.mean())},
            **{"evaluated": number, "expected": number},
            "std_subjects": float(means.std(ddof=1)) if len(means) > 1 else None,
        }


def write_entry(
    folder: Path, bench: str, kind: str, protocol: dict[str, str], method: int, frame: _Samples, values: np.ndarray
) -> None:
    """One `entry.json` with its `scores.parquet`."""
    name, data_digest = f"method_{method:03d}", digest(f"data of {bench}")
    identity = digest(f"{bench} {name} {values.sum()!r}")
    path = folder / f"{name}-{identity[:8]}"
    path.mkdir(parents=True)
    packages = {f"package-{n}": f"{n}.0" for n in range(9)}
    environment = {
        **{"python": "3.11", "packages": packages, "git": None, "system": "Linux", "cores": 2},
        **{"cpu": f"processor {method % 3}", "accelerator": None},
    }
    manifest = {
        **{"schema": 1, "identity": identity, "bench": bench, "data": {"kind": kind, "version": "1"}},
        **{"data_digest": data_digest, "method_digests": {}, "packages": packages},
        "method": {"name": name, "adapter": f"x:{name}", "options": {"size": "mini", "track": "own"}},
        **{"access": "open", "device": "cpu", "seed": 0, "batch_size": 1, "timeout_s": None},
        **{"family": FAMILIES[method % len(FAMILIES)], "paper": f"Author {method} et al., A method, 2026"},
        "protocols": {protocol["name"]: {"id": protocol["id"], "canonical": protocol["canonical"]}},
        **{
            "config": {"bench": {"split": "test"}},
            "environment": environment,
            "started": STAMP.format(method % 28 + 1),
        },
    }
    summary = {
        **{"identity": identity, "method": name, "bench": bench, "data": kind, "dataset_version": "1"},
        **{"data_digest": data_digest, "samples_digest": frame.digest},
        **{"meaning": {protocol["id"]: f"{bench} in words. " * 30}, "rows": frame.rows(protocol, values)},
    }
    pyarrow.parquet.write_table(
        frame.table.append_column("value", pyarrow.array(values.ravel())), path / "scores.parquet"
    )
    content = (path / "scores.parquet").read_bytes()
    files = {"scores.parquet": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    entry = {
        **{"schema": 1, "manifest": manifest, "summary": summary, "finished": manifest["started"]},
        **{
            "published": "2026-02-01",
            "licence": "CC0-1.0",
            "note": "",
            "custom_protocols": [protocol["id"]],
            "files": files,
        },
    }
    (path / "entry.json").write_bytes(entry_text(entry))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes made-up published entries.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--methods", type=int, default=200)
    parser.add_argument("--benches", type=int, default=20)
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args()
    make_entries(options.root, options.methods, options.benches, options.samples)
