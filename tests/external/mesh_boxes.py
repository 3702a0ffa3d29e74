"""How the box of MediaPipe's face mesh lies on the box of the 68 landmarks: the numbers of SMIRK's and TEASER's crops.

Runs in MediaPipe's own interpreter (see `mediapipe_check.py`), on a folder that the harness's interpreter fills:

    python -m tests.external.mesh_boxes write /tmp/faces --every 3
    /path/to/mediapipe-venv/bin/python tests/external/mesh_boxes.py measure /tmp/faces
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np


def write(folder: Path, every: int) -> None:
    """Lists pictures of the NoW mirror and the photographs beside the repository, with their landmarks."""
    from tests.figures.detector_boxes import mirror_pictures, photographs

    folder.mkdir(parents=True, exist_ok=True)
    for name, pictures in (("mirror", mirror_pictures(every)), ("photographs", photographs())):
        rows = [(str(p.path.resolve()), p.landmarks.tolist()) for p in pictures]
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def measure(folder: Path) -> None:
    """Prints size and shift, in mean sides of the landmarks' box. Needs MediaPipe."""
    import mediapipe
    from PIL import Image

    options = {"static_image_mode": True, "refine_landmarks": True, "min_detection_confidence": 0.1}
    with mediapipe.solutions.face_mesh.FaceMesh(**options) as mesh:
        for path in sorted(folder.glob("*.json")):
            rows = []
            pictures = json.loads(path.read_text(encoding="utf-8"))
            for image_path, landmarks in pictures:
                image = np.asarray(Image.open(image_path).convert("RGB"))
                found = mesh.process(image).multi_face_landmarks
                if found:
                    points = np.array([(p.x, p.y) for p in found[0].landmark]) * image.shape[1::-1] - 0.5
                    rows.append(_relation(points, np.array(landmarks)))
            size, right, down = np.median(rows, axis=0)
            spread = np.std(rows, axis=0).round(3)
            sys.stdout.write(
                f"{path.stem}: {len(rows)} of {len(pictures)} found; size {size:.3f}, right {right:.3f}, "
                f"down {down:.3f}; standard deviations {spread.tolist()}\n"
            )


def _relation(mesh: np.ndarray, landmarks: np.ndarray) -> tuple[float, float, float]:
    (low, high), (lower, higher) = ((p.min(0), p.max(0)) for p in (landmarks, mesh))
    old = float((high - low).mean())
    right, down = ((lower + higher) - (low + high)) / 2 / old
    return float((higher - lower).mean()) / old, float(right), float(down)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("write", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.command == "write":
        write(arguments.folder, arguments.every)
    else:
        measure(arguments.folder)
