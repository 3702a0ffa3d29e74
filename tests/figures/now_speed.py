"""NoW's seconds per scan beside its official program's: `python -m tests.figures.now_speed [rounds]`.

Scans and predictions have the sizes at which the official program was timed (one thread, CPU seconds, on some machine:
a plain copy of the recipe in numpy and libigl took up to twice as long there as on another of its kind, so the ratios
are worth no more than that). Prints the CPU seconds of `Protocol.score` (the least of the rounds), the ratio, and how
they compare with the bare closest-point queries that as many evaluations of all points need.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import trimesh

from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.protocols.now import Now, NowMetrical, NowTruth
from harness.samples import Prediction
from tests.protocols import now_reference as reference

CASE = "c00_shrunk_id"
# Cropped vertices, predicted vertices: the official program's CPU seconds, non-metrical and metrical.
OFFICIAL = {
    (10_000, 5_000): (0.71, 0.63),
    (10_000, 35_000): (1.46, 1.44),
    (41_000, 5_000): (2.17, 1.72),
    (41_000, 35_000): (3.04, 2.58),
    (117_000, 5_000): (4.58, 3.96),
    (117_000, 35_000): (5.69, 5.32),
}
OUTSIDE = 1.4  # scan vertices outside the crop for each inside


def scan_with(cropped: int) -> NowTruth:
    """The case's scan, refined and thinned out until so many vertices are in the crop."""
    truth, rng = reference.truth(CASE), np.random.default_rng(0)
    vertices, faces = truth.scan.vertices, truth.scan.faces
    while len(ids := NowTruth(Mesh(vertices, faces), truth.landmarks).crop()) < cropped:
        vertices, faces = trimesh.remesh.subdivide(vertices, faces)
    outside = np.setdiff1d(np.arange(len(vertices)), ids)
    kept = [rng.permutation(ids)[:cropped], rng.permutation(outside)[: int(OUTSIDE * cropped)]]
    return NowTruth(Mesh(vertices[np.sort(np.concatenate(kept))], [[0, 1, 2]]), truth.landmarks)


def prediction_with(vertices: int) -> Prediction:
    """The case's prediction, refined and clustered to about so many vertices."""
    base = reference.prediction(CASE)
    points, faces = np.asarray(base.vertices), np.asarray(base.faces)
    while len(points) < vertices:
        points, faces = trimesh.remesh.subdivide(points, faces)
    size = 0.1
    while True:
        places, cluster = np.unique(np.floor(points / size), axis=0, return_inverse=True)
        if len(places) <= vertices * 1.02:
            break
        size *= 1.02
    cluster = cluster.ravel()
    merged = np.stack([np.bincount(cluster, points[:, k]) for k in range(3)], 1) / np.bincount(cluster)[:, None]
    corners = cluster[faces]
    distinct = (corners != np.roll(corners, 1, axis=1)).all(axis=1)
    _, first = np.unique(np.sort(corners[distinct], axis=1), axis=0, return_index=True)
    return Prediction(merged, corners[distinct][np.sort(first)], base.landmarks)


def least_seconds(call: Callable[[], object], rounds: int) -> float:
    """CPU seconds of this process, the least of some rounds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def main(rounds: int) -> None:
    logging.disable(logging.WARNING)
    print("cropped vertices  faces    official    ours  ratio evaluations queries share")
    for (cropped, vertices), official in OFFICIAL.items():
        truth, prediction = scan_with(cropped), prediction_with(vertices)
        points = truth.scan.vertices[truth.crop()]
        for key, protocol, seconds in zip(("nm", "me"), (Now(), NowMetrical()), official, strict=True):
            score = protocol.score(prediction, truth)
            ours = least_seconds(partial(protocol.score, prediction, truth), rounds)
            surface = ClosestPoints(Mesh(score.aligned_vertices, prediction.faces))
            surface.query(points)
            evaluations = score.diagnostics["evaluations"]
            queries = evaluations * least_seconds(partial(surface.query, points), rounds)
            sizes = f"{cropped:7} {len(prediction.vertices):8} {len(prediction.faces):6} {key}"
            times = f"{seconds:8.2f} {ours:7.3f} {seconds / ours:6.1f} {evaluations:11.0f}"
            print(f"{sizes} {times} {queries:7.3f} {ours / queries:5.2f}")


def score_some(count: int) -> float:
    """Scores the same sample again and again; what a worker process does."""
    truth, prediction = scan_with(41_000), prediction_with(5_000)
    Now().score(prediction, truth)
    start = time.perf_counter()
    for _ in range(count):
        Now().score(prediction, truth)
    return time.perf_counter() - start


def scaling(count: int = 40) -> None:
    """How much faster two processes score than one, by wall clock: tells nothing on a busy machine."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        alone = pool.submit(score_some, count).result()
        together = max(pool.map(score_some, [count, count]))
    print(f"two processes: {2 * alone / together:.2f} times as fast as one")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    scaling()
