"""MediaPipe Face Mesh as a method: 478 points of the first view's face, in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness import DataError, HarnessError, MethodAdapter, Prediction, Sample, View
from harness.methods.mediapipe.points import COUNT, in_millimetres, intrinsics, landmarks, partners, triangles

MARGIN = 0.5
"""Of the cut-out around a face's box, in the box's sides: the detector wants to see the surroundings."""
SIZE = 512
"""Pixels of a cut-out's side."""
LOOKS = 3
"""How often the network looks at a cut-out, each time where it saw the face before."""
TRACKS = ("auto", "own", "shared")


class MediaPipe(MethodAdapter):
    """Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", CVPRW 2019.

    The package's tracking, made for video, is given the same picture several times: where its detector puts the face,
    and the mesh with it, changes with every pixel of the cut-out, but not where the mesh itself puts it. The answer is
    the mean of the picture's mesh and its mirror image's.

    Args:
        track: who finds the face: "own" detector in the whole picture, "shared" box of the data set; "auto" takes the
            box where there is one.
        confidence: of the detector, from which on something is a face.

    Raises:
        HarnessError: another track.
    """

    unit = "mm"
    paper = (
        "Kartynnik et al., Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs, CVPR Workshops 2019"
    )
    family = "regressor"

    def __init__(self, track: str = "auto", confidence: float = 0.1) -> None:
        if track not in TRACKS:
            raise HarnessError(f"method.options.track={track}: expected {', '.join(TRACKS)}")
        self.track, self.confidence = track, confidence

    def load(self, device: Any) -> None:
        """Opens the networks that come with the package; they run on the CPU, whatever `device` is."""
        import cv2
        from mediapipe.python.solutions import face_detection, face_mesh
        from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

        self.cv2 = cv2
        self.faces = triangles(FACEMESH_TESSELATION)
        self.partners = partners()
        self.mesh = face_mesh.FaceMesh(
            refine_landmarks=True,
            min_detection_confidence=self.confidence,
            min_tracking_confidence=self.confidence,
        )
        self.detector = face_detection.FaceDetection(model_selection=1, min_detection_confidence=self.confidence)

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One mesh per sample, in the frame of its first view's camera."""
        return [self._answer(sample.views[0]) for sample in samples]

    def _answer(self, view: View) -> Prediction:
        with self.stage("input"):
            image = np.ascontiguousarray(view.read_image())
            box = self._box(view, image)
        with self.stage("network"):
            points = None if box is None else self._points(image, box)
        if points is None:
            size = f"{image.shape[1]}x{image.shape[0]}"
            return Prediction.failed("no_face", f"MediaPipe finds no face in {size} pixels")
        with self.stage("decode"):
            height, width = image.shape[:2]
            camera = intrinsics(width, height) if view.camera is None else view.camera.intrinsics
            vertices = in_millimetres(points, camera)
            return Prediction(
                vertices=vertices,
                faces=self.faces,
                landmarks=landmarks(vertices),
                landmarks_2d=landmarks(points[:, :2]),
                projection=np.hstack([camera, np.zeros((3, 1))]),
            )

    def _box(self, view: View, image: Any) -> Any:
        """(4,) left, top, right, bottom around the face; None where the detector finds none."""
        if view.box is not None and self.track != "own":
            return view.box
        if self.track == "shared":
            raise DataError("track=shared: the data set gives no face box for this view; choose own or auto")
        points = self._found(_square(image), 1)
        if points is not None:
            return np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
        found = self.detector.process(image).detections  # sees smaller faces
        if not found:
            return None
        place = found[0].location_data.relative_bounding_box
        low = np.array([place.xmin * image.shape[1], place.ymin * image.shape[0]])
        return np.concatenate([low, low + np.array([place.width * image.shape[1], place.height * image.shape[0]])])

    def _points(self, image: Any, box: Any) -> Any:
        """(478, 3) pixels of the picture, and depth in pixels; None without a face."""
        sides = box[2:] - box[:2]
        half = sides.max() / 2 + MARGIN * sides.mean()
        corner, scale = (box[:2] + box[2:]) / 2 - half, 2 * half / SIZE
        place = np.column_stack([scale * np.eye(2), corner])
        flags = self.cv2.INTER_CUBIC | self.cv2.WARP_INVERSE_MAP
        cut = self.cv2.warpAffine(image, place, (SIZE, SIZE), flags=flags)
        meshes = [self._found(cut, LOOKS), self._found(np.ascontiguousarray(cut[:, ::-1]), LOOKS)]
        if meshes[1] is not None:
            meshes[1] = (meshes[1] * [-1.0, 1.0, 1.0] + [SIZE - 1, 0.0, 0.0])[self.partners]
        known = [mesh for mesh in meshes if mesh is not None]
        return scale * np.mean(known, axis=0) + [*corner, 0.0] if known else None

    def _found(self, picture: Any, looks: int) -> Any:
        """(478, 3) pixels and depth in a square picture; None without a face."""
        self.mesh.reset()  # else it looks where the last picture's face was
        for _ in range(looks):
            found = self.mesh.process(picture).multi_face_landmarks
        if not found or len(found[0].landmark) != COUNT:
            return None
        return len(picture) * np.array([(p.x, p.y, p.z) for p in found[0].landmark]) - [0.5, 0.5, 0.0]


def _square(image: Any) -> Any:
    """The picture in the corner of a square one: the package places points well in square pictures only."""
    square = np.zeros((max(image.shape[:2]), max(image.shape[:2]), 3), np.uint8)
    square[: image.shape[0], : image.shape[1]] = image
    return square
