"""Checks that a face detector of others finds our rendered faces, and the same points on them.

MediaPipe (Apache-2.0) needs versions of its dependencies that the harness does not, so it runs in an interpreter of
its own and the pictures pass through a folder. Two commands, from the repository root:

    python tests/external/mediapipe_check.py render /tmp/faces --count 100
    /path/to/mediapipe-venv/bin/python tests/external/mediapipe_check.py check /tmp/faces

The second environment: pip install "mediapipe==0.10.21" "numpy<2" "setuptools<80". `check` prints the share of
pictures with a face and the distance of seven points from ours in per cent of the distance of the outer eye corners,
and fails (exit status 1) below 95 % found or above 8 % (median).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

POINTS = {33: 36, 133: 39, 362: 42, 263: 45, 1: 30, 61: 48, 291: 54}
"""MediaPipe face mesh index -> iBUG index: eye corners, tip of the nose, corners of the mouth."""


def render_faces(folder: Path, count: int, size: int, first_seed: int) -> None:
    """Writes near-frontal pictures NNNN.png and their 68 landmarks NNNN.npz; needs the harness."""
    from PIL import Image

    from harness.synthesis.cameras import random_camera
    from harness.synthesis.render import render
    from harness.synthesis.subject import random_subject, stream

    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first_seed, first_seed + count):
        subject = random_subject(seed)
        camera = random_camera(stream(seed, 30), subject.middle, size, (-30, 30), fill_mm=(230, 330))
        rendering = render(subject, camera, seed=seed)
        Image.fromarray(rendering.image).save(folder / f"{seed:04d}.png")
        np.savez(folder / f"{seed:04d}.npz", landmarks=rendering.landmarks)


def check_faces(folder: Path) -> bool:
    """Prints the figures; whether they are good enough. Needs MediaPipe."""
    import mediapipe
    from PIL import Image

    errors, missed = [], []
    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1) as mesh:
        for path in sorted(folder.glob("*.png")):
            image = np.asarray(Image.open(path).convert("RGB"))
            found = mesh.process(image).multi_face_landmarks
            if not found:
                missed.append(path.stem)
                continue
            ours = np.load(path.with_suffix(".npz"))["landmarks"]
            theirs = np.array([(p.x * image.shape[1], p.y * image.shape[0]) for p in found[0].landmark]) - 0.5
            offset = np.linalg.norm(theirs[list(POINTS)] - ours[list(POINTS.values())], axis=1)
            errors.append(100 * offset / np.linalg.norm(ours[36] - ours[45]))
    if not errors:
        sys.stdout.write(f"{folder}: no face found in {len(missed)} pictures\n")
        return False
    share, median = len(errors) / (len(errors) + len(missed)), float(np.median(errors))
    sys.stdout.write(f"found {share:.1%} of {len(errors) + len(missed)}; missed: {' '.join(missed) or 'none'}\n")
    for place, ours_index in enumerate(POINTS.values()):
        values = np.array(errors)[:, place]
        sys.stdout.write(
            f"point {ours_index}: median {np.median(values):.1f} %, 90 % below {np.quantile(values, 0.9):.1f} %\n"
        )
    sys.stdout.write(f"all points: median {median:.2f} %\n")
    return share >= 0.95 and median <= 8


def main() -> int:
    """Runs one of the two commands; the exit status says whether the check passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("render", "check"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.command == "render":
        render_faces(arguments.folder, arguments.count, arguments.size, arguments.first_seed)
        return 0
    return 0 if check_faces(arguments.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
