"""H3DS's seconds per scan beside its official program's: `python -m tests.figures.h3ds_speed [rounds]`.

A scan and a prediction are brought to the sizes at which the official program was timed (one thread; reading the scan's
OBJ file included, as here). Prints CPU seconds, the least of the rounds, of each region alone and of both together.
The official times are of another day and perhaps another machine: the same plain copy of the official recipe was timed
beside both, and the last column is the factor after division by how much faster that copy runs here.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from harness.geometry.alignment import fit_similarity
from harness.geometry.mesh import Mesh, read_mesh, write_mesh
from harness.protocols.h3ds import H3ds, H3dsTruth, predicted_landmarks
from harness.samples import Prediction
from tests.figures.now_speed import least_seconds
from tests.protocols import reference
from tests.protocols.plain_h3ds import plain_score

Array = NDArray[Any]

CASE = "c00_shrunk_id"
SPHERE_MM = 95.0
REGIONS = {"face": "face_sphere", "head": "full head"}
OFFICIAL, PLAIN = "H3DS (trimesh 3.4.7)", "H3DS re-implementation (scipy cKDTree, 1 thread, no file reading)"


def official_seconds() -> dict[tuple[str, str, int, int], tuple[int, float]]:
    """(program, region, scan's and predicted vertices) -> the region's vertices and CPU seconds."""
    with (reference.FOLDER / "timing_official.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["benchmark"] in (OFFICIAL, PLAIN)]
    return {
        (row["benchmark"], row["variant"], int(row["scan_vertices"]), int(row["pred_vertices"])): (
            int(row["cropped_vertices"]),
            float(row["cpu_s_median"]),
        )
        for row in rows
    }


def clusters(points: Array, count: int) -> Array:
    """(N,) which of at most `count` cells of a grid each point lies in."""
    low, high = 1e-4 * np.ptp(points), np.ptp(points)
    for _ in range(40):
        size = np.sqrt(low * high)
        few = len(np.unique(np.floor(points / size), axis=0)) <= count
        low, high = (low, size) if few else (size, high)
    return np.unique(np.floor(points / high), axis=0, return_inverse=True)[1].ravel()


def merged(points: Array, faces: Array, cluster: Array) -> Mesh:
    """One vertex per cluster, at its mean."""
    means = np.stack([np.bincount(cluster, column) for column in points.T], axis=1) / np.bincount(cluster)[:, None]
    corners = cluster[faces]
    distinct = corners[(corners != np.roll(corners, 1, axis=1)).all(axis=1)]
    _, first = np.unique(np.sort(distinct, axis=1), axis=0, return_index=True)
    return Mesh(means, distinct[np.sort(first)])


def refined(points: Array, faces: Array, count: int) -> tuple[Array, Array]:
    """Subdivided until it has half as many vertices again as wanted."""
    while len(points) < 1.5 * count:
        points, faces = trimesh.remesh.subdivide(points, faces)
    return points, faces


def scan_with(count: int, inside: int) -> H3dsTruth:
    """The case's scan with about so many vertices, and so many of them in the sphere about the nose."""
    truth = reference.truth(CASE)
    names, old = list(truth.landmarks), truth.scan.vertices
    nose = old[truth.landmarks["nose_tip"]]
    points, faces = refined(old, truth.scan.faces, count)
    near = np.linalg.norm(points - nose, axis=1) < SPHERE_MM
    cluster = np.empty(len(points), dtype=np.int64)
    cluster[near] = clusters(points[near], inside)
    cluster[~near] = clusters(points[~near], count - inside) + cluster[near].max() + 1
    scan = merged(points, faces, cluster)
    marks = [int(np.linalg.norm(scan.vertices - old[truth.landmarks[name]], axis=1).argmin()) for name in names]
    landmarks = dict(zip(names, marks, strict=True))
    in_face = np.isin(trimesh.proximity.cKDTree(old).query(scan.vertices)[1], truth.regions["face"])
    distance = np.linalg.norm(scan.vertices - scan.vertices[landmarks["nose_tip"]], axis=1)
    regions = {"face": np.flatnonzero(in_face), "face_sphere": np.flatnonzero(distance < SPHERE_MM)}
    return H3dsTruth(scan, landmarks, regions)


def prediction_with(count: int) -> Prediction:
    """The case's prediction with about so many vertices."""
    base = reference.prediction(CASE)
    points, faces = refined(np.asarray(base.vertices), np.asarray(base.faces), count)
    mesh = merged(points, faces, clusters(points, count))
    return Prediction(mesh.vertices, mesh.faces, base.landmarks)


def seconds(path: Path, truth: H3dsTruth, prediction: Prediction, regions: tuple[str, ...], rounds: int) -> float:
    """Of reading the scan and scoring the prediction."""

    def score() -> object:
        fresh = H3dsTruth(read_mesh(path), truth.landmarks, truth.regions)
        return H3ds(regions=regions).score(prediction, fresh)

    return least_seconds(score, rounds)


def plain_seconds(truth: H3dsTruth, prediction: Prediction, region: str, rounds: int) -> float:
    """Of the plain copy, without reading."""
    scan, vertices = truth.scan.vertices, np.asarray(prediction.vertices)
    marks = predicted_landmarks(prediction)
    assert marks is not None
    nearest = vertices[cdist(marks, vertices).argmin(axis=1)]
    coarse = fit_similarity(nearest, truth.landmark_points, scale="rms")
    points = scan[truth.vertex_ids(region)]
    source = scan[truth.regions["face"]] if region == "head" else points
    return least_seconds(lambda: plain_score(points, source, coarse.apply(vertices)), rounds)


def main(rounds: int) -> None:
    if not reference.CASES:
        print(f"there are no reference cases in {reference.FOLDER}")
        return
    official = official_seconds()
    print("  scan  inside predicted  regions   official      ours factor  on this machine")
    for _, variant, vertices, predicted in official:
        if (variant, _) != ("full head", OFFICIAL):
            continue
        inside = official[OFFICIAL, "face_sphere", vertices, predicted][0]
        truth, prediction = scan_with(vertices, inside), prediction_with(predicted)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "full_head.obj"
            write_mesh(truth.scan, path)
            theirs, here = {}, {}
            for region, name in REGIONS.items():
                theirs[region] = official[OFFICIAL, name, vertices, predicted][1]
                plain = plain_seconds(truth, prediction, region, rounds)
                here[region] = theirs[region] * plain / official[PLAIN, name, vertices, predicted][1]
            for regions in (*((region,) for region in REGIONS), tuple(REGIONS)):
                ours = seconds(path, truth, prediction, regions, rounds)
                before, now = (sum(known[region] for region in regions) for known in (theirs, here))
                sizes = f"{len(truth.scan.vertices):6} {len(truth.regions['face_sphere']):6} {predicted:8}"
                factors = f"{before:8.2f} {ours:9.4f} {before / ours:6.1f} {now / ours:6.1f}"
                print(f"{sizes}   {'+'.join(regions):9} {factors}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
