"""Known faults of a prediction, each on its own: the true head of a mirror's subject, changed in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import trimesh

from harness import Prediction
from harness.datasets.faceverse_mirror import with_expression
from harness.fallback import mean_face
from harness.samples import Array
from harness.synthesis.subject import Subject

SMILE = {"smile": 0.9, "cheek_raise": 0.6, "jaw_open": 0.5}
CELL_MM = 9.0
CHIN_MM = 12.0  # below the mouth's corners


def true_head(person: Subject) -> Prediction:
    """The subject's own head with its landmarks."""
    return _of(person, person.vertices)


def larger(person: Subject) -> Prediction:
    """Three percent too large."""
    true = true_head(person)
    assert true.vertices is not None and true.landmarks is not None
    return replace(true, vertices=1.03 * true.vertices, landmarks=1.03 * true.landmarks)


def smoothed(person: Subject) -> Prediction:
    """Detail below a centimetre or so gone; the landmarks move with the surface."""
    mesh = trimesh.Trimesh(person.vertices, person.head.faces.numpy(), process=False)
    trimesh.smoothing.filter_taubin(mesh, lamb=0.5, nu=0.5, iterations=60)
    return _of(person, np.asarray(mesh.vertices, np.float32))


def noisy(person: Subject) -> Prediction:
    """Half a millimetre of noise on each coordinate of each vertex."""
    noise = np.random.default_rng(person.seed).normal(0, 0.5, person.vertices.shape)
    return replace(true_head(person), vertices=person.vertices + noise)


def smiling(person: Subject) -> Prediction:
    """An open smile where the truth is neutral, and no neutral mesh beside it."""
    happy = with_expression(person, SMILE)
    return _of(happy, happy.vertices)


def without_chin(person: Subject) -> Prediction:
    """No surface below the mouth."""
    true = true_head(person)
    assert true.vertices is not None and true.faces is not None
    lowest = person.landmarks[[48, 54], 1].mean() - CHIN_MM
    return replace(true, faces=true.faces[true.vertices[true.faces, 1].min(axis=1) > lowest])


def coarse(person: Subject) -> Prediction:
    """The same surface with a tenth of the vertices: those in a cube of 9 mm become one, on their mean."""
    true = true_head(person)
    assert true.vertices is not None and true.faces is not None
    cells = np.floor(true.vertices / CELL_MM).astype(np.int64)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    sums = np.stack([np.bincount(cell, true.vertices[:, k]) for k in range(3)], axis=1)
    faces = cell[true.faces]
    distinct = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return replace(true, vertices=sums / np.bincount(cell)[:, None], faces=faces[distinct])


def mirrored(person: Subject) -> Prediction:
    """Left and right exchanged, mesh and landmarks alike."""
    true = true_head(person)
    assert true.vertices is not None and true.faces is not None and true.landmarks is not None
    flip = np.array([-1.0, 1.0, 1.0])
    return replace(true, vertices=true.vertices * flip, faces=true.faces[:, ::-1], landmarks=true.landmarks * flip)


def average(person: Subject) -> Prediction:
    """The mean face."""
    del person
    return mean_face()


DEFORMATIONS: dict[str, Callable[[Subject], Prediction]] = {
    "the true head": true_head,
    "3 % larger": larger,
    "detail smoothed away": smoothed,
    "0.5 mm noise": noisy,
    "smile left on": smiling,
    "chin missing": without_chin,
    "a tenth of the vertices": coarse,
    "mirrored": mirrored,
    "mean face": average,
}


def _of(person: Subject, vertices: Array) -> Prediction:
    with torch.no_grad():
        landmarks = person.head.landmarks(torch.as_tensor(vertices, dtype=torch.float32)[None])[0]
    return Prediction(vertices, person.head.faces.numpy(), landmarks.numpy())
