"""Cameras, placement and files of rendered FaceVerse scans: the part of the layout that this harness defines.

KaoLRM (whose FaceVerse figures are quoted) released neither its renderings nor the list of its cameras. What its paper
and configuration say is kept: 32 random views of the frontal hemisphere, the scan scaled into the box [-1, 1]^3, common
intrinsics (224 pixels, focal length 0.75 of the image's width), cameras at distance 2 that look at the origin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.errors import ContractError, DataError
from harness.files import read_arrays, write_arrays, write_json
from harness.geometry.mesh import Mesh
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.samples import Array, Camera
from harness.synthesis.cameras import look_at

VIEW_SETS = ("random", "grid")
RANDOM_VIEWS = 32
SEED = 0
SIZE = 224
FOCAL = 0.75
DISTANCE = 2.0
GRID_YAWS, GRID_PITCHES = tuple(range(-90, 91, 15)), (-15, 0, 15)
SCAN_NAME = re.compile(r"\d{3}_\d{2}")
REMEDY = "render the scans again (see datasets/faceverse.py), or use the open synthetic stand-in with data=mirror"


@dataclass(frozen=True)
class Angles:
    """Where a camera stands: degrees, yaw positive to the subject's left, pitch positive above."""

    yaw: float
    pitch: float


def view_angles(views: str, scan: str) -> list[Angles]:
    """The cameras of a view set: "random" is drawn for each scan's name, "grid" is the same for all.

    Random directions are uniform on the half of the sphere in front of the face.
    """
    if views == "grid":
        return [Angles(yaw, pitch) for pitch in GRID_PITCHES for yaw in GRID_YAWS]
    rng = np.random.default_rng([SEED, *scan.encode()])
    x, y, z = (directions := rng.standard_normal((RANDOM_VIEWS, 3))).T / np.linalg.norm(directions, axis=1)
    yaws, pitches = np.rad2deg(np.arctan2(x, np.abs(z))), np.rad2deg(np.arcsin(y))
    return [Angles(float(yaw), float(pitch)) for yaw, pitch in zip(yaws, pitches, strict=True)]


def camera_at(angles: Angles, unit_mm: float = 1.0, size: int = SIZE) -> Camera:
    """A camera that looks at the origin from `DISTANCE` units of `unit_mm` millimetres."""
    yaw, pitch = np.deg2rad(angles.yaw), np.deg2rad(angles.pitch)
    towards = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    return look_at(DISTANCE * unit_mm * towards, np.zeros(3), FOCAL * size, size)


@dataclass(frozen=True, eq=False)
class Placement:
    """Takes a scan file's coordinates to the world of its pictures: centred, x to the subject's left, y up, z forward.

    Attributes:
        axes: (3, 3) rotation of the file's axes to those of the world.
        unit_mm: millimetres per unit of the file.
        centre: (3,) millimetres, of the scan's box after both.
        divisor: millimetres, half of the longest side of the box: the unit of normalised lengths.
    """

    axes: Array
    unit_mm: float
    centre: Array
    divisor: float

    @classmethod
    def of_scan(cls, vertices: Array, axes: Array, unit_mm: float) -> Placement:
        """The placement that the scan's own vertices (N, 3) call for."""
        turned = vertices @ np.asarray(axes, np.float64).T * unit_mm
        low, high = turned.min(axis=0), turned.max(axis=0)
        return cls(np.asarray(axes, np.float64), unit_mm, (low + high) / 2, float((high - low).max()) / 2)

    def apply(self, points: Array) -> Array:
        """(N, 3) of the file -> (N, 3) world millimetres."""
        return points @ self.axes.T * self.unit_mm - self.centre

    def invert(self, points: Array) -> Array:
        """(N, 3) world millimetres -> (N, 3) of the file."""
        return (points + self.centre) / self.unit_mm @ self.axes


def write_scan_files(folder: Path, placement: Placement, landmarks: Array) -> None:
    """Writes `scan.json` and `landmarks.txt` of one scan; `landmarks` (7, 3) in the coordinates of its file."""
    write_json(
        folder / "scan.json",
        {
            "axes": placement.axes.tolist(),
            "unit_mm": placement.unit_mm,
            "centre_mm": placement.centre.tolist(),
            "divisor_mm": placement.divisor,
        },
    )
    pairs = zip(NOW_LANDMARKS, np.asarray(landmarks, np.float64).tolist(), strict=True)
    lines = [f"{name} {x!r} {y!r} {z!r}\n" for name, (x, y, z) in pairs]
    (folder / "landmarks.txt").write_text("".join(lines), encoding="ascii")


def write_views(folder: Path, views: str, angles: Sequence[Angles], pictures: Sequence[Array]) -> None:
    """Writes (S, S, 4) uint8 RGBA pictures of one scan's view set and, last, their cameras."""
    cameras = [camera_at(a, size=pictures[0].shape[0]) for a in angles]
    arrays = {
        "intrinsics": cameras[0].intrinsics,
        "rotation": np.stack([camera.rotation for camera in cameras]),
        "translation": np.stack([camera.translation for camera in cameras]),
        "yaw": np.array([a.yaw for a in angles]),
        "pitch": np.array([a.pitch for a in angles]),
        "size": np.array(pictures[0].shape[0]),
    }
    (folder / views).mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / picture_name(views, index))
    write_arrays(folder / f"{views}.npz", arrays)


def picture_name(views: str, index: int) -> str:
    """Path of a picture below its scan's rendered folder."""
    return f"{views}/{index:02d}.png"


def on_white(image: Array, mask: Array) -> Array:
    """(S, S, 3) picture and (S, S) bool of what is opaque -> (S, S, 4), white behind, as KaoLRM takes its input."""
    rgb = np.where(mask[..., None], image, np.uint8(255))
    return np.dstack([rgb, mask.astype(np.uint8) * 255])


# -- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """Which scans have been rendered.

    Attributes:
        version: one word that stands beside every result.
        scans: view set -> names like 001_01, in order: the denominator.
    """

    version: str
    scans: Mapping[str, tuple[str, ...]]

    def write(self, folder: Path) -> None:
        """Writes `index.json` into the rendered folder, atomically: with it the rendering is complete."""
        scans = {views: list(names) for views, names in self.scans.items()}
        write_json(folder / "index.json", {"version": self.version, "scans": scans})


def read_index(path: Path) -> Index:
    """Reads `index.json`. Raises DataError if it is something else, or lists a scan twice."""
    try:
        stored = json.loads(path.read_text())
        version, scans = str(stored["version"]), {views: tuple(stored["scans"].get(views, ())) for views in VIEW_SETS}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}: {error}); {REMEDY}") from None
    for names in scans.values():
        wrong = [name for name in names if not SCAN_NAME.fullmatch(str(name)) or names.count(name) > 1]
        if wrong or len(version.split()) != 1:
            raise DataError(f"{path}: version {version!r}, scans {wrong[:5]}: expected one word, and names like 001_01")
    return Index(version, scans)


def read_placement(path: Path) -> Placement:
    """Reads `scan.json`. Raises DataError if it lacks a field or holds another kind of value."""
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
        axes, centre = np.array(stored["axes"], np.float64), np.array(stored["centre_mm"], np.float64)
        unit, divisor = float(stored["unit_mm"]), float(stored["divisor_mm"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}: {error}); {REMEDY}") from None
    finite = np.isfinite([*axes.ravel(), *centre, unit, divisor]).all()
    if axes.shape != (3, 3) or centre.shape != (3,) or not finite or not unit > 0 or not divisor > 0:
        raise DataError(f"{path}: axes {axes.tolist()}, centre_mm, unit_mm or divisor_mm out of range; {REMEDY}")
    if np.abs(axes @ axes.T - np.eye(3)).max() > 1e-6 or np.linalg.det(axes) < 0:
        raise DataError(f"{path}: axes are no rotation, so the scan would be skewed or mirrored; {REMEDY}")
    return Placement(axes, unit, centre, divisor)


def read_landmarks(path: Path) -> Array:
    """(7, 3) in the order of NOW_LANDMARKS, in the coordinates of the scan's file."""
    try:
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        points = {name: [float(x), float(y), float(z)] for name, x, y, z in rows}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected seven lines `name x y z` ({error}); annotate the scan again") from None
    missing = [name for name in NOW_LANDMARKS if name not in points]
    if missing or len(rows) != len(NOW_LANDMARKS):
        lacks = f"lacks {', '.join(missing)}" if missing else f"has {len(rows)} lines"
        raise DataError(f"{path}: {lacks}; expected one line each for {', '.join(NOW_LANDMARKS)}")
    landmarks = np.array([points[name] for name in NOW_LANDMARKS])
    bad = [name for name, point in zip(NOW_LANDMARKS, landmarks, strict=True) if not np.isfinite(point).all()]
    if bad:
        raise DataError(f"{path}: {', '.join(bad)} is NaN or infinite; annotate the scan again")
    return landmarks


@dataclass(frozen=True, eq=False)
class CameraList:
    """What `<views>.npz` holds: cameras in normalised units with their angles."""

    cameras: tuple[Camera, ...]
    angles: tuple[Angles, ...]

    def in_millimetres(self, index: int, divisor: float) -> Camera:
        """One camera in the world of the scan's pictures."""
        camera = self.cameras[index]
        return Camera(camera.intrinsics, camera.rotation, camera.translation * divisor, camera.width, camera.height)


def read_cameras(path: Path, views: str) -> CameraList:
    """Reads the cameras of one scan's view set. Raises DataError if their number or shapes are wrong."""
    stored = read_arrays(path)
    count = RANDOM_VIEWS if views == "random" else len(GRID_YAWS) * len(GRID_PITCHES)
    shapes = {"intrinsics": (3, 3), "rotation": (count, 3, 3), "translation": (count, 3), "yaw": (count,)}
    for name, shape in {**shapes, "pitch": (count,), "size": ()}.items():
        found = stored[name].shape if name in stored else "nothing"
        if found != shape or not np.isfinite(stored[name]).all():
            raise DataError(f"{path}: {name}: expected {shape} finite numbers, found {found}; {REMEDY}")
    size = int(stored["size"])
    try:
        cameras = tuple(
            Camera(stored["intrinsics"], rotation, translation, size, size)
            for rotation, translation in zip(stored["rotation"], stored["translation"], strict=True)
        )
    except ContractError as error:
        raise DataError(f"{path}: {error}; {REMEDY}") from None
    angles = zip(stored["yaw"].tolist(), stored["pitch"].tolist(), strict=True)
    return CameraList(cameras, tuple(Angles(yaw, pitch) for yaw, pitch in angles))


def placed_mesh(mesh: Mesh, placement: Placement, path: Path) -> Mesh:
    """The scan in the world of its pictures. Raises DataError if it is not the scan that was rendered."""
    now = Placement.of_scan(mesh.vertices, placement.axes, placement.unit_mm)
    shift = float(np.abs(now.centre - placement.centre).max())
    if max(shift, abs(now.divisor - placement.divisor)) > 1e-3 * placement.divisor:
        raise DataError(
            f"{path}: its box (half side {now.divisor:.4g} mm, centre {np.round(now.centre, 2).tolist()}) is not that "
            f"of the scan that was rendered ({placement.divisor:.4g} mm, {np.round(placement.centre, 2).tolist()}); "
            f"{REMEDY}"
        )
    return Mesh(placement.apply(mesh.vertices), mesh.faces)


def require_upright(landmarks: Array, path: Path) -> None:
    """Raises DataError where a scan's landmarks (7, 3), world millimetres, do not look along z with y upwards."""
    side, up = landmarks[3] - landmarks[0], landmarks[1:3].mean(axis=0) - landmarks[5:7].mean(axis=0)
    ahead = np.cross(side, up)
    for name, vector, axis in (("left eye", side, 0), ("forehead", up, 1), ("nose", ahead, 2)):
        if not vector[axis] > 0.7 * np.linalg.norm(vector):
            found = "xyz"[int(np.abs(vector).argmax())]
            sign = "-" if vector.min() < -vector.max() else "+"
            raise DataError(
                f"{path}: by its landmarks the {name} is towards {sign}{found}, expected +{'xyz'[axis]}: "
                f"axes are swapped or turned; {REMEDY}"
            )
