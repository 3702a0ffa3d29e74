"""Made-up published entries, as many as asked for: subjects that differ, methods that differ, noise."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

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
        self.digest = hashlib.sha256(" ".join(self.names).encode()).hexdigest()[:16]
        self.subject = np.arange(count) // PER_SUBJECT
        self.challenge = np.arange(count) % len(CHALLENGES)
        self.levels = random.lognormal(0, 0.25, self.subject[-1] + 1)
        self.table = self._table(protocol)

    def _table(self, protocol: dict[str, str]) -> dict[str, pyarrow.Array]:
        count = len(self.names) * len(COLUMNS)

        def names(codes: np.ndarray, words: list[str]) -> pyarrow.Array:
            return pyarrow.DictionaryArray.from_arrays(np.repeat(codes, len(COLUMNS)).astype(np.int32), words)

        same = {"protocol": protocol["name"], "protocol_id": protocol["id"], "detail": "", "warnings": ""}
        return {
            "sample": names(np.arange(len(self.names)), self.names),
            "subject": names(self.subject, [f"subject_{n:03d}" for n in range(len(self.levels))]),
            "challenge": names(self.challenge, list(CHALLENGES)),
            "column": pyarrow.array(list(COLUMNS) * len(self.names)),
            "fallback": pyarrow.nulls(count, pyarrow.float64()),
            "failure": pyarrow.nulls(count, pyarrow.string()),
            **{k: pyarrow.DictionaryArray.from_arrays(np.zeros(count, np.int32), [v]) for k, v in same.items()},
        }

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
            **{"challenge": challenge, "value": means.mean(), "value_dropping_failures": means.mean()},
            **{"evaluated": number, "expected": number},
            "std_subjects": means.std(ddof=1) if len(means) > 1 else None,
        }


def write_entry(
    folder: Path, bench: str, kind: str, protocol: dict[str, str], method: int, frame: _Samples, values: np.ndarray
) -> None:
    """One `entry.json` with its `scores.parquet`."""
    name = f"method_{method:03d}"
    identity = hashlib.sha256(f"{bench} {name} {values.sum()!r}".encode()).hexdigest()[:16]
    path = folder / f"{name}-{identity[:8]}"
    path.mkdir(parents=True)
    data = {"kind": kind, "version": "1"}
    environment = {
        **{"python": "3.11", "packages": {}, "git": None, "system": "Linux", "cores": 2},
        **{"cpu": f"processor {method % 3}", "accelerator": None},
    }
    manifest = {
        **{"schema": 1, "identity": identity, "bench": bench, "data": data, "data_digest": f"data of {bench}"},
        "method": {"name": name, "adapter": f"x:{name}", "options": {"size": "mini", "track": "own"}},
        **{"method_digests": {}, "access": "open", "device": "cpu", "seed": 0, "batch_size": 1, "timeout_s": None},
        **{
            "family": FAMILIES[method % len(FAMILIES)],
            "paper": f"Author {method} et al., A method, 2026",
            "config": {},
        },
        "protocols": {protocol["name"]: {"id": protocol["id"], "canonical": protocol["canonical"]}},
        **{"environment": environment, "started": f"2026-01-{1 + method % 28:02d}T00:00:00+00:00"},
    }
    summary = {
        **{"identity": identity, "method": name, "bench": bench, "data": kind, "dataset_version": "1"},
        **{"data_digest": f"data of {bench}", "samples_digest": frame.digest},
        **{"meaning": {protocol["id"]: f"{bench} in words"}, "rows": frame.rows(protocol, values)},
    }
    entry = {
        **{"schema": 1, "manifest": manifest, "summary": summary, "published": "2026-02-01", "licence": "CC0-1.0"},
        **{"note": "", "files": {}, "bundle": ""},
    }
    (path / "entry.json").write_text(json.dumps(entry))
    table = pyarrow.table({**frame.table, "value": pyarrow.array(values.ravel())})
    pyarrow.parquet.write_table(table, path / "scores.parquet")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes made-up published entries.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--methods", type=int, default=200)
    parser.add_argument("--benches", type=int, default=20)
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args()
    make_entries(options.root, options.methods, options.benches, options.samples)
