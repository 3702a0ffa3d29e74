"""The embedded head: made from formulas, no file needed."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from harness.heads.head import Head
from harness.heads.procedural_expression import EXCLUSIVE, expression_basis
from harness.heads.procedural_rig import JOINT_NAMES, PARENTS, joint_regressor, landmarks, skinning
from harness.heads.procedural_shape import shape_basis
from harness.heads.procedural_template import Template, template
from harness.samples import Array


@cache
def procedural_template() -> Template:
    """The average head with its named groups of vertices (eyeballs, lids, lips, mouth, ears)."""
    return template()


@cache
def procedural_head() -> Head:
    """The embedded head model; deterministic, the same object at every call (do not write to its tensors)."""
    average = procedural_template()
    shape_names, shapes = shape_basis(average)
    expression_names, expressions = expression_basis(average)
    landmark_faces, landmark_places = landmarks(average)

    def real(values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    def whole(values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))

    return Head(
        name="procedural",
        template=real(average.points),
        faces=whole(average.faces),
        shape_basis=real(shapes),
        shape_names=shape_names,
        expression_basis=real(expressions),
        expression_names=expression_names,
        joint_regressor=real(joint_regressor(average)),
        parents=PARENTS,
        joint_names=JOINT_NAMES,
        skinning=real(skinning(average)),
        pose_basis=None,
        landmark_faces=whole(landmark_faces),
        landmark_barycentric=real(landmark_places),
        part_labels=whole(average.labels),
    )


def sample_shape(rng: np.random.Generator, limit: float = 2.5) -> Array:
    """(S,) identity coefficients of a random adult: standard normal, redrawn beyond `limit`."""
    values = rng.standard_normal(len(procedural_head().shape_names))
    while (outside := np.abs(values) > limit).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values


def sample_expression(rng: np.random.Generator, strength: float = 0.7) -> Array:
    """(E,) expression coefficients in 0..1: a few components act, the others rest.

    Components that pull the same part both ways (see EXCLUSIVE) do not act together.
    """
    names = procedural_head().expression_names
    values = np.where(rng.random(len(names)) < 0.15, strength * rng.beta(1.2, 2.0, len(names)), 0.0)
    for group in EXCLUSIVE:
        places = [names.index(name) for name in group]
        strongest = max(places, key=lambda place: values[place])
        for place in places:
            values[place] = values[place] if place == strongest else 0.0
    return values
