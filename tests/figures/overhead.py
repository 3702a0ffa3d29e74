"""What the harness itself costs: `python -m tests.figures.overhead`.

Runs an adapter that returns one and the same face-sized mesh under a scorer that does nothing, over 100 and over
5,000 samples, each in a fresh process, and prints milliseconds per sample and the peak memory of both.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction
from harness.benchmark import Benchmark
from harness.method import MethodSpec
from harness.runner import RunOptions, run
from tests.toys import NoScore, ToyDataset

VERTICES = 5000


class OneMesh(MethodAdapter):
    """A mesh of the size of a face model, whatever the image."""

    unit = "mm"

    def load(self, device):
        chance = np.random.default_rng(0)
        self.vertices = 100 * chance.standard_normal((VERTICES, 3))
        self.faces = chance.integers(0, VERTICES, (2 * VERTICES, 3))

    def predict(self, samples):
        return [Prediction(self.vertices, self.faces, self.vertices[:68]) for _ in samples]


def measure(count: int) -> None:
    bench = Benchmark("toy", ToyDataset(count), (NoScore(),))
    method = MethodSpec("one_mesh", "tests.figures.overhead:OneMesh")
    with tempfile.TemporaryDirectory() as root:
        started = time.perf_counter()
        run(bench, method, {}, RunOptions(root=Path(root)))
        seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(count, seconds, memory)


def main() -> None:
    results = {}
    for count in (100, 5000):
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(count)], capture_output=True, text=True, check=True
        )
        _, seconds, memory = map(float, done.stdout.split())
        results[count] = seconds, memory
        print(f"{count} samples: {seconds:.2f} s, {1000 * seconds / count:.2f} ms each, peak memory {memory:.0f} MB")
    (few, little), (many, much) = results[100], results[5000]
    print(f"per further sample: {1000 * (many - few) / 4900:.2f} ms; memory growth: {much - little:.1f} MB")


if __name__ == "__main__":
    measure(int(sys.argv[1])) if len(sys.argv) > 1 else main()
