"""The average procedural head: both halves of skin, mouth, eyeballs and ears as one mesh with named groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from harness.heads import procedural_parts as parts
from harness.heads.head import PARTS
from harness.heads.procedural_layout import LIP_STEPS, half_skin
from harness.heads.procedural_surface import base, brow_band, chart_of, jaw_border, nose_side, skin
from harness.samples import Array

KINDS = ("skin", "lid_rim", "mouth", "eyeball", "ear", "teeth")


@dataclass(frozen=True, eq=False)
class Template:
    """The average head.

    Attributes:
        points: (V, 3) mm.
        faces: (F, 3).
        labels: (F,) indices into PARTS.
        kind: (V,) index into KINDS.
        mirror: (V,) the vertex on the other side; its own index on the midline.
        lids: (rings, N) vertices around the subject's left eye, rim first, from the outer corner over the top.
        lid_ring: (V,) how many rings a vertex is away from the rim of its eye (-1, -2 behind it), 99 elsewhere.
        rim_distance: (V,) mm from the rim of the nearest eye's lids; 0 on eyeballs and behind the rim.
        lips: (rings, N) vertices around the half mouth x >= 0, inner contour first, upper midline to lower midline.
        lip_step: (V,) 0 on the inner contour of the lips to 1 on their border, 2 elsewhere.
        lower: (V,) 1 on the lower lip and the floor of the mouth, 0.5 at the corners, 0 elsewhere.
    """

    points: Array
    faces: Array
    labels: Array
    kind: Array
    mirror: Array
    lids: Array
    lid_ring: Array
    rim_distance: Array
    lips: Array
    lip_step: Array
    lower: Array


def _half() -> dict[str, Array]:
    layout = half_skin()
    points = parts.shape_lips(skin(layout.chart), layout)
    middle = layout.midline.copy()
    rim_points, rim_faces = parts.lid_rims(points, layout, len(points))
    bag_start = len(points) + len(rim_points)
    bag_points, bag_faces, bag_lower = parts.mouth_bag(points, layout, bag_start)
    pieces, kinds = [points, rim_points, bag_points], [0, 1, 2]
    faces = [layout.faces, rim_faces, bag_faces]
    teeth_points, teeth_faces, teeth_lower = parts.teeth(points, layout)
    for number, (part_points, part_faces) in ((3, parts.eyeball()), (4, parts.ear()), (5, (teeth_points, teeth_faces))):
        faces.append(part_faces + sum(len(piece) for piece in pieces))
        pieces.append(part_points)
        kinds.append(number)
    whole = np.vstack(pieces)
    kind = np.repeat(kinds, [len(piece) for piece in pieces])
    lid_ring, lip_step, lower = np.full(len(whole), 99), np.full(len(whole), 2.0), np.zeros(len(whole))
    for number, ring in enumerate(layout.lids):
        lid_ring[ring] = number
    count = layout.lids.shape[1]
    lid_ring[len(points) : len(points) + count], lid_ring[len(points) + count : bag_start] = -1, -2
    side = np.linspace(-1, 1, layout.lips.shape[1]).round(6)
    for number, ring in enumerate(layout.lips):
        lip_step[ring] = LIP_STEPS[number] if number < len(LIP_STEPS) else 2.0
        lower[ring] = 0.5 + 0.5 * np.sign(side)
    lower[bag_start : bag_start + len(bag_points)] = bag_lower
    lower[kind == 5] = teeth_lower
    on_middle = np.zeros(len(whole), dtype=bool)
    on_middle[: len(points)] = middle
    bag = np.flatnonzero((kind == 2) | (kind == 5))
    on_middle[bag] = np.abs(whole[bag, 0]) < 1e-6
    whole[on_middle, 0] = 0.0
    flat = whole.copy()
    flat[: len(points)] = base(layout.chart)
    return {
        "points": whole,
        "flat": flat,
        "faces": np.vstack(faces),
        "face_kind": np.repeat(np.arange(6), [len(f) for f in faces]),
        "kind": kind,
        "middle": on_middle,
        "lids": layout.lids,
        "lips": layout.lips,
        "lid_ring": lid_ring,
        "lip_step": lip_step,
        "lower": lower,
    }


def _labels(half: dict[str, Array], mirrored: bool) -> Array:
    """(F,) labels of the half's faces; `mirrored` for the half x < 0, the image's left."""
    index = {name: number for number, name in enumerate(PARTS)}
    side = "left" if mirrored else "right"
    faces, kind = half["faces"], half["face_kind"]
    middle = half["flat"][faces].mean(1)
    x, y, z = middle.T
    chart = chart_of(middle)
    labels = np.full(len(faces), index["skin"])
    front = z > 50
    low, high = brow_band(np.clip(x, 11, 54))
    labels[front & (x > 11) & (x < 54) & (y > low) & (y < high)] = index[f"{side}_brow"]
    labels[front & (y < 18) & (y > -36.5) & (x < nose_side(y))] = index["nose"]
    labels[chart[:, 1] < jaw_border(chart[:, 0])] = index["neck"]
    step = half["lip_step"][faces]
    lip = (step <= 1).all(1)
    low = half["lower"][faces].mean(1) > 0.5
    labels[lip] = np.where(low, index["lower_lip"], index["upper_lip"])[lip]
    labels[kind == 1] = index["skin"]
    labels[(kind == 1) & (half["lid_ring"][faces] == -2).any(1)] = index[f"{side}_eye"]
    labels[(kind == 2) | (kind == 5)] = index["inner_mouth"]
    labels[kind == 3] = index[f"{side}_eye"]
    labels[kind == 4] = index[f"{side}_ear"]
    return labels


def _rim_distance(half: dict[str, Array]) -> Array:
    distance = cKDTree(half["points"][half["lids"][0]]).query(half["points"])[0]
    return np.where((half["kind"] == 3) | (half["lid_ring"] < 0), 0.0, distance)


def template() -> Template:
    """Builds the average head; deterministic, exactly mirror symmetric."""
    half = _half()
    number, middle = len(half["points"]), half["middle"]
    other = np.where(middle, np.arange(number), number + np.cumsum(~middle) - 1)
    points = np.vstack([half["points"], half["points"][~middle] * (-1, 1, 1)])
    mirror = np.empty(len(points), dtype=int)
    mirror[:number] = other
    mirror[other] = np.arange(number)

    def both(values: Array) -> Array:
        return np.concatenate([values, values[~middle]])

    return Template(
        points=points,
        faces=np.vstack([half["faces"], other[half["faces"]][:, ::-1]]),
        labels=np.concatenate([_labels(half, False), _labels(half, True)]),
        kind=both(half["kind"]),
        mirror=mirror,
        lids=half["lids"],
        lips=half["lips"],
        lid_ring=both(half["lid_ring"]),
        rim_distance=both(_rim_distance(half)),
        lip_step=both(half["lip_step"]),
        lower=both(half["lower"]),
    )
