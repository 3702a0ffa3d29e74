"""What each regressor sees, to look at: `python -m tests.figures.crops crops.png [own|shared|landmarks]`.

A row per picture (the photographs beside the repository, four of the NoW mirror): the picture with the face's box and
five points, then the crops of DECA, EMOCA, SMIRK and TEASER, and MICA's two: by the points of the row, and through the
box. A picture without a face on the track is left empty.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from harness.errors import HarnessError
from harness.methods.regression.arcface import face_crop, face_crop_through_box
from harness.methods.regression.crops import RULES, Crop, crop
from harness.methods.regression.faces import Face, FaceFinder
from harness.samples import Array, View
from tests.figures.detector_boxes import Picture, mirror_pictures, photographs

TILE = 224


def pictures() -> list[Picture]:
    """The two photographs and two views of the scan, and pictures of the mirror from the front to the side."""
    real = list(photographs())
    mirror = sorted(mirror_pictures(16), key=lambda picture: abs(picture.yaw))
    return [*real[:4], *real[6:7], *(mirror[int(share * (len(mirror) - 1))] for share in (0, 0.4, 0.7, 0.9))]


def drawn(image: Array, face: Face | None) -> Image.Image:
    """The picture with box and points, made as high as a crop."""
    scale = TILE / max(image.shape[:2])
    tile = Image.fromarray(image).resize((round(scale * image.shape[1]), round(scale * image.shape[0])))
    if face is not None:
        draw = ImageDraw.Draw(tile)
        draw.rectangle(tuple(scale * face.box), outline=(0, 255, 0))
        for x, y in scale * face.points:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(255, 0, 0))
    return tile


def crops(image: Array, face: Face, inner: FaceFinder) -> list[Crop | None]:
    """In the order of the columns; None where the detector does not find the points for MICA's second."""
    found: list[Crop | None] = [
        crop(image, face.box, RULES[method], face.kind, TILE) for method in ("deca", "emoca", "smirk", "teaser")
    ]
    found.append(face_crop(image, face.points))
    try:
        found.append(face_crop_through_box(image, face.box, inner.points_in) if face.kind == "shared" else None)
    except HarnessError:
        found.append(None)
    return found


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "crops.png")
    finder = FaceFinder(sys.argv[2] if len(sys.argv) > 2 else "own")
    inner = FaceFinder("own", choose="only")
    rows = pictures()
    sheet = Image.new("RGB", (7 * TILE, len(rows) * TILE), (60, 60, 60))
    for number, picture in enumerate(rows):
        view = View(picture.path, box=picture.box, landmarks=picture.landmarks)
        image = view.read_image()
        try:
            face: Face | None = finder.find(view, image)
        except HarnessError as error:
            print(f"{picture.path.name}: {error}")
            face = None
        sheet.paste(drawn(image, face), (0, number * TILE))
        for column, made in enumerate(crops(image, face, inner) if face else [], start=1):
            if made is not None:
                values = made.pixels * 255 if column < 5 else 127.5 * (made.pixels + 1)
                tile = Image.fromarray(np.rint(values).astype(np.uint8)).resize((TILE, TILE))
                sheet.paste(tile, (column * TILE, number * TILE))
    sheet.save(target)


if __name__ == "__main__":
    main()
