"""REALY's steps written down plainly, in float64 with dense matrices and trimesh: slow, and independent of ours."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.sparse import csr_array, kron, vstack

from harness.geometry.mesh import Mesh
from harness.protocols.realy import REGIONS, RealyTruth
from harness.protocols.realy_keypoints import procedural_topology


def on_surface(vertices, faces, points):
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    return trimesh.proximity.closest_point(mesh, points)[0]


def rigid(source, target, l1=False):
    """The map s R x + t by the SVD of the covariance, determinant not looked at."""
    x, y = source - source.mean(0), target - target.mean(0)
    u, _, vt = np.linalg.svd(y.T @ x)
    rotation = u @ vt
    scale = np.abs(y).sum() / np.abs(x @ rotation.T).sum() if l1 else 1.0
    shift = (target - scale * source @ rotation.T).mean(0)
    return lambda p: scale * p @ rotation.T + shift


def regional_icp(region, vertices, faces, points, keypoints, targets, chosen):
    copies = int(len(points) / len(chosen) / (4 if region == "cheek" else 1))
    previous, steps = 0.0, 0
    for steps in range(101):
        source = np.vstack([on_surface(vertices, faces, points), *[keypoints[chosen]] * copies])
        target = np.vstack([points, *[targets[chosen]] * copies])
        move = rigid(source, target)
        error = ((move(source).astype(np.float32) - target) ** 2).sum(1).mean()
        if abs(error - previous) < 1e-6 or steps == 100:
            break
        previous = error
        vertices, keypoints = move(vertices).astype(np.float32), move(keypoints).astype(np.float32)
    return vertices, steps


def deform(vertices, faces, targets, ids=None, anchors=None):
    """The whole least-squares problem of each solve, its normal equations solved densely; (vertices, solves)."""
    count = len(vertices)
    edges = np.unique(np.sort(np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [0, 2]]]), axis=1), axis=0)
    incidence = np.zeros((len(edges), count))
    incidence[np.arange(len(edges)), edges[:, 0]], incidence[np.arange(len(edges)), edges[:, 1]] = 1, -1
    current, unknown, before, solves = vertices, np.ones((4 * count, 3)), np.zeros((4 * count, 3)), 0
    for stage in range(3) if ids is None else range(4):
        power = stage if ids is None else stage - 1
        alpha = 150 if power < 0 else 50 * np.exp(-0.5 * power)
        done = 0
        while np.linalg.norm(unknown - before) > 0.5**power and (ids is None or done < 11):
            before = unknown
            distance = np.linalg.norm(current[:, None] - targets[None], axis=2)
            nearest, distance = targets[distance.argmin(1)], distance.min(1)
            weight = (distance < max(2 * distance.mean(), 1)).astype(float)
            data = np.zeros((count, 4 * count))
            for i, point in enumerate(current.astype(np.float32)):
                data[i, 4 * i : 4 * i + 4] = [*point, 1]
            gains = np.diag([2.0, 2, 3, 2] if power < 0 else [1.0] * 4)
            blocks = [alpha * kron(incidence, gains)]
            right = [np.zeros((4 * len(edges), 3))]
            if power >= 0:
                blocks, right = [*blocks, weight[:, None] * data], [*right, weight[:, None] * nearest]
            if ids is not None:
                kappa = 50.0 if power < 0 else 50 * np.exp(-0.9 * solves) / 10
                last = {vertex: k for k, vertex in enumerate(ids)}
                blocks += [kappa * data[list(last)]]
                right += [kappa * anchors[list(last.values())]]
            matrix = vstack([csr_array(block) for block in blocks], format="csr")
            unknown = np.linalg.solve((matrix.T @ matrix).toarray(), matrix.T @ np.vstack(right))
            current = data @ unknown
            done, solves = done + 1, solves + 1
            if power < 0:
                break
    return current, solves


def truth_of(vertices, step_mm=0.0, unit_mm=9.0, rng=None) -> RealyTruth:
    """A truth whose scan is the procedural head with `vertices` (V, 3) mm: four parts of its face, a little noise."""
    topology = procedural_topology()
    template = procedural_vertices()
    x, y, z = template.T
    face = (np.abs(x) < 62) & (y > -100) & (y < 55) & (z > 45)
    mouth = ((x / 32) ** 2 + ((y + 58) / 18) ** 2 < 1) & (z > 80)
    nose = (np.abs(x) < 17) & (y < 16) & (y > -38) & (z > 85)
    part = np.select([~face, nose, mouth, y > -2], [-1, 0, 1, 2], 3)
    noise = 0 if rng is None else rng.normal(0, step_mm, vertices.shape)
    scan = (vertices + noise) / unit_mm
    regions = {name: _part(scan, topology.faces, part == k) for k, name in enumerate(REGIONS)}
    return RealyTruth(regions, topology.keypoints(vertices) / unit_mm, unit_mm)


def procedural_vertices():
    from harness.fallback import mean_face

    return np.array(mean_face().vertices)


def _part(vertices, faces, chosen):
    mesh = trimesh.Trimesh(vertices, faces[chosen[faces].all(1)], process=False)
    mesh.remove_unreferenced_vertices()
    largest = max(mesh.split(only_watertight=False, repair=False), key=lambda piece: len(piece.faces))
    return Mesh(largest.vertices, largest.faces)
