"""A tiny NoW folder in the official layout, written without the mirror."""

import numpy as np
from PIL import Image

FACE = np.array(
    [[-45, 30, 0], [-17, 29, 8], [17, 29, 8], [45, 30, 0], [0, -10, 28], [-25, -40, 10], [25, -40, 10]], float
)
"""Seven points of a face in NoW's order: x right, y up, z forward."""
HEADER = """<!DOCTYPE PickedPoints>
<PickedPoints>
 <DocumentData>
  <DateTime time="1" date="2"/>
  <User name="x"/>
  <DataFileName name="y"/>
  <templateName name="z"/>
 </DocumentData>
"""
PHOTOS = ("a/multiview_neutral/IMG_0001", "a/selfie/IMG_0002", "b/multiview_expressions/IMG_0001")


def picked(points, header=HEADER):
    rows = "".join(f' <point y="{y}" x="{x}" active="1" z="{z}" name="{i}"/>\n' for i, (x, y, z) in enumerate(points))
    return f"{header}{rows}</PickedPoints>\n"


def scan(points=FACE):
    corners = np.vstack([points, points - np.array([0, 0, 5])])
    return "".join(f"v {x} {y} {z}\n" for x, y, z in corners) + "f 1 2 3\nf 4 5 6\nf 7 8 9\n"


def write_now(root, photos=PHOTOS, split="validation", truth=True):
    """Writes `root/now` and returns it."""
    home = root / "now"
    release = home / "NoW_Dataset/final_release_version"
    for photo in photos:
        for kind in ("iphone_pictures", "detected_face"):
            (release / kind / photo).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 36, 3), 90, np.uint8)).save(release / f"iphone_pictures/{photo}.jpg")
        box = {"left": 5.5, "top": 7.0, "right": 30, "bottom": np.float64(40)}
        np.save(release / f"detected_face/{photo}.npy", box)
    for subject in sorted({photo.split("/")[0] for photo in photos}) if truth else ():
        for kind, name, text in (("scans", "s.obj", scan()), ("scans_lmks_onlypp", "s_picked.pp", picked(FACE))):
            (home / kind / subject).mkdir(parents=True, exist_ok=True)
            (home / kind / subject / name).write_text(text)
    (home / f"imagepaths{split}.txt").write_text("".join(f"{photo}.jpg\n" for photo in photos))
    return home
