"""The three values that everything else passes around: View, Sample, Prediction.

All are frozen and validated when made. Lengths are millimetres, pixels count from the centre of the
top-left pixel (0, 0), cameras follow OpenCV (x right, y down, z forward).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError, NonFiniteError
from harness.images import read_pixels

Array = NDArray[Any]

MILLIMETRES_PER = {"m": 1000.0, "cm": 10.0, "mm": 1.0}

FAILURE_REASONS = (
    "no_face",  # the method found no face in the image
    "bad_mesh",  # wrong shapes, indices out of range, impossible size
    "non_finite",  # NaN or infinite vertices
    "bad_input",  # the data set's own image or camera could not be read
    "missing",  # a folder of predictions made elsewhere has none for this sample
    "out_of_memory",
    "timeout",
    "crash",  # the adapter raised, or took its process down
)


def _array(name: str, value: Any, shape: tuple[int | None, ...], dtype: Any, finite: bool = True) -> Array:
    """Returns `value` as a read-only array of `dtype`, or raises a ContractError that names the field."""
    try:
        array = np.array(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise ContractError(f"{name}: not an array of {np.dtype(dtype).name} ({error})") from None
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = "(" + ", ".join("*" if n is None else str(n) for n in shape) + ")"
        raise ContractError(f"{name}: shape {array.shape}, expected {wanted}")
    if finite and not np.isfinite(array).all():
        raise NonFiniteError(f"{name}: {int((~np.isfinite(array)).sum())} values are NaN or infinite")
    array.setflags(write=False)
    return array


def _rebuild(cls: type, values: dict[str, Any]) -> Any:
    """Unpickles by making the value anew: a mapping proxy cannot be pickled, and what arrives is validated."""
    return cls(**values)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        intrinsics: (3, 3) float64, K with K[2, 2] = 1, in pixels.
        rotation: (3, 3) float64, world to camera.
        translation: (3,) float64 millimetres: camera point = rotation @ world point + translation.
        width, height: image size in pixels.
    """

    intrinsics: Array
    rotation: Array
    translation: Array
    width: int
    height: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "intrinsics", _array("camera.intrinsics", self.intrinsics, (3, 3), np.float64))
        object.__setattr__(self, "rotation", _array("camera.rotation", self.rotation, (3, 3), np.float64))
        object.__setattr__(self, "translation", _array("camera.translation", self.translation, (3,), np.float64))
        error = float(np.abs(self.rotation @ self.rotation.T - np.eye(3)).max())
        if error > 1e-4 or np.linalg.det(self.rotation) < 0:
            raise ContractError(f"camera.rotation: not a rotation (orthogonality error {error:.2g})")
        if self.width <= 0 or self.height <= 0:
            raise ContractError(f"camera: image size {self.width}x{self.height} must be positive")

    @property
    def centre(self) -> Array:
        """(3,) the camera's position in the world, millimetres."""
        return -self.rotation.T @ self.translation

    @property
    def projection(self) -> Array:
        """(3, 4) K [R | t]."""
        return self.intrinsics @ np.hstack([self.rotation, self.translation[:, None]])

    def project(self, points: Array) -> Array:
        """(N, 3) world millimetres -> (N, 2) pixels. Points behind the camera give meaningless pixels."""
        image = (points @ self.rotation.T + self.translation) @ self.intrinsics.T
        return image[:, :2] / image[:, 2:]


@dataclass(frozen=True, eq=False)
class View:
    """One image with what the data set gives about it.

    Attributes:
        image: path of an image file (read when asked for), or an (H, W, 3) uint8 RGB array.
        mask: path or (H, W) bool array, true on the subject; None where the data set has none. Of an image file with
            transparency (which may be `image` itself) it is the opaque part.
        camera: None where the data set has none.
        scene: (4, 4) maps the unit ball to the part of the world that holds the subject (H3DS's `scale_mat`).
        box: (4,) left, top, right, bottom of the face in pixels.
        landmarks: (68, 2) iBUG points in pixels, NaN where unknown.
    """

    image: Path | Array
    mask: Path | Array | None = None
    camera: Camera | None = None
    scene: Array | None = None
    box: Array | None = None
    landmarks: Array | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.image, Path):
            object.__setattr__(self, "image", _array("view.image", self.image, (None, None, 3), np.uint8))
        if self.mask is not None and not isinstance(self.mask, Path):
            object.__setattr__(self, "mask", _array("view.mask", self.mask, (None, None), np.bool_))
        if self.scene is not None:
            object.__setattr__(self, "scene", _array("view.scene", self.scene, (4, 4), np.float64))
        if self.box is not None:
            object.__setattr__(self, "box", _array("view.box", self.box, (4,), np.float64))
        if self.landmarks is not None:
            value = _array("view.landmarks", self.landmarks, (68, 2), np.float64, finite=False)
            object.__setattr__(self, "landmarks", value)

    def read_image(self) -> Array:
        """(H, W, 3) uint8 RGB, stored pixels (see `harness.images`). Raises DataError if missing or corrupt."""
        return self.image if not isinstance(self.image, Path) else read_pixels(self.image, "RGB")

    def read_mask(self) -> Array | None:
        """(H, W) bool, or None where the data set has no mask. Raises DataError if the file is corrupt."""
        if isinstance(self.mask, Path):
            return read_pixels(self.mask, "L") > 127
        return self.mask


@dataclass(frozen=True, eq=False)
class Sample:
    """One question to a method: one or more views of one subject.

    Attributes:
        id: unique in its benchmark; also a file name, so letters, digits and `._-` only.
        subject: whom it shows: the unit of resampling.
        views: at least one.
        condition: what results are broken down by, e.g. {"views": 3} or {"challenge": "selfie"}.
        group: samples of one group show the same surface, in one expression; the subject by default.
    """

    id: str
    subject: str
    views: tuple[View, ...]
    condition: Mapping[str, str | int] = field(default_factory=dict)
    group: str = ""

    def __post_init__(self) -> None:
        if not self.id or not all(c.isalnum() or c in "._-" for c in self.id) or self.id.startswith("."):
            raise ContractError(f"sample.id: {self.id!r} is not a plain file name (letters, digits, '.', '_', '-')")
        if not self.views:
            raise ContractError(f"sample {self.id}: has no view")
        object.__setattr__(self, "views", tuple(self.views))
        object.__setattr__(self, "condition", MappingProxyType(dict(self.condition)))
        object.__setattr__(self, "group", self.group or self.subject)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (Sample, {**self.__dict__, "condition": dict(self.condition)})


@dataclass(frozen=True, eq=False)
class Prediction:
    """A method's answer to one sample, in the unit that its adapter declares and a frame of its choice.

    Attributes:
        vertices: (V, 3) float64.
        faces: (F, 3) int64, indices into `vertices`.
        landmarks: (68, 3) float64 iBUG points in the frame and unit of `vertices`; a row of NaN where the
            topology has no such point.
        parameters: named coefficient vectors of a head model ("shape", "expression", "pose", ...).
        landmarks_2d: (N, 2) pixels in the first view: the 68 iBUG points, or those of the benchmark's own layout where
            a method is made for it.
        label_map: (H, W) labels of the first view's pixels, indices into `harness.protocols.labels.LABELS`.
        neutral_vertices: (V, 3), neutral_landmarks: (68, 3): the same face with neutral expression and pose, for
            benchmarks whose truth is neutral (NoW); None where the method has no such thing.
        source_unit: "m", "cm" or "mm": what the method answered in, before lengths were made millimetres. Official
            programs that round to single precision do so in this unit.
        in_world_frame: true where `vertices` already stand in the world frame of the sample's cameras.
        projection: (3, 4) takes homogeneous `vertices` to homogeneous pixels of the first view, where the method says
            how its mesh lies on the picture.
        failure: one of FAILURE_REASONS; then everything above is None or empty.
        detail: what happened, for a human.
    """

    vertices: Array | None = None
    faces: Array | None = None
    landmarks: Array | None = None
    parameters: Mapping[str, Array] = field(default_factory=dict)
    landmarks_2d: Array | None = None
    label_map: Array | None = None
    neutral_vertices: Array | None = None
    neutral_landmarks: Array | None = None
    projection: Array | None = None
    source_unit: str = "mm"
    in_world_frame: bool = False
    failure: str | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if self.failure is not None and self.failure not in FAILURE_REASONS:
            raise ContractError(f"prediction.failure: {self.failure!r} is not one of {', '.join(FAILURE_REASONS)}")
        if self.source_unit not in MILLIMETRES_PER:
            raise ContractError(f"prediction.source_unit: {self.source_unit!r}, expected m, cm or mm")
        answers = (self.vertices, self.faces, self.landmarks, self.landmarks_2d, self.label_map, self.neutral_vertices)
        if self.failure is not None and (self.parameters or any(answer is not None for answer in answers)):
            raise ContractError(f"prediction: failed ({self.failure}) but carries an answer; it is one or the other")
        if (self.vertices is None) != (self.faces is None):
            raise ContractError("prediction: vertices and faces belong together; one of them is missing")
        if self.vertices is not None:
            self._check_mesh()
        for name in ("landmarks", "neutral_landmarks"):
            if getattr(self, name) is not None:
                value = _array(f"prediction.{name}", getattr(self, name), (68, 3), np.float64, finite=False)
                if np.isinf(value).any():
                    raise NonFiniteError(f"prediction.{name}: infinite values (use NaN for a point that is missing)")
                object.__setattr__(self, name, value)
        if self.neutral_vertices is not None or self.neutral_landmarks is not None:
            self._check_neutral()
        if self.landmarks_2d is not None:
            value = _array("prediction.landmarks_2d", self.landmarks_2d, (None, 2), np.float64, finite=False)
            object.__setattr__(self, "landmarks_2d", value)
        if self.label_map is not None:
            value = _array("prediction.label_map", self.label_map, (None, None), np.int64)
            object.__setattr__(self, "label_map", value)
        if self.projection is not None:
            object.__setattr__(self, "projection", _array("prediction.projection", self.projection, (3, 4), np.float64))
        named = {k: _array(f"prediction.parameters[{k}]", v, (None,), np.float64) for k, v in self.parameters.items()}
        object.__setattr__(self, "parameters", MappingProxyType(named))

    def _check_mesh(self) -> None:
        vertices = _array("prediction.vertices", self.vertices, (None, 3), np.float64)
        if np.asarray(self.faces).size and not np.issubdtype(np.asarray(self.faces).dtype, np.integer):
            raise ContractError(f"prediction.faces: dtype {np.asarray(self.faces).dtype}, expected integers")
        faces = _array("prediction.faces", self.faces, (None, 3), np.int64)
        if not len(vertices):
            raise ContractError("prediction.vertices: the mesh is empty")
        if not len(faces):
            raise ContractError("prediction.faces: the mesh has no faces")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise ContractError(
                f"prediction.faces: index {int(faces.min())}..{int(faces.max())} outside 0..{len(vertices) - 1}"
            )
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)

    def _check_neutral(self) -> None:
        if self.vertices is None or self.neutral_vertices is None:
            raise ContractError("prediction: neutral landmarks and vertices need each other and the mesh itself")
        shape = (len(self.vertices), 3)
        value = _array("prediction.neutral_vertices", self.neutral_vertices, shape, np.float64)
        object.__setattr__(self, "neutral_vertices", value)
        if (self.landmarks is None) != (self.neutral_landmarks is None):
            raise ContractError("prediction: landmarks are given on only one of its two meshes (expressive, neutral)")

    @property
    def has_neutral(self) -> bool:
        """Whether the method also gave the face with neutral expression and pose."""
        return self.neutral_vertices is not None

    def neutral(self) -> Prediction:
        """The answer with its neutral mesh and landmarks in place of the others; as it is where there are none."""
        if self.neutral_vertices is None:
            return self
        changes: dict[str, Any] = {"vertices": self.neutral_vertices, "landmarks": self.neutral_landmarks}
        return replace(self, **changes, in_world_frame=False, projection=None)

    def in_millimetres(self, unit: str) -> Prediction:
        """The same answer, given in `unit`, with its 3D lengths in millimetres."""
        if unit == self.source_unit == "mm":
            return self
        factor = MILLIMETRES_PER[unit]
        lengths = ("vertices", "landmarks", "neutral_vertices", "neutral_landmarks")
        scaled = {k: getattr(self, k) * factor for k in lengths if getattr(self, k) is not None}
        if self.projection is not None:
            scaled["projection"] = self.projection / np.array([factor, factor, factor, 1.0])
        return replace(self, source_unit=unit, **scaled)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (Prediction, {**self.__dict__, "parameters": dict(self.parameters)})

    @classmethod
    def failed(cls, reason: str, detail: str = "") -> Prediction:
        """A prediction that says why there is none."""
        return cls(failure=reason, detail=detail)
