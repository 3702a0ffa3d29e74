"""Axes: mirrored ones are always wrong, turned ones where the answer says in which frame it stands."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from harness.doctor.exam import SIZE, Truth
from harness.doctor.findings import Finding, ok, undecided, warning, wrong
from harness.doctor.reading import SWAPPED, Reading, known
from harness.samples import Array, Prediction

MIRRORED, ROTATED = "mirrored axes", "rotated axes"
NOSE_MM = 60.0
"""Triangles as near as this to the tip of the nose show which way the surface looks; all of a face's front does."""
SURE = 0.3
"""Share of these triangles' area, facing forwards minus backwards, from which the winding is believed: 0.6 to 0.8 for
the skin of a head, less where the inside of the mouth and the eyeballs are modelled too."""
TURNED_DEG, ASKEW_DEG = 45.0, 20.0
"""Exchanged or negated axes turn a head by 90 or 180 degrees; a head's pose read from one picture is off by 5 to 10."""
AWAY_MM = 300.0
"""The depth of a head in one picture without a known scale is off by up to a third of 760 mm, its distance here."""
AWAY_SHARE = 0.25
"""Error of the projected landmarks over the distance of the eyes' outer corners; 0.1 is a bad landmark network."""


def mirrored(reading: Reading) -> Finding:
    """Tells a mirrored mesh from swapped names: of a mirrored mesh the triangles look inwards.

    A face is nearly its own mirror image, so that the landmarks of both fit when left is taken for right.
    """
    if reading.no_landmarks:
        return undecided(MIRRORED, reading.no_landmarks)
    outwards = facing(reading)
    rms = reading.order.rms_mm
    fits = f"landmarks fit to {rms['as given']:.1f} mm RMS, to {rms['reflected']:.1f} mm with a reflection"
    looks = f"{'outwards' if outwards > 0 else 'inwards'} ({outwards:+.2f} of the face's area)"
    if reading.order.kind == SWAPPED and outwards < -SURE:
        remedy = "negate one axis of vertices and landmarks; exchanging y and z mirrors too, unless one is negated"
        return wrong(MIRRORED, f"{fits}, and the triangles look {looks}", remedy)
    if reading.order.kind == SWAPPED and outwards < SURE:
        return undecided(MIRRORED, f"{fits}; the triangles look both ways, see left/right swap")
    if outwards < -SURE:
        remedy = "reverse the corners of each triangle: faces[:, ::-1]; pictures of the mesh are inside out"
        return warning(MIRRORED, f"{fits}, but the triangles look {looks}", remedy)
    return ok(MIRRORED, f"{fits}; the triangles look {looks}")


def facing(reading: Reading) -> float:
    """Median over the answers of how much of the face's area looks outwards, -1..1."""
    return float(np.median([_facing(a) for a, _ in reading.pointed]))


def _facing(answer: Prediction) -> float:
    """-1..1: the share of the face's area that looks forwards minus the share that looks backwards.

    Forwards is from eyes and mouth to the tip of the nose, which needs no side.
    """
    assert answer.vertices is not None and answer.faces is not None and answer.landmarks is not None
    nose, around = answer.landmarks[30], answer.landmarks[[36, 39, 42, 45, 48, 54]]
    ahead = nose - around.mean(0)
    corners = answer.vertices[answer.faces]
    span = np.linalg.norm(around - around.mean(0), axis=1).mean()  # about 40 mm, whatever the unit
    near = np.linalg.norm(corners.mean(1) - nose, axis=1) < NOSE_MM / 40.0 * span
    normals = np.cross(corners[near, 1] - corners[near, 0], corners[near, 2] - corners[near, 0])
    total = np.linalg.norm(normals, axis=1).sum() * np.linalg.norm(ahead)
    return float((normals @ ahead).sum() / total) if np.isfinite(total) and total > 0 else 0.0


def rotated(reading: Reading) -> Finding:
    """Checks the frame only where the answer declares one: `in_world_frame`, or a `projection`."""
    if not reading.pairs:
        return undecided(ROTATED, "no answer holds a mesh")
    if reading.no_landmarks:
        return undecided(ROTATED, reading.no_landmarks)
    if reading.order.kind == SWAPPED and facing(reading) < -SURE:
        return undecided(ROTATED, "the axes are mirrored; ask again when that is mended")
    findings = [f for f in (_in_world(reading), _in_picture(reading)) if f is not None]
    for finding in findings:
        if finding.remedy:
            return finding
    if findings:
        return findings[0]
    turns = [_turn(fit.rotation) for a, t in reading.pointed if (fit := reading.fit(a, t)) is not None]
    words = f"the mesh looks along {_axes(turns[0])} of its own frame" if turns else "the mesh stands in its own frame"
    return ok(ROTATED, f"{words}; any frame is allowed where in_world_frame is false and no projection is given")


def _in_world(reading: Reading) -> Finding | None:
    pairs = [(a, t) for a, t in reading.pointed if a.in_world_frame]
    if not pairs:
        return None
    fits = [(fit, a, t) for a, t in pairs if (fit := reading.fit(a, t)) is not None]
    angles = [np.rad2deg(np.linalg.norm(_turn(fit.rotation).as_rotvec())) for fit, _, _ in fits]
    angle = float(np.median(angles))
    # Sizes are another check's matter: the answer is scaled about the world's origin first.
    away = float(np.median([np.linalg.norm(f.scale * _middle(a) - t.landmarks.mean(0)) for f, a, t in fits]))
    words = f"in_world_frame is true; heads are turned by {angle:.0f} degrees and {away:.0f} mm from where they are"
    if angle > TURNED_DEG:
        axis = _turn(fits[0][0].rotation).as_rotvec()
        named = "xyz"[int(np.abs(axis).argmax())]
        remedy = (
            f"turn the answer by {angle:.0f} degrees about {named}, into the cameras' world; cameras are OpenCV's "
            "(x right, y down, z forward), OpenGL's have y and z negated. Or leave out in_world_frame"
        )
        return wrong(ROTATED, words, remedy)
    if away > AWAY_MM:
        return wrong(ROTATED, words, "move the answer into the cameras' world, or leave out in_world_frame")
    if angle > ASKEW_DEG:
        return warning(ROTATED, words, "protocols that trust in_world_frame start from this pose")
    return ok(ROTATED, words)


def _in_picture(reading: Reading) -> Finding | None:
    pairs = [(a, t) for a, t in reading.pointed if a.projection is not None and a.landmarks is not None]
    if not pairs:
        return None
    shown = [(_projected(a.projection, a.landmarks[reading.order.index]), t) for a, t in pairs]  # type: ignore[arg-type, index]
    hypotheses = {
        "as it is": lambda p: p,
        "with y negated": lambda p: np.stack([p[:, 0], SIZE - 1 - p[:, 1]], 1),
        "with x negated": lambda p: np.stack([SIZE - 1 - p[:, 0], p[:, 1]], 1),
        "with x and y exchanged": lambda p: p[:, ::-1],
    }
    errors = {
        name: float(np.median([picture_error(move(p), t) for p, t in shown])) for name, move in hypotheses.items()
    }
    plain = errors["as it is"]
    words = f"projected landmarks are {100 * plain:.0f} % of the eyes' distance from the true ones"
    if plain < AWAY_SHARE:
        return ok(ROTATED, words)
    best = min(errors, key=lambda name: errors[name])
    hint = f"{best} it would be {100 * errors[best]:.0f} %: mend this axis. " if errors[best] < AWAY_SHARE else ""
    return wrong(ROTATED, words, f"{hint}projection takes vertices, in the declared unit, to pixels of the whole image")


def picture_error(pixels: Array, truth: Truth) -> float:
    """Mean distance of 68 points in the picture over the distance of the outer eye corners."""
    eyes = float(np.linalg.norm(truth.pixels[36] - truth.pixels[45]))
    return float(np.nanmean(np.linalg.norm(pixels - truth.pixels, axis=1)) / eyes)


def _projected(projection: Array, points: Array) -> Array:
    image = np.hstack([points, np.ones((len(points), 1))]) @ projection.T
    return np.asarray(image[:, :2] / image[:, 2:])


def _middle(answer: Prediction) -> Array:
    assert answer.landmarks is not None
    return np.asarray(answer.landmarks[known(answer.landmarks)].mean(0))


def _turn(rotation: Array) -> Rotation:
    return Rotation.from_matrix(rotation)


def _axes(turn: Rotation) -> str:
    """Along which axis of the answer's own frame the face looks; the exam's people look along +z turned by TURN_DEG."""
    from harness.doctor.exam import place

    ahead = turn.inv().apply(place()[0][:, 2])
    axis = int(np.abs(ahead).argmax())
    return f"{'-' if ahead[axis] < 0 else '+'}{'xyz'[axis]}"
