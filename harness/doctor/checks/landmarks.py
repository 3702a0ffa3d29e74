"""The 68 points: their order, their sides, and whether they belong to the mesh and to the picture."""

from __future__ import annotations

import numpy as np

from harness.doctor.checks.frame import SURE, facing, picture_error
from harness.doctor.findings import Finding, ok, undecided, wrong
from harness.doctor.reading import OTHER_SIDE, PERMUTED, SWAPPED, UNKNOWN, Reading, known
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.samples import Array

ORDER, SIDES, ON_MESH, IN_PICTURE = (
    "landmark order", "left/right swap", "landmarks off the mesh", "landmarks off the picture",
)  # fmt: skip
OFF_MM = 15.0
"""Landmarks regressed apart from the mesh are a few millimetres off it, those of the jaw's outline up to ten; in
another frame or unit they are off by the size of a head."""
OFF_SHARE = 0.25
"""Error over the distance of the outer eye corners: five times that of a usable landmark network."""
NUMBERING = "iBUG 68: 0-16 jaw from the subject's right ear, 17-26 brows, 27-35 nose, 36-47 eyes, 48-67 mouth"


def order(reading: Reading) -> Finding:
    """Whether the points are a face in the order in which they are given; else, in which order they are one."""
    if not reading.pointed:
        return undecided(ORDER, f"{reading.no_landmarks}; protocols that align by landmarks cannot score such answers")
    found = reading.order
    as_given = f"as given the points fit the truth to {found.rms_mm['as given']:.1f} mm RMS"
    if found.kind == PERMUTED:
        moved = np.flatnonzero(found.index != np.arange(68))
        pairs = ", ".join(f"row {found.index[i]} is point {i}" for i in moved[:4])
        words = (
            f"{as_given}, in another order to {found.rms_mm['reordered']:.1f} mm: {len(moved)} of 68 moved ({pairs})"
        )
        return wrong(ORDER, words, f"give the points in the order of {NUMBERING}")
    if found.kind == UNKNOWN:
        words = f"{as_given} and in no other order better than {found.rms_mm.get('reordered', np.inf):.1f} mm"
        if _scattered(reading):
            remedy = f"look at the points on the mesh; their order is {NUMBERING}"
            return wrong(ORDER, f"{words}: they are no face, though they lie on the mesh", remedy)
        return undecided(ORDER, f"{words}: they are no face")
    return ok(ORDER, as_given if found.kind != SWAPPED else f"{as_given}, left taken for right to "
              f"{found.rms_mm['swapped']:.1f} mm")  # fmt: skip


def _scattered(reading: Reading) -> bool:
    """Whether the points lie on the mesh nevertheless: then the mesh is there, and its points are not those asked."""
    return _off(reading) < OFF_MM / 3


def sides(reading: Reading) -> Finding:
    """Whether left is taken for right while the mesh is not mirrored."""
    if reading.no_landmarks:
        return undecided(SIDES, reading.no_landmarks)
    rms = reading.order.rms_mm
    words = f"as given the points fit to {rms['as given']:.1f} mm RMS, left taken for right to {rms['swapped']:.1f} mm"
    if reading.order.kind != SWAPPED:
        return ok(SIDES, words)
    outwards = facing(reading)
    if outwards < -SURE:
        return ok(SIDES, f"{words}, since the mesh is mirrored")
    remedy = (
        f"right is the subject's right in {NUMBERING}. If the numbering is right, then vertices and triangles are "
        "both mirrored: negate one axis"
    )
    return wrong(SIDES, f"{words}; the mesh is not inside out ({outwards:+.2f})", remedy)


def on_the_mesh(reading: Reading) -> Finding:
    """Whether vertices and landmarks are in the same frame and unit."""
    if not reading.pointed:
        return undecided(ON_MESH, reading.no_landmarks)
    off = _off(reading)
    words = f"the median point is {off:.1f} mm from the surface"
    if off <= OFF_MM:
        return ok(ON_MESH, words)
    return wrong(ON_MESH, words, "give landmarks in the frame and the unit of the vertices")


def _off(reading: Reading) -> float:
    """Millimetres (of the true face's size, where it is known) from landmarks to the mesh, median."""
    distances = []
    for answer, truth in reading.pointed[:2]:
        assert answer.vertices is not None and answer.faces is not None and answer.landmarks is not None
        fit = reading.fit(answer, truth)
        points = answer.landmarks[known(answer.landmarks)]
        there = ClosestPoints(Mesh(answer.vertices, answer.faces)).query(points).distances
        distances.append(float(np.median(there)) * (1.0 if fit is None else fit.scale))
    return float(np.median(distances))


def in_the_picture(reading: Reading) -> Finding:
    """Whether `landmarks_2d` are pixels of the whole first picture, x before y, in the right order."""
    together = zip(reading.evidence.answers, reading.evidence.questions, strict=False)
    pairs = [(a.landmarks_2d, q.truth) for a, q in together if a.landmarks_2d is not None]
    shown = [(points, truth) for points, truth in pairs if len(points) == 68]
    if not shown:
        return undecided(IN_PICTURE, "no answer holds 68 points in landmarks_2d; only benchmarks in the picture ask")

    def error(index: Array | slice, exchanged: bool = False) -> float:
        moved = [(points[index][:, ::-1] if exchanged else points[index], truth) for points, truth in shown]
        return float(np.median([picture_error(points, truth) for points, truth in moved]))

    plain, swapped, exchanged = error(slice(None)), error(OTHER_SIDE), error(slice(None), exchanged=True)
    words = f"they are {100 * plain:.0f} % of the eyes' distance from the true ones"
    if plain < OFF_SHARE:
        return ok(IN_PICTURE, words)
    hint = "give pixels of the whole picture, (0, 0) the centre of its top-left pixel, not of a crop"
    if swapped < OFF_SHARE:
        hint = f"left is taken for right: {NUMBERING}"
    elif exchanged < OFF_SHARE:
        hint = "give x before y"
    return wrong(IN_PICTURE, words, hint)
