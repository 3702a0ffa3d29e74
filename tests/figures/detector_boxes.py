"""The detector's recall, its constants, and what they leave: `python -m tests.figures.detector_boxes [every]`.

On the NoW mirror, whose landmarks are computed anew from its seeds, and on the photographs beside the repository
(`../shared/data`). Prints the constants of `harness.methods.regression.detector` and `.faces`, as medians over the
mirror, and the errors of boxes and five points in per cent of the landmarks' box (mean of its sides), per yaw.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data import ensure_mirror
from harness.datasets import now_mirror
from harness.datasets.now import Now
from harness.datasets.now_files import CATEGORIES, read_box
from harness.errors import HarnessError
from harness.methods.regression.arcface import five_points
from harness.methods.regression.crops import RULES, crop
from harness.methods.regression.detector import FRONT, SIDE, Detection, FaceDetector
from harness.methods.regression.faces import points_in_box
from harness.samples import Array, View
from harness.synthesis.subject import stream

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
YAWS = ((0, 25), (25, 40), (40, 55), (55, 90))


@dataclass(frozen=True)
class Picture:
    """A picture with what is true of it."""

    path: Path
    landmarks: Array
    yaw: float
    box: Array | None = None

    @property
    def bounds(self) -> Array:
        return np.concatenate([self.landmarks.min(0), self.landmarks.max(0)])

    @property
    def size(self) -> float:
        return float((self.bounds[2:] - self.bounds[:2]).mean())


def mirror_pictures(every: int) -> Iterator[Picture]:
    """Every n-th photograph of the mirror's validation split, made again up to the point of drawing it."""
    release = ensure_mirror(Now) / "NoW_Dataset" / "final_release_version"
    number = 0
    for index, row in enumerate(now_mirror.COUNTS):
        seed = now_mirror.FIRST_SEED + index
        shots = [s for c, n in zip(CATEGORIES, row, strict=True) for s in now_mirror._shots(seed, c, n)]
        for shot, (place, (subject, front, _)) in enumerate(zip(now_mirror._places(seed, row), shots, strict=True)):
            number += 1
            if number % every:
                continue
            rng = stream(seed, now_mirror._SHOT, shot)
            camera = now_mirror._camera(rng, subject, now_mirror.SIZE, front, straight=shot == 0)
            seen_from = camera.centre - subject.middle
            name = Path(now_mirror.subject_name(seed), place)
            yield Picture(
                (release / "iphone_pictures" / name).with_suffix(".jpg"),
                camera.project(subject.landmarks.astype(np.float64)),
                float(np.degrees(np.arctan2(seen_from[0], seen_from[2]))),
                read_box((release / "detected_face" / name).with_suffix(".npy")),
            )


def photographs() -> Iterator[Picture]:
    """The two photographs and the photographed scan, where they are at hand."""
    for path in sorted((SHARED / "photos68").glob("*.pts")):
        rows = path.read_text().split("{")[1].split("}")[0].split()
        image = next(p for p in path.parent.glob(f"{path.stem}.*") if p.suffix != ".pts")
        yield Picture(image, np.array(rows, dtype=float).reshape(68, 2) - 1, 0.0)
    scan = SHARED / "h3ds" / "james"
    if scan.is_dir():
        cameras, points = np.load(scan / "cameras.npz"), np.loadtxt(scan / "landmarks68.txt")
        for index, path in enumerate(sorted((scan / "image").glob("*.jpg"))):
            matrix = cameras[f"world_mat_{index}"][:3]
            seen = np.column_stack([points, np.ones(68)]) @ matrix.T
            centre = -np.linalg.solve(matrix[:, :3], matrix[:, 3]) - points.mean(0)
            yield Picture(path, seen[:, :2] / seen[:, 2:], float(np.degrees(np.arctan2(centre[0], centre[2]))))


def overlap(box: Array, other: Array) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    common = float(np.clip(sides, 0, None).prod())
    return common / float((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - common)


def blanked(picture: Picture) -> Array:
    """The picture with its face painted over in its mean colour: nothing should be found in it."""
    image = View(picture.path).read_image().copy()
    left, top, right, bottom = picture.bounds
    wide, tall = 0.25 * (right - left), 0.25 * (bottom - top)
    rows = slice(max(0, int(top - 2 * tall)), max(0, int(bottom + tall)))
    image[rows, max(0, int(left - wide)) : max(0, int(right + wide))] = image.mean((0, 1))
    return image


def relative(points: Array, face: Detection) -> Array:
    """Points (n, 2) from the square's centre in its sides, mirrored where the template is the mirror image."""
    place = (points - (face.square[:2] + face.square[2:]) / 2) / (face.square[2:] - face.square[:2]).mean()
    return place * [-1, 1] if face.template == 2 else place


def constants(pairs: Sequence[tuple[Picture, Detection]]) -> None:
    """Prints the detector's constants: medians, the front template's made symmetric."""
    for name, members, template in (("FRONT", (0,), FRONT), ("SIDE", (1, 2), SIDE)):
        chosen = [(p, f) for p, f in pairs if f.template in members]
        corners = np.array([relative(p.bounds.reshape(2, 2), f) for p, f in chosen])
        corners = np.concatenate([corners.min(1), corners.max(1)], axis=1)
        points = np.array([relative(five_points(p.landmarks), f) for p, f in chosen])
        for place, (_, face) in zip(points, chosen, strict=True):
            place[:] = place[[1, 0, 2, 4, 3]] if face.template == 2 else place
        box, five = np.median(corners, axis=0), np.median(points, axis=0)
        if template == FRONT:
            box[[0, 2]] = np.array([-0.5, 0.5]) * (box[2] - box[0])
            five = (five + five[[1, 0, 2, 4, 3]] * [-1, 1]) / 2
        print(f"{name} ({len(chosen)}): box {box.round(3).tolist()}, points {five.round(3).tolist()}")


def box_constants(pictures: Sequence[Picture]) -> None:
    """Prints the five points' places in boxes: medians, made symmetric."""
    for kind in ("shared", "landmarks"):
        places = []
        for picture in pictures:
            box = picture.box if kind == "shared" else picture.bounds
            if box is not None:
                places.append((five_points(picture.landmarks) - box[:2]) / (box[2:] - box[:2]))
        five = np.median(places, axis=0) - [0.5, 0]
        five = (five + five[[1, 0, 2, 4, 3]] * [-1, 1]) / 2 + [0.5, 0]
        print(f"points in {kind} boxes: {five.round(3).tolist()}")


def main() -> None:
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    detector = FaceDetector()
    for name, pictures in (("mirror", list(mirror_pictures(every))), ("photographs", list(photographs()))):
        found = [detector(View(p.path).read_image()) for p in pictures]
        right = [_right_one(faces, picture) for picture, faces in zip(pictures, found, strict=True)]
        wrong = sum(len(faces) for faces in found) - sum(f is not None for f in right)
        empty = sum(bool(detector(blanked(p))) for p in pictures)
        print(
            f"\n{name}: {len(pictures)} pictures; {wrong} faces where none is; {empty} found with the face painted over"
        )
        pairs = [(p, f) for p, f in zip(pictures, right, strict=True) if f is not None]
        if name == "mirror":
            constants(pairs)
            box_constants(pictures)
        table(pictures, right, detector)


def _right_one(faces: Sequence[Detection], picture: Picture) -> Detection | None:
    return next((face for face in faces if overlap(face.box, picture.bounds) > 0.3), None)


def table(pictures: Sequence[Picture], right: Sequence[Detection | None], detector: FaceDetector) -> None:
    """Prints recall and errors per yaw."""
    print("yaw      found      size: median, spread   centre   points: own, by shared box, through it")
    for low, high in YAWS:
        rows = [(p, f) for p, f in zip(pictures, right, strict=True) if low <= abs(p.yaw) < high]
        pairs = [(p, f) for p, f in rows if f is not None]
        if not pairs:
            continue
        sizes = [float((f.box[2:] - f.box[:2]).mean()) / p.size for p, f in pairs]
        centres = [np.linalg.norm(((f.box - p.bounds)[:2] + (f.box - p.bounds)[2:]) / 2) / p.size for p, f in pairs]
        own = [_points_error(f.points, p) for p, f in pairs]
        shared = [_points_error(points_in_box(p.box, "shared"), p) for p, _ in rows if p.box is not None]
        through = [e for p, _ in rows if p.box is not None and (e := _through_error(p, detector)) is not None]
        spread = float(np.median(np.abs(np.array(sizes) - np.median(sizes))))
        print(
            f"{low:2d}..{high:2d}  {len(pairs):3d} of {len(rows):3d}   {np.median(sizes):.2f}, {spread:.2f}   "
            f"{100 * np.median(centres):4.1f} %   {_percent(own)} {_percent(shared)} "
            f"{_percent(through)} ({len(through)})"
        )


def _points_error(points: Array, picture: Picture) -> float:
    return float(np.linalg.norm(points - five_points(picture.landmarks), axis=1).mean()) / picture.size


def _through_error(picture: Picture, detector: FaceDetector) -> float | None:
    """Of the points that MICA's way for NoW gives; None where it does not find exactly one face."""
    assert picture.box is not None
    try:
        first = crop(View(picture.path).read_image(), picture.box, RULES["mica"], "shared")
    except HarnessError:
        return None
    found = detector(np.rint(255 * first.pixels).astype(np.uint8))
    return _points_error(first.to_image(found[0].points), picture) if len(found) == 1 else None


def _percent(errors: Sequence[float]) -> str:
    return f"{100 * np.median(errors):4.1f} %" if errors else "  -   "


if __name__ == "__main__":
    main()
