"""Who finds the face in a view: the method's own detector, the data set's box, or the data set's landmarks.

The regressors' official programs find faces with networks whose weights have to be downloaded: DECA and EMOCA with FAN
(the first face of several), SMIRK and TEASER with MediaPipe's face mesh, MICA with RetinaFace (the face nearest to the
image's centre; on NoW only a picture with exactly one). Here the `own` track is one detector for all, see
`harness.methods.regression.detector`, whose answer is turned into the box of the 68 landmarks, and of several faces the
largest is taken, for DECA's first one depends on its detector's order; `choose` has MICA's two rules. Where DECA's
program finds nothing it takes the whole image: here that is a failure, `no_face`. MediaPipe's mesh, which needs an
environment of its own, is the track `mediapipe` of all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from harness.errors import HarnessError
from harness.images import stored_turned
from harness.methods.regression.arcface import five_points
from harness.methods.regression.crops import BoxKind, FaceError, check_box
from harness.methods.regression.detector import Detection, FaceDetector
from harness.methods.regression.mesh_detector import MeshDetector
from harness.methods.regression.resampling import Image8
from harness.samples import Array, View

log = logging.getLogger(__name__)

Track = Literal["auto", "own", "mediapipe", "shared", "landmarks"]
Choice = Literal["largest", "centre", "only"]

POINTS_IN_BOX = {
    "shared": ((0.268, 0.358), (0.732, 0.358), (0.5, 0.582), (0.31, 0.739), (0.69, 0.739)),
    "landmarks": ((0.267, 0.195), (0.733, 0.195), (0.5, 0.475), (0.308, 0.674), (0.692, 0.674)),
}
"""Where the five points are in a box of each kind, in its width and height: medians over the NoW mirror
(`python -m tests.figures.detector_boxes 2`). They know nothing of the head's turn: off by 12 % of the face from the
front, by 30 % at profiles; those that the detector sees in a crop around the box (`points_in`), by half of it."""


@dataclass(frozen=True, eq=False)
class Face:
    """Where a face is, in pixels of the image.

    Attributes:
        box: (4,) left, top, right, bottom.
        kind: what the box encloses; the detector's answer counts as "landmarks", about whose box it is.
        points: (5, 2) in the order of `harness.methods.regression.arcface.TEMPLATE`; from the landmarks on their
            track, a guess from the box on the others.
        landmarks: (68, 2), NaN where unknown; on the landmarks track only.
        note: what a reader of the prediction should know; empty if nothing.
    """

    box: Array
    kind: BoxKind
    points: Array
    landmarks: Array | None = None
    note: str = ""


class FaceFinder:
    """Finds the one face of a view.

    Args:
        track: "own" asks the detector, "mediapipe" another one (see `mesh_detector`), "shared" takes the view's box,
            "landmarks" the box around its landmarks. "auto" is shared where the view has a box, else landmarks where
            it has those, else own.
        choose: which of several faces the detector's answer is: the largest, the one nearest to the image's centre, or
            none of them ("only").

    Raises:
        HarnessError: an unknown word, or track=own without the detector installed (on other tracks, when it is needed;
            there also if MediaPipe's environment cannot be built).
    """

    def __init__(self, track: Track = "auto", choose: Choice = "largest") -> None:
        for name, value, words in (("track", track, Track), ("choose", choose, Choice)):
            if value not in get_args(words):
                raise HarnessError(f"method.options.{name}={value}: expected {', '.join(get_args(words))}")
        self.track, self.choose = track, choose
        self._detector = FaceDetector() if track == "own" else None
        self._mesh: MeshDetector | None = None

    def find(self, view: View, image: Image8 | None = None) -> Face:
        """The face of a view.

        Args:
            view: as the data set gives it.
            image: its pixels, where they have been read already.

        Raises:
            FaceError: there is no face, or the view has not what the track takes; `reason` says which.
            DataError: the image cannot be read.
        """
        image = view.read_image() if image is None else image
        track = self._track_of(view)
        if track == "landmarks":
            face = _by_landmarks(view)
        elif track == "shared":
            face = _by_box(view)
        elif track == "mediapipe":
            face = self._by_mesh(view, image)
        else:
            face = self._by_detector(view, image)
        check_box(face.box, 1, image.shape)
        return face

    def points_in(self, picture: Image8) -> Array:
        """(5, 2) the points that the detector makes of a picture, for `arcface.face_crop_through_box`.

        Raises:
            FaceError: there is no face in it, or several where only one is wanted (`no_face`).
            HarnessError: the detector is not installed.
        """
        return self._by_detector(View(picture), picture).points

    def _track_of(self, view: View) -> Track:
        if self.track != "auto":
            return self.track
        if view.box is not None:
            return "shared"
        return "own" if view.landmarks is None else "landmarks"

    def _by_detector(self, view: View, image: Image8) -> Face:
        self._detector = self._detector or FaceDetector()
        found = self._detector(image)
        if not found:
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise FaceError("no_face", f"the detector finds no face in {size} pixels{_hint(view)}")
        if len(found) == 1:
            return Face(found[0].box, "landmarks", found[0].points)
        if self.choose == "only":
            raise FaceError("no_face", f"the detector finds {len(found)} faces, expected exactly one")
        largest = self.choose == "largest"
        chosen = found[0] if largest else _nearest_to_centre(found, image)
        note = f"{len(found)} faces found; took the {'largest' if largest else 'one nearest to the centre'}"
        log.info("%s: %s", view.image if isinstance(view.image, Path) else "image", note)
        return Face(chosen.box, "landmarks", chosen.points, note=note)

    def _by_mesh(self, view: View, image: Image8) -> Face:
        self._mesh = self._mesh or MeshDetector()
        landmarks = self._mesh(image)
        if landmarks is None:
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise FaceError("no_face", f"MediaPipe finds no face in {size} pixels{_hint(view)}")
        box = np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)])
        return Face(box, "landmarks", five_points(landmarks), landmarks)


def _by_box(view: View) -> Face:
    if view.box is None:
        raise FaceError("bad_input", "track=shared: the data set gives no face box for this view; choose own or auto")
    return Face(view.box, "shared", points_in_box(view.box, "shared"))


def _by_landmarks(view: View) -> Face:
    if view.landmarks is None:
        raise FaceError("bad_input", "track=landmarks: the data set gives none for this view; choose own or auto")
    known = np.isfinite(view.landmarks).all(axis=1)
    if known.sum() < 2:
        raise FaceError(
            "bad_input", f"track=landmarks: {int(known.sum())} of 68 landmarks are known, expected 2 or more"
        )
    box = np.concatenate([view.landmarks[known].min(axis=0), view.landmarks[known].max(axis=0)])
    points = five_points(view.landmarks)
    guess = points_in_box(box, "landmarks")
    lost = ~np.isfinite(points).all(axis=1)
    note = f"{int(lost.sum())} of the five points guessed from the box of the landmarks" if lost.any() else ""
    return Face(box, "landmarks", np.where(lost[:, None], guess, points), view.landmarks, note)


def points_in_box(box: Array, kind: Literal["shared", "landmarks"]) -> Array:
    """(5, 2) pixels where eyes, nose and mouth of an average face would be in a box (4,)."""
    return np.asarray(box[:2] + np.array(POINTS_IN_BOX[kind]) * (box[2:] - box[:2]))


def _nearest_to_centre(found: Sequence[Detection], image: Image8) -> Detection:
    centre = (np.array(image.shape[1::-1]) - 1) / 2
    return min(found, key=lambda face: float(np.linalg.norm((face.square[:2] + face.square[2:]) / 2 - centre)))


def _hint(view: View) -> str:
    if isinstance(view.image, Path) and stored_turned(view.image):
        return f": {view.image} is stored lying (EXIF orientation, which is not applied); save it upright"
    return ""
