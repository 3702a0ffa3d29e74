"""A bench whose scans are balls, and runs that exist in memory only."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from harness import MethodAdapter, Prediction, Sample, View
from harness.benchmark import Access, DataKind, Dataset
from harness.geometry.mesh import Mesh
from harness.leaderboards.runs import Run
from harness.protocols.scores import Score
from harness.run_folder import RunFolder
from tests.toys import ToyProtocol

BALL = trimesh.creation.icosphere(subdivisions=2, radius=80.0)
SCAN = Mesh(np.asarray(BALL.vertices), np.asarray(BALL.faces))
FRONT = np.flatnonzero(SCAN.vertices[:, 2] > 0)


@dataclass(frozen=True)
class BallTruth:
    scan: Mesh


class BallDataset(Dataset):
    name = "ball"
    access = Access.OPEN
    ask_at = "nowhere"
    mirror_version = "ball-1"
    version = "1"

    def __init__(self, data: str, data_root: str):
        self.folder, self.kind = Path(data_root) / "ball", DataKind.REAL

    @staticmethod
    def write_mirror(folder, progress):
        raise AssertionError("a page must never write a mirror")

    def samples(self) -> Sequence[Sample]:
        picture = np.full((30, 20, 3), 128, dtype=np.uint8)
        return [Sample(f"ball_{n}", f"ball{n}", (View(picture),) * n, {"views": n}) for n in (1, 3)]

    def truth(self, sample: Sample) -> BallTruth:
        return BallTruth(SCAN)

    def files(self) -> Sequence[Path]:
        return [self.folder / "ball.txt"]


class BallProtocol(ToyProtocol):
    """The distance of the front half from a ball of another radius: the same everywhere."""

    def score(self, prediction, truth):
        distance = abs(np.linalg.norm(prediction.vertices[0]) - 80.0)
        distances = np.full(len(FRONT), distance, dtype=np.float32)
        return Score(
            values={"face": float(distance)},
            per_point={"face": (FRONT.astype(np.int32), distances)},
            aligned_vertices=prediction.vertices.astype(np.float32) + 1000,
            warnings=("a ball is no face",),
        )


class LargerBall(MethodAdapter):
    unit = "mm"
    paper = "Sphere et al. <b>1900</b>"

    def load(self, device):
        pass

    def predict(self, samples):
        return [Prediction(SCAN.vertices * 1.05, SCAN.faces) for _ in samples]


class SmallerBall(LargerBall):
    paper = ""

    def predict(self, samples):
        return [Prediction(SCAN.vertices * (0.9 if len(s.views) > 1 else 0.99), SCAN.faces) for s in samples]


def memory_run(
    method="ours",
    value=1.0,
    bench="toy",
    kind="real",
    version="1",
    protocol="toy_distance",
    views=(1, 3),
    date="2026-01-01T00:00:00+00:00",
    samples=("a", "b"),
    data_digest="d",
    evaluated=None,
    **changes,
) -> Run:
    """A run with one region and the same value for each of `views`."""
    fields = {"name": protocol, "official": False, "unit": "mm", "regions": ["face"], **changes}
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    protocol_id = hashlib.sha256(canonical.encode()).hexdigest()[:8]
    names = [f"{sample}_{view}" for sample in samples for view in views]
    identity = hashlib.sha256(repr((method, value, bench, kind, version, date, fields)).encode()).hexdigest()[:16]
    manifest = {
        "schema": 1,
        "identity": identity,
        "method": {"name": method, "adapter": "x:X", "options": {}},
        "bench": bench,
        "data": {"kind": kind, "version": version},
        "data_digest": data_digest,
        "samples": names,
        "protocols": {protocol: {"id": protocol_id, "canonical": canonical}},
        "device": "cpu",
        "environment": {"cpu": "a processor", "accelerator": None},
        "paper": "",
        "started": date,
    }
    rows = [
        {
            "protocol": protocol,
            "protocol_id": protocol_id,
            "unit": "mm",
            "column": "face",
            "views": view,
            "value": value,
            "value_dropping_failures": value if evaluated is None else value / 2,
            "evaluated": len(samples) if evaluated is None else evaluated,
            "expected": len(samples),
            "std_subjects": 0.5,
        }
        for view in views
    ]
    summary = {
        "identity": identity,
        "method": method,
        "bench": bench,
        "data": kind,
        "dataset_version": version,
        "meaning": {protocol_id: f"what {protocol} measures"},
        "rows": rows,
    }
    key = f"{bench}-{kind}/{method}-{identity[:8]}"
    return Run(key, RunFolder(Path("nowhere") / key), manifest, summary, date)
