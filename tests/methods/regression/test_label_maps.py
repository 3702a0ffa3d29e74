"""Label maps of regressors: which triangle is in front, found anew in float64, and the way through an adapter."""

from __future__ import annotations

import numpy as np
import torch

from harness.heads.procedural import procedural_head
from harness.methods.deca.adapter import DecaAdapter
from harness.methods.regression.parts import part_map
from harness.protocols.labels import LABELS
from harness.samples import Sample, View
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import render
from harness.synthesis.subject import random_subject


def in_front(vertices: np.ndarray, faces: np.ndarray, pixels: np.ndarray, pixel: np.ndarray) -> int:
    """The triangle nearest to the camera at a pixel, of all that are seen from outside; -1 for none."""
    a, b, c = (pixels[faces[:, i]] - pixel for i in range(3))
    u, v, w = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0] for p, q in ((b, c), (c, a), (a, b)))
    area = u + v + w
    inside = np.flatnonzero((u <= 0) & (v <= 0) & (w <= 0) & (area < 0))
    if not len(inside):
        return -1
    shares = np.stack([u, v, w], axis=1)[inside] / area[inside, None]
    depth = (shares * vertices[faces[inside]][..., 2]).sum(axis=1)
    return int(inside[depth.argmax()])


def test_parts_are_those_in_front() -> None:
    head = procedural_head()
    vertices, faces = head.template.double().numpy(), head.faces.numpy()
    turn = np.array([[0.9, 0.0, 0.43589], [0, 1, 0], [-0.43589, 0, 0.9]])
    vertices = vertices @ turn.T
    projection = np.array([[0.3, 0, 0, 47.3], [0, -0.3, 0, 40.6], [0, 0, 0, 1]])
    found = part_map(head, vertices, projection, (80, 110))
    assert found.shape == (80, 110) and len(np.unique(found)) > 8
    pixels = vertices @ projection[:2, :3].T + projection[:2, 3]
    labels = head.part_labels.numpy()
    rng = np.random.default_rng(0)
    same = []
    for _ in range(250):
        row, column = rng.integers(80), rng.integers(110)
        face = in_front(vertices, faces, pixels, np.array([column, row], float))
        same.append(found[row, column] == (labels[face] if face >= 0 else 0))
    assert np.mean(same) > 0.985  # edges between two triangles round differently


def test_a_regressor_answers_with_parts_where_it_is_asked_to() -> None:
    subject = random_subject(1_000_777)
    camera = orbit_camera(5, 0, 900, 600, (160, 200), subject.middle)
    picture = render(subject, camera, seed=3, antialias=False)
    low, high = picture.landmarks.min(axis=0), picture.landmarks.max(axis=0)
    box = np.array([low[0], low[1] - 0.25 * (high[1] - low[1]), *high])
    sample = Sample("a", "a", (View(picture.image, box=box),))
    for parts in (False, True):
        method = DecaAdapter(parts=parts)
        method.load(torch.device("cpu"))
        (answer,) = method.predict([sample])
        assert (answer.label_map is not None) == parts
    nose = LABELS.index("nose")
    true, found = picture.label_map == nose, answer.label_map == nose
    assert answer.label_map.shape == (200, 160)
    assert 2 * (true & found).sum() / (true.sum() + found.sum()) > 0.5
