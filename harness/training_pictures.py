"""Renders the pictures that mini models train on, once, into a folder of memory-mapped arrays."""

from __future__ import annotations

import logging
import multiprocessing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from harness.errors import HarnessError
from harness.files import digest, digest_files, write_json
from harness.geometry.alignment import fit_similarity
from harness.geometry.crop import square_of_sphere
from harness.heads.head import Head
from harness.samples import Camera
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import render
from harness.synthesis.subject import MIRROR_SEEDS, random_codes, random_subject, stream

log = logging.getLogger(__name__)
Array = NDArray[np.float64]

CROP_RADIUS = 135.0
"""Millimetres: half the side of a regular crop at the depth of its centre."""


@dataclass(frozen=True)
class PictureSettings:
    """What is rendered.

    Attributes:
        subjects: how many people; their seeds count from `first_seed`.
        views: pictures of each; the first is near-frontal, the others are not.
        size: side of a picture in pixels; it shows one and a half times a regular crop.
        neutral: share of the subjects with a neutral face.
        first_seed: of the subjects.
        processes: rendering at the same time.
    """

    subjects: int = 2400
    views: int = 4
    size: int = 144
    neutral: float = 0.3
    first_seed: int = 0
    processes: int = 2

    def __post_init__(self) -> None:
        last = self.first_seed + self.subjects - 1
        if self.first_seed < 0 or last >= MIRROR_SEEDS:
            raise HarnessError(
                f"pictures: seeds {self.first_seed} to {last}, expected 0 to {MIRROR_SEEDS - 1}; later ones are the "
                "mirrors' subjects, which nothing may train on: lower first_seed or subjects"
            )


def crop_centre(head: Head) -> Array:
    """(3,) the middle of a regular crop in the head's frame: behind the face, so that profiles fit too."""
    landmarks = head.landmarks(head.template[None])[0].double().numpy()
    middle: Array = landmarks.mean(axis=0) + np.array([0.0, 15.0, -55.0])
    return middle


def render_training_set(settings: PictureSettings, folder: Path, head: Head) -> Path:
    """The folder of the finished pictures; renders those that are missing.

    Its name is a digest of the settings, the head and the code that draws, so a change to any of them renders anew.
    """
    code = Path(__file__).parent
    heads = [code / "heads" / "head.py", *(code / "heads").glob("procedural*.py")]
    sources = [*heads, *(code / "synthesis").glob("*.py"), Path(__file__)]
    kept = {k: v for k, v in asdict(settings).items() if k != "processes"}
    target = folder / digest(repr(sorted(kept.items())) + digest_files(sources, code) + head.name)
    if (target / "manifest.json").exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    arrays = _open_arrays(settings, len(head.template), target)
    missing = [int(i) for i in np.flatnonzero(~arrays["done"])]
    log.info("renders %d subjects into %s", len(missing), target)
    # Fresh interpreters: threads of numerical libraries do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(settings.processes) as pool:
        for index, values in tqdm(
            pool.imap_unordered(partial(_subject, settings), missing, chunksize=4), total=len(missing), desc="pictures"
        ):
            for name, value in values.items():
                arrays[name][index] = value
            arrays["done"][index] = True
    for array in arrays.values():
        array.flush()
    write_json(target / "manifest.json", {"settings": kept, "head": head.name})
    return target


def _open_arrays(settings: PictureSettings, vertices: int, folder: Path) -> dict[str, np.memmap]:
    n, v, s = settings.subjects, settings.views, settings.size
    kinds: dict[str, tuple[type, tuple[int, ...]]] = {
        "done": (np.bool_, (n,)),
        "images": (np.uint8, (n, v, s, s, 4)),
        "projection": (np.float64, (n, v, 3, 4)),
        "rotation": (np.float64, (n, v, 3, 3)),
        "spheres": (np.float64, (n, v, 3)),
        "landmarks": (np.float32, (n, 68, 3)),
        "offsets": (np.float16, (n, vertices, 3)),
    }
    arrays = {}
    for name, (dtype, shape) in kinds.items():
        path = folder / f"{name}.npy"
        mode = "r+" if path.exists() else "w+"
        arrays[name] = np.lib.format.open_memmap(path, mode, dtype, shape)
    return arrays


def _subject(settings: PictureSettings, index: int) -> tuple[int, dict[str, NDArray[np.generic]]]:
    """One subject's values for every array, in the head's own frame."""
    from harness.heads.procedural import procedural_head

    head = procedural_head()
    seed = settings.first_seed + index
    rng, expression = _chance(settings, seed)
    subject = random_subject(seed, head, expression=expression)
    template = head.landmarks(head.template[None])[0].double().numpy()
    place = fit_similarity(template, subject.landmarks, scale="none")
    to_world = np.eye(4)
    to_world[:3, :3], to_world[:3, 3] = place.rotation, place.translation
    centre = place.rotation @ crop_centre(head) + place.translation
    images, projections, rotations, spheres = [], [], [], []
    for view in range(settings.views):
        camera = _camera(rng, centre, settings.size, frontal=view == 0)
        picture = render(subject, camera, seed=settings.views * seed + view, antialias=bool(rng.random() < 0.5))
        images.append(np.dstack([picture.image, 255 * picture.mask.astype(np.uint8)]))
        projections.append(camera.projection @ to_world)
        rotations.append(camera.rotation @ place.rotation)
        square = square_of_sphere(camera, centre, CROP_RADIUS)
        assert square is not None  # the camera is outside the head
        spheres.append([square.x, square.y, square.side / 2])
    local = (subject.vertices.astype(np.float64) - place.translation) @ place.rotation
    return index, {
        "images": np.stack(images),
        "projection": np.stack(projections),
        "rotation": np.stack(rotations),
        "spheres": np.array(spheres),
        "landmarks": (subject.landmarks - place.translation) @ place.rotation,
        "offsets": local - head.template.double().numpy(),
    }


def _chance(settings: PictureSettings, seed: int) -> tuple[np.random.Generator, bool]:
    """What the pictures of a subject are drawn with, and whether the face has an expression."""
    rng = stream(seed, 100)
    return rng, bool(rng.random() >= settings.neutral)


def codes_of_training_set(settings: PictureSettings, head: Head) -> tuple[Array, Array, Array]:
    """The coefficients behind the pictures: (N, S) identity, (N, E) expression, (N, J, 3) joints, axis-angle."""
    seeds = range(settings.first_seed, settings.first_seed + settings.subjects)
    shapes, expressions, poses = zip(
        *(random_codes(seed, head, _chance(settings, seed)[1]) for seed in seeds), strict=True
    )
    return np.stack(shapes), np.stack(expressions), np.stack(poses)


def _camera(rng: np.random.Generator, centre: Array, size: int, frontal: bool) -> Camera:
    """Looks at the head from any distance of a portrait; the picture shows one and a half regular crops."""
    yaw = float(np.clip(rng.normal(0, 18), -45, 45)) if frontal else float(rng.uniform(-95, 95))
    pitch, roll = np.clip(rng.normal(0, 8, 2), -22, 22)
    distance = float(np.exp(rng.uniform(np.log(450), np.log(2500))))
    target = centre + rng.normal(0, 6.0, 3)
    return orbit_camera(yaw, float(pitch), distance, size * distance / (3 * CROP_RADIUS), size, target, float(roll))
