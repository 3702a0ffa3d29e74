"""The synthetic stand-in for NoW, in its official layout: as many people and photographs, in the same categories.

Everything is random by seed and equal on each run. The scan shows the neutral face, whatever the photographs show.
The test split is a small one: no scans, and only there so that predicting and exporting can be tried.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from harness.datasets.now_files import CATEGORIES, SIDES
from harness.geometry.mesh import Mesh, write_mesh
from harness.heads.build import build_head
from harness.heads.head import Head
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.samples import Array, Camera
from harness.synthesis.batch import write_all
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.clothes import OCCLUDERS
from harness.synthesis.lighting import random_light
from harness.synthesis.render import render
from harness.synthesis.scan import scan_of
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_subject, stream

FIRST_SEED = MIRROR_SEEDS + 1_000
COUNTS = (
    *((3, 4, 3, 2), (11, 6, 5, 0), (7, 5, 4, 4), (6, 6, 6, 3), (3, 4, 7, 4), (5, 3, 3, 1), (9, 5, 4, 2)),
    *((6, 4, 5, 4), (4, 6, 5, 2), (7, 12, 0, 2), (5, 5, 9, 0), (2, 5, 8, 2), (7, 12, 5, 5), (1, 11, 0, 3)),
    *((6, 5, 0, 2), (6, 4, 5, 3), (3, 6, 3, 2), (9, 5, 6, 0), (3, 4, 3, 3), (5, 2, 5, 0)),
)
"""Photographs of each subject per category. Sums, extremes and the number of gaps are those of the validation split."""
TEST_COUNTS = ((1, 1, 1, 1),) * 4
SIZE = (360, 480)
LEAST_VERTICES = 80_000

_PLACE, _SHOT, _LIGHT, _NUMBER = range(44, 48)
_DIAGONALS = {"rear": 1.2, "front": 0.74}
"""Focal lengths of a phone's two cameras, in diagonals of the picture."""


def write_now_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    counts: Sequence[Sequence[int]] = COUNTS,
    test_counts: Sequence[Sequence[int]] = TEST_COUNTS,
    size: tuple[int, int] = SIZE,
    least_vertices: int = LEAST_VERTICES,
    workers: int = 2,
    head: str = "procedural",
) -> None:
    """Writes the mirror; the defaults take about a minute and a half on two cores.

    Args:
        folder: gets the image lists, `NoW_Dataset`, `scans` and `scans_lmks_onlypp`.
        progress: called with the finished share, 0..1.
        counts: photographs per category, of each subject of the validation split.
        test_counts: the same for the test split.
        size: width and height of the photographs, pixels.
        least_vertices: of each scan.
        workers: processes; 1 works in this one.
        head: name of the people's head model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    people = [(FIRST_SEED + index, tuple(row)) for index, row in enumerate([*counts, *test_counts])]
    jobs = [(folder, head, *one, size, least_vertices if i < len(counts) else None) for i, one in enumerate(people)]
    write_all(_write_subject, jobs, workers, progress)
    for split, members in (("validation", people[: len(counts)]), ("test", people[len(counts) :])):
        lines = [f"{subject_name(seed)}/{place}.jpg\n" for seed, row in members for place in _places(seed, row)]
        (folder / f"imagepaths{split}.txt").write_text("".join(lines), encoding="utf-8")


def subject_name(seed: int) -> str:
    """In the form of NoW's own names, but never one of them."""
    return f"Mirror_000000_{seed % 100_000:05d}_TA"


def _places(seed: int, row: Sequence[int]) -> Iterator[str]:
    """`<category>/IMG_xxxx` of each photograph; numbers go up as a phone's do."""
    rng = stream(seed, _NUMBER)
    number = int(rng.integers(1, 8000))
    for category, count in zip(CATEGORIES, row, strict=True):
        for _ in range(count):
            yield f"{category}/IMG_{number:04d}"
            number += int(rng.integers(1, 4))


def _write_subject(
    folder: Path, head: str, seed: int, row: Sequence[int], size: tuple[int, int], least_vertices: int | None
) -> None:
    model = build_head(head)
    if least_vertices is not None:
        _write_scan(folder, model, seed, least_vertices)
    home = folder / "NoW_Dataset" / "final_release_version"
    pictures, boxes = (home / kind / subject_name(seed) for kind in ("iphone_pictures", "detected_face"))
    counts = zip(CATEGORIES, row, strict=True)
    shots = (shot for category, count in counts for shot in _shots(model, seed, category, count))
    for index, (place, (subject, front, scene)) in enumerate(zip(_places(seed, row), shots, strict=True)):
        rng = stream(seed, _SHOT, index)
        camera = _camera(rng, subject, size, front, straight=index == 0)
        picture = render(subject, camera, random_light(stream(seed, _LIGHT, scene)), seed=1000 * seed + index)
        for kind in (pictures, boxes):
            (kind / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.image).save(pictures / f"{place}.jpg", quality=90)
        (boxes / f"{place}.npy").write_bytes(python2_box(_box(rng, picture.landmarks)))


def _shots(head: Head, seed: int, category: str, count: int) -> Iterator[tuple[Subject, bool, int]]:
    """Who is before which camera (true: the front one) in which light, photograph by photograph.

    As when one walks around a person, each face is photographed from two or three sides before it changes.
    """
    subject = random_subject(seed, head, expression=False)
    start = 100 * list(CATEGORIES).index(category)
    for index in range(count):
        moment = 1 + start + index // 3
        if index % 3 == 0 and category == "multiview_occlusions":
            kind = OCCLUDERS[(index // 3 + seed) % len(OCCLUDERS)]
            subject = random_subject(seed, head, expression=False, occluder=kind, moment=moment)
        elif index % 3 == 0 and category != "multiview_neutral":
            subject = random_subject(seed, head, expression=True, moment=moment)
        yield subject, category == "selfie", moment if category == "selfie" else 0


def _camera(
    rng: np.random.Generator, subject: Subject, size: tuple[int, int], front: bool, straight: bool = False
) -> Camera:
    """At arm's length in front of the face, or a step away on any side from which most of it can be seen."""
    focal = _DIAGONALS["front" if front else "rear"] * float(np.hypot(*size))
    yaw = float(rng.normal(0, 14) if front else rng.uniform(-70, 70))
    pitch = float(np.clip(rng.normal(6 if front else 0, 9), -20, 25))
    distance = rng.uniform(330, 480) if front else rng.uniform(600, 1000)
    target = subject.middle - [0, 0, 40] + rng.normal(0, 0.03, 3) * distance
    roll = float(np.clip(rng.normal(0, 7), -20, 20))
    return orbit_camera(0 if straight else yaw, pitch, distance, focal, size, target, roll)


def _box(rng: np.random.Generator, landmarks: Array) -> dict[str, float]:
    """What a face detector makes of it: around the landmarks with some forehead, not exactly."""
    low, high = landmarks.min(0), landmarks.max(0)
    wide, tall = high - low
    left, top, right, bottom = rng.normal(0, 0.03, 4) * [wide, tall, wide, tall]
    box = (low[0] + left, low[1] - 0.25 * tall + top, high[0] + right, high[1] + bottom)
    return dict(zip(SIDES, map(float, box), strict=True))


def python2_box(box: dict[str, float]) -> bytes:
    """The bytes of `numpy.save(file, box)` in Python 2: a pickle (protocol 2) with 8-bit texts and old module names."""

    def text(value: str) -> bytes:
        return pickle.SHORT_BINSTRING + bytes([len(value)]) + value.encode("latin1")

    def name(module: str, value: str) -> bytes:
        return pickle.GLOBAL + f"{module}\n{value}\n".encode()

    def small(value: int) -> bytes:
        return pickle.BININT + struct.pack("<i", value)

    array = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + small(0) + pickle.TUPLE1
    array += text("b") + pickle.TUPLE3 + pickle.REDUCE
    dtype = name("numpy", "dtype") + text("O8") + small(0) + small(1) + pickle.TUPLE3 + pickle.REDUCE
    dtype += pickle.MARK + small(3) + text("|") + pickle.NONE * 3 + small(-1) + small(-1) + small(63)
    dtype += pickle.TUPLE + pickle.BUILD
    items = b"".join(text(key) + pickle.BINFLOAT + struct.pack(">d", value) for key, value in box.items())
    content = pickle.EMPTY_LIST + pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS + pickle.APPEND
    state = pickle.MARK + small(1) + pickle.EMPTY_TUPLE + dtype + pickle.NEWFALSE + content + pickle.TUPLE
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + pickle.PROTO + b"\x02" + array + state + pickle.BUILD + pickle.STOP


def _write_scan(folder: Path, head: Head, seed: int, least_vertices: int) -> None:
    """The neutral face, a little turned and moved as a person who sits before a scanner."""
    subject, rng = random_subject(seed, head, expression=False), stream(seed, _PLACE)
    turn = Rotation.from_rotvec(rng.normal(0, np.deg2rad(4), 3)).as_matrix()
    middle = subject.middle - [0, 0, 80]
    subject = subject.placed(turn, rng.normal(0, 15, 3) - turn @ middle)
    scan = scan_of(subject, least_vertices)
    skin = np.flatnonzero(scan.skin)
    picked = skin[cKDTree(scan.vertices[skin]).query(subject.landmarks[list(NOW_LANDMARKS.values())])[1]]
    name = subject_name(seed)
    for part in ("scans", "scans_lmks_onlypp"):
        (folder / part / name).mkdir(parents=True, exist_ok=True)
    vertices = np.round(scan.vertices, 3)  # a hundredth of the scanner's noise, and half of the file
    write_mesh(Mesh(vertices, scan.faces), folder / "scans" / name / f"{name}.obj")
    text = picked_points(vertices[picked], f"{name}.obj")
    (folder / "scans_lmks_onlypp" / name / f"{name}_picked_points.pp").write_text(text, encoding="utf-8")


def picked_points(points: Array, scan: str) -> str:
    """MeshLab's XML; the first point stands in line 9, where the official program expects it."""
    rows = [
        f' <point x="{x!r}" y="{y!r}" z="{z!r}" active="1" name="{number}"/>\n'
        for number, (x, y, z) in enumerate(points.tolist(), start=1)
    ]
    return f"""<!DOCTYPE PickedPoints>
<PickedPoints>
 <DocumentData>
  <DateTime time="00:00:00" date="2000-01-01"/>
  <User name="mirror"/>
  <DataFileName name="{scan}"/>
  <templateName name=""/>
 </DocumentData>
{"".join(rows)}</PickedPoints>
"""
