"""Renders FaceVerse's textured scans into the layout that `harness.datasets.faceverse` reads.

    python -m harness.datasets.faceverse_render DATA/faceverse --unit m --landmarks landmarks.txt

The file of landmarks names seven vertices of the fitted models (`001_01.ply`, one topology for all scans), one line
`name index` each, names as in harness.protocols.now_truth.NOW_LANDMARKS: annotated once, they hold for every scan.
Pictures show the texture as it is, without light, from the cameras that `harness.datasets.faceverse_views` defines.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trimesh
from PIL import Image
from tqdm import tqdm

from harness.datasets.faceverse import FIRST_TEST_PERSON, SPLITS
from harness.datasets.faceverse_views import (
    SCAN_NAME,
    SIZE,
    VIEW_SETS,
    Index,
    Placement,
    camera_at,
    require_upright,
    view_angles,
    write_scan_files,
    write_views,
)
from harness.errors import DataError, HarnessError
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh, read_mesh
from harness.geometry.raycast import RayCaster
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.samples import MILLIMETRES_PER, Array, Camera

log = logging.getLogger(__name__)

VERSION = "rendered-1"
AXES = {"y-down": np.diag([1.0, -1.0, -1.0]), "y-up": np.eye(3)}
_FINER = 2  # rays per pixel along each side
_FARTHEST_MM = 20.0


class Textured(NamedTuple):
    """A mesh with a picture on it: (V, 3) world millimetres, (F, 3), (V, 2) texture coordinates, (H, W, 3) uint8."""

    vertices: Array
    faces: Array
    coordinates: Array
    texture: Array


def render_scans(
    folder: Path,
    unit: str,
    landmarks: Path,
    axes: str = "y-down",
    split: str = "test",
    views: Sequence[str] = VIEW_SETS,
    size: int = SIZE,
) -> None:
    """Renders every scan of a split; those that were finished before are left as they are.

    Args:
        folder: with a folder per scan, as released.
        unit: of the scans: "m", "cm" or "mm".
        landmarks: lines `name index`, see the module.
        axes: "y-down" as released (z away from the face), or "y-up" (z towards the front).
        split: "test" (people 111 to 128) or "all".
        views: "random", "grid" or both.
        size: of the pictures, pixels.

    Raises:
        DataError: a scan, its texture, its fitted model or the landmarks are missing or contradict each other.
    """
    marks = _read_vertices(landmarks)
    named = sorted(path.name for path in folder.iterdir() if SCAN_NAME.fullmatch(path.name)) if folder.is_dir() else []
    scans = [name for name in named if split == "all" or int(name[:3]) >= FIRST_TEST_PERSON]
    if not scans:
        raise DataError(f"{folder}: has no folder named like 111_01 of the {split} split ({len(named)} of others)")
    for scan in tqdm(scans, desc="Rendering", unit="scan"):
        missing = [v for v in views if not (folder / "rendered" / scan / f"{v}.npz").is_file()]
        if missing:
            _render_scan(folder, scan, Placing(MILLIMETRES_PER[unit], AXES[axes], marks), missing, size)
    there = sorted(path.name for path in (folder / "rendered").iterdir() if SCAN_NAME.fullmatch(path.name))
    done = {v: tuple(n for n in there if (folder / "rendered" / n / f"{v}.npz").is_file()) for v in VIEW_SETS}
    Index(VERSION, done).write(folder / "rendered")


class Placing(NamedTuple):
    """What is the same for all scans: millimetres per unit, (3, 3) file to world, (7,) vertices of the fitted model."""

    unit_mm: float
    axes: Array
    marks: Array


def _render_scan(folder: Path, scan: str, placing: Placing, views: Sequence[str], size: int) -> None:
    path = folder / scan / f"{scan}.obj"
    mesh = read_mesh(path)
    placement = Placement.of_scan(mesh.vertices, placing.axes, placing.unit_mm)
    rendered = folder / "rendered" / scan
    rendered.mkdir(parents=True, exist_ok=True)
    landmarks = _landmarks(folder / scan / f"{scan}.ply", mesh, placing)
    require_upright(placement.apply(landmarks), path)
    write_scan_files(rendered, placement, landmarks)
    textured = read_textured(path, placement)
    caster = RayCaster(textured.vertices, textured.faces)
    for name in views:
        angles = view_angles(name, scan)
        write_views(
            rendered,
            name,
            angles,
            [photograph(textured, caster, camera_at(a, placement.divisor, size)) for a in angles],
        )


def _landmarks(path: Path, scan: Mesh, placing: Placing) -> Array:
    """(7, 3) points of the scan nearest to the fitted model's vertices, in the coordinates of the file."""
    fitted = read_mesh(path).vertices
    if placing.marks.max() >= len(fitted):
        raise DataError(f"{path}: has vertices 0..{len(fitted) - 1}, but a landmark is vertex {placing.marks.max()}")
    closest = ClosestPoints(scan).query(fitted[placing.marks])
    away = closest.distances * placing.unit_mm
    if away.max() > _FARTHEST_MM:
        name = list(NOW_LANDMARKS)[int(away.argmax())]
        raise DataError(f"{path}: {name} is {away.max():.3g} mm away from the scan; are unit and landmarks right?")
    return closest.points


def read_textured(path: Path, placement: Placement) -> Textured:
    """Reads an OBJ with the texture that the .mtl of its name refers to. Raises DataError if there is not one."""
    material = path.with_suffix(".mtl")
    try:
        named = [line.split(maxsplit=1)[1] for line in material.read_text().splitlines() if line.startswith("map_Kd ")]
        with Image.open(path.parent / named[0].strip()) as picture:
            texture = np.asarray(picture.convert("RGB"))
        mesh: Any = trimesh.load(path, process=False, force="mesh")
        coordinates = np.asarray(mesh.visual.uv, np.float32)
    except (AttributeError, IndexError, ValueError, OSError) as error:
        raise DataError(
            f"{path}: has no texture that can be read ({error}); .mtl and picture belong beside it"
        ) from None
    if len(named) > 1 or coordinates.shape != (len(mesh.vertices), 2):
        raise DataError(f"{material}: names {len(named)} textures, expected one, and coordinates for every vertex")
    return Textured(placement.apply(np.asarray(mesh.vertices)), np.array(mesh.faces), coordinates, texture)


def photograph(mesh: Textured, caster: RayCaster, camera: Camera) -> Array:
    """(S, S, 4) uint8 RGBA on white; alpha is the share of the pixel that the mesh covers."""
    steps = (np.arange(camera.width * _FINER) + 0.5) / _FINER - 0.5
    columns, rows = np.meshgrid(steps, steps)
    pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)], axis=1)
    hits = caster.cast(camera.centre, pixels @ np.linalg.inv(camera.intrinsics).T @ camera.rotation)
    seen = hits.face >= 0
    colours = np.full((len(pixels), 3), 255.0, np.float32)
    corners = mesh.coordinates[mesh.faces[hits.face[seen]]]
    colours[seen] = _texels(mesh.texture, np.einsum("nk,nkd->nd", hits.barycentric[seen], corners))
    rgba = np.column_stack([colours, np.where(seen, 255.0, 0.0)])
    size = camera.width
    mean = rgba.reshape(size, _FINER, size, _FINER, 4).mean(axis=(1, 3))
    return np.rint(mean).astype(np.uint8)


def _texels(texture: Array, coordinates: Array) -> Array:
    """(N, 3) float32 colours at (N, 2) texture coordinates (origin at the bottom left), bilinear."""
    height, width = texture.shape[:2]
    x = np.clip(coordinates[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip((1 - coordinates[:, 1]) * height - 0.5, 0, height - 1)
    left, top = x.astype(int), y.astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = (x - left)[:, None], (y - top)[:, None]
    upper = texture[top, left] * (1 - u) + texture[top, right] * u
    lower = texture[bottom, left] * (1 - u) + texture[bottom, right] * u
    return (upper * (1 - v) + lower * v).astype(np.float32)


def _read_vertices(path: Path) -> Array:
    """(7,) vertex indices in the order of NOW_LANDMARKS."""
    try:
        found = {name: int(index) for name, index in (line.split() for line in path.read_text().splitlines() if line)}
        marks = np.array([found[name] for name in NOW_LANDMARKS])
    except (OSError, ValueError, KeyError) as error:
        names = ", ".join(NOW_LANDMARKS)
        raise DataError(f"{path}: expected seven lines `name vertex_index` for {names} ({error})") from None
    if marks.min() < 0:
        raise DataError(f"{path}: vertex {marks.min()}, expected indices from 0")
    return marks


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m harness.datasets.faceverse_render", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, help="with a folder per scan, as released")
    parser.add_argument("--unit", required=True, choices=list(MILLIMETRES_PER), help="of the scans")
    parser.add_argument("--landmarks", required=True, type=Path, help="lines `name index` into the fitted models")
    parser.add_argument("--axes", default="y-down", choices=list(AXES), help="of the scans [y-down]")
    parser.add_argument("--split", default="test", choices=list(SPLITS), help="[test]")
    parser.add_argument("--views", nargs="+", default=list(VIEW_SETS), choices=list(VIEW_SETS), help="[both]")
    parser.add_argument("--size", default=SIZE, type=int, help=f"of the pictures, pixels [{SIZE}]")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        render_scans(**vars(parser.parse_args(arguments)))
    except HarnessError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
