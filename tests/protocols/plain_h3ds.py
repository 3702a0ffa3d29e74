"""H3DS's alignment and distance as its official program computes them, with scipy's tree and nothing of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[Any]


class PlainScore(NamedTuple):
    """Per vertex distances (mm), source -> target (4, 4), and the iterations of ICP."""

    distances: Array
    matrix: Array
    iterations: int


def procrustes(source: Array, target: Array) -> Array:
    """(4, 4) with the ratio of RMS radii as scale; reflections are allowed."""
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    x, y = source - middle, target - goal
    u, _, vt = np.linalg.svd(y.T @ x)
    scale = np.sqrt((y**2).sum() / (x**2).sum())
    matrix = np.eye(4)
    matrix[:3, :3] = scale * (u @ vt)
    matrix[:3, 3] = goal - matrix[:3, :3] @ middle
    return matrix


def moved(points: Array, matrix: Array) -> Array:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def plain_score(points: Array, source: Array, vertices: Array) -> PlainScore:
    """Measured from `points` after an ICP of `source`, both of the scan, onto coarsely aligned `vertices`."""
    tree, total, here = cKDTree(vertices), np.eye(4), source
    cost, fall, iterations = np.inf, np.inf, 0
    while iterations < 20 and not fall < 1e-5:
        closest = vertices[tree.query(here)[1]]
        step = procrustes(here, closest)
        here, total, iterations = moved(here, step), step @ total, iterations + 1
        before, cost = cost, ((here - closest) ** 2).mean()
        fall = before - cost
    aligned = moved(vertices, np.linalg.inv(total))
    return PlainScore(np.asarray(cKDTree(aligned).query(points)[0]), total, iterations)


def plain_obj(path: Path) -> tuple[Array, Array]:
    """Vertices and faces, line by line."""
    vertices, faces = [], []
    for line in path.read_text().split("\n"):
        words = line.strip().split()
        if words and words[0] == "v":
            vertices.append([float(words[1]), float(words[2]), float(words[3])])
        elif words and words[0] == "f":
            corners = [word.split("/") for word in words]
            faces.append([int(corners[1][0]) - 1, int(corners[2][0]) - 1, int(corners[3][0]) - 1])
    return np.array(vertices), np.array(faces)
