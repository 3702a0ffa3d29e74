"""ICT-FaceKit's light model (Li et al., CVPR 2020; MIT licence): 100 identity modes from real scans, 57 expressions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.heads.head import PARTS, Head
from harness.heads.ict_file import EXPRESSION_CM, IDENTITY_CM, packed_file, read_packed
from harness.heads.parts import brow_sides, is_upper_lip, on_lips, on_nose
from harness.samples import Array

JOINT_NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
PARENTS = (-1, 0, 1, 1, 1)

# Vertex ranges of the model's documentation.
_SKIN = range(0, 11248)
_MOUTH = (range(11248, 13294), range(14062, 21451))  # socket; gums, tongue, teeth
_LEFT_EYEBALL, _RIGHT_EYEBALL = range(21451, 23021), range(23021, 24591)
_OPAQUE = 24591
"""Vertices from here on are films over the eyes and strips of lashes: see-through in pictures, nothing a scan has."""

_FLOOR_MM = -148.0
"""The head ends here, as FLAME's does; below it the model goes on with a part of the shoulders."""

# Seen from the side (backwards, up): centre, half axes and tilt of the ears on the template.
_EAR_CENTRE, _EAR_AXES, _EAR_TILT, _EAR_SIDE = np.array([-2.0, 9.5]), np.array([18.0, 31.0]), np.radians(14), 66.0


def read_ict(path: Path | None) -> Head:
    """The model as a `Head` in millimetres; y up, z out of the face, x to the subject's left.

    Of its 26,719 vertices those of face, head, neck, mouth, teeth, eye sockets and eyeballs are kept: what is opaque
    and above the shoulders, as in the other heads. Expression components keep upstream's names, but end in _left and
    _right instead of _L and _R. The model has no joints. Here the eyeballs turn with theirs and all else with the
    root; neck and jaw have places but move nothing: the mouth opens through the component "jawOpen".

    Args:
        path: a packed file; the one that `harness data get ict` wrote if None.

    Raises:
        DataError: the file is missing, damaged or another model's.
    """
    arrays = read_packed(packed_file() if path is None else path.expanduser())
    template = 10.0 * arrays["template"].astype(np.float64)
    triangles = _triangles(arrays["faces"])
    kept = (triangles < _OPAQUE).all(axis=1) & (template[triangles, 1] > _FLOOR_MM).all(axis=1)
    used, corners = np.unique(triangles[kept], return_inverse=True)
    faces, points = corners.reshape(-1, 3).astype(np.int64), template[used]
    landmarks = np.searchsorted(used, arrays["landmarks68"])
    landmark_faces = np.array([np.flatnonzero((faces == vertex).any(axis=1))[0] for vertex in landmarks])
    names = tuple(_readable(str(name)) for name in arrays["expression_names"])
    return Head(
        name="ict",
        template=_real(points),
        faces=torch.from_numpy(faces),
        shape_basis=_real(arrays["identity"][:, used] * np.float32(10 * IDENTITY_CM)),
        shape_names=tuple(f"identity{index:03d}" for index in range(len(arrays["identity"]))),
        expression_basis=_real(arrays["expression"][:, used] * np.float32(10 * EXPRESSION_CM)),
        expression_names=names,
        joint_regressor=_real(_joint_regressor(points, used, landmarks)),
        parents=PARENTS,
        joint_names=JOINT_NAMES,
        skinning=_real(_skinning(used)),
        pose_basis=None,
        landmark_faces=torch.from_numpy(landmark_faces),
        landmark_barycentric=_real(faces[landmark_faces] == landmarks[:, None]),
        part_labels=torch.from_numpy(_labels(points, faces, used, points[landmarks])),
    )


def _real(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _readable(name: str) -> str:
    return re.sub("_R$", "_right", re.sub("_L$", "_left", name))


def _triangles(faces: Array) -> Array:
    """Rows of three or four corners -> triangles; a quad's two, which share its first diagonal, follow each other."""
    halves = faces[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    return halves[(halves >= 0).all(axis=1)]


def _within(numbers: Array, *ranges: range) -> Array:
    return np.logical_or.reduce([(numbers >= r.start) & (numbers < r.stop) for r in ranges])


def _joint_regressor(points: Array, used: Array, landmarks: Array) -> Array:
    """Means of: the ring at the lower end, the ring below the chin, both sides before the ears, each eyeball."""
    skin, chin = _within(used, _SKIN), points[landmarks[8], 1]
    jaw = np.isin(np.arange(len(points)), landmarks[[1, 15]])
    rings = [np.abs(points[:, 1] - height) < 12 for height in (_FLOOR_MM, chin - 15)]
    eyes = [_within(used, eye) for eye in (_LEFT_EYEBALL, _RIGHT_EYEBALL)]
    chosen = np.stack([skin & rings[0], skin & rings[1], jaw, *eyes]).astype(np.float64)
    return chosen / chosen.sum(axis=1, keepdims=True)


def _skinning(used: Array) -> Array:
    weights = np.zeros((len(used), len(JOINT_NAMES)))
    weights[:, 0] = 1
    for joint, eye in (("left_eye", _LEFT_EYEBALL), ("right_eye", _RIGHT_EYEBALL)):
        weights[_within(used, eye)] = np.eye(len(JOINT_NAMES))[JOINT_NAMES.index(joint)]
    return weights


def _labels(points: Array, faces: Array, used: Array, landmarks: Array) -> Array:
    """(F,) part labels: from the vertex ranges, and on the skin from the landmarks."""
    labels = np.full(len(faces), PARTS.index("skin"), np.int64)
    centres, first = points[faces].mean(axis=1), used[faces[:, 0]]
    skin = np.flatnonzero(_within(first, _SKIN))
    places = centres[skin]
    front = places[:, 2] > landmarks[[36, 45], 2].mean() - 10
    upper = is_upper_lip(places, landmarks)
    brows = brow_sides(places, landmarks)
    left, ear = places[:, 0] < 0, _on_ear(places)
    for part, where in (
        ("neck", _below_jaw(places, landmarks)),
        ("nose", front & on_nose(places, landmarks)),
        ("upper_lip", front & on_lips(places, landmarks) & upper),
        ("lower_lip", front & on_lips(places, landmarks) & ~upper),
        ("left_brow", brows < 0),
        ("right_brow", brows > 0),
        ("left_ear", ear & left),
        ("right_ear", ear & ~left),
    ):
        labels[skin[where]] = PARTS.index(part)
    labels[_within(first, *_MOUTH)] = PARTS.index("inner_mouth")
    labels[_within(first, _LEFT_EYEBALL)] = PARTS.index("right_eye")  # PARTS names the sides of the image
    labels[_within(first, _RIGHT_EYEBALL)] = PARTS.index("left_eye")
    return labels


def _on_ear(places: Array) -> Array:
    offset = np.column_stack([-places[:, 2], places[:, 1]]) - _EAR_CENTRE
    sine, cosine = np.sin(_EAR_TILT), np.cos(_EAR_TILT)
    along = offset @ np.array([[cosine, sine], [-sine, cosine]])
    return ((along / _EAR_AXES) ** 2).sum(axis=1) + 100 * (np.abs(places[:, 0]) < _EAR_SIDE) < 1


def _below_jaw(places: Array, landmarks: Array) -> Array:
    """Below the line of the jaw's landmarks, which goes on level around the nape from the corners of the jaw."""
    middle = landmarks[[0, 16], 2].mean() - 30
    line = landmarks[:17]
    turn = np.arctan2(line[:, 0], line[:, 2] - middle)
    around = np.arctan2(places[:, 0], places[:, 2] - middle)
    height = np.interp(around, turn[3:14], line[3:14, 1])
    return places[:, 1] < height - 5
