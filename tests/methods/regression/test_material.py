"""Crops for training: landmarks stay on the face, squares are those of the methods, codes are the pictures'."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.geometry.alignment import fit_similarity
from harness.heads.procedural import procedural_head
from harness.methods.regression.crops import RULES, square_of
from harness.methods.regression.material import CropVariation, Material, aligned_squares, cover, random_squares
from harness.training_pictures import PictureSettings

STILL = CropVariation(scale=(1.375, 1.375), shift=0.0, upward=0.0, roll=0.0, colour=0.0)
SETTINGS = PictureSettings(subjects=3, views=2, size=96, processes=1)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder: Path = tmp_path_factory.mktemp("pictures")
    return Material(SETTINGS, folder, procedural_head())


def test_codes_give_the_heads_behind_the_pictures(material: Material) -> None:
    head = procedural_head()
    shape, expression, jaw = material.codes
    pose = torch.zeros(len(shape), 5, 3)
    pose[:, head.joint_names.index("jaw")] = jaw
    ours = head.vertices(shape, expression, pose).double().numpy()
    theirs = head.template.numpy() + material.pictures.arrays["offsets"].astype(np.float64)
    for one, other in zip(ours, theirs, strict=True):
        motion = fit_similarity(one, other, scale="none")
        np.testing.assert_allclose(one @ motion.rotation.T + motion.translation, other, atol=0.02)


def test_a_still_crop_is_decas_around_the_box_of_the_landmarks() -> None:
    landmarks = torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(0)) * 60 + 20
    matrix = random_squares(landmarks, 224, STILL, torch.Generator().manual_seed(0))[0].numpy()
    box = np.concatenate([landmarks[0].amin(dim=0), landmarks[0].amax(dim=0)])
    corner, side = square_of(box, RULES["deca"].framing("landmarks"))
    # DECA rounds the side down to whole pixels.
    assert matrix[0, 0] == pytest.approx(223 / side, rel=0.02)
    centre = matrix @ np.append(corner + side / 2, 1.0)
    np.testing.assert_allclose(centre[:2], 111.5, atol=0.1)


def test_landmarks_stay_where_the_picture_has_them(material: Material) -> None:
    """A black picture with one bright pixel at a landmark: after cropping, the bright place is at the landmark."""
    generator = torch.Generator().manual_seed(1)
    subjects, views = torch.tensor([0, 1]), torch.tensor([[0], [1]])
    arrays = dict(material.pictures.arrays)
    pictures = np.zeros_like(np.asarray(arrays["images"]))
    for subject, view in zip(subjects.tolist(), views[:, 0].tolist(), strict=True):
        point = np.append(np.asarray(arrays["landmarks"][subject][30], np.float64), 1)
        pixel = arrays["projection"][subject, view] @ point
        column, row = np.rint(pixel[:2] / pixel[2]).astype(int)
        pictures[subject, view, row - 2 : row + 3, column - 2 : column + 3] = 255
    held, material.pictures.arrays = material.pictures.arrays, {**arrays, "images": pictures}
    try:
        lesson = material.crops(subjects, views, 64, CropVariation(colour=0.0), generator, random_squares)
    finally:
        material.pictures.arrays = held
    for image, landmarks in zip(lesson.images[:, 0], lesson.landmarks, strict=True):
        row, column = (float(x.float().mean()) for x in torch.nonzero(image > 0.5 * image.max(), as_tuple=True))
        place = (landmarks[30] + 1) * 31.5
        assert abs(column - place[0]) < 1.5 and abs(row - place[1]) < 1.5


def test_aligned_crops_bring_the_five_points_to_the_template() -> None:
    from harness.methods.regression.arcface import SIZE, TEMPLATE, five_points, similarity_2d

    landmarks = torch.rand(4, 68, 2, generator=torch.Generator().manual_seed(2)) * 80
    ours = aligned_squares(landmarks, SIZE, CropVariation(shift=0.0), torch.Generator().manual_seed(0))
    for matrix, points in zip(ours.numpy(), landmarks.double().numpy(), strict=True):
        np.testing.assert_allclose(matrix, similarity_2d(five_points(points), TEMPLATE), atol=1e-3)


def test_lessons_repeat_with_their_generator(material: Material) -> None:
    lessons = [
        material.lesson(2, 2, 48, CropVariation(), torch.Generator().manual_seed(7), random_squares) for _ in range(2)
    ]
    assert torch.equal(lessons[0].images, lessons[1].images)
    assert lessons[0].images.shape == (4, 3, 48, 48) and lessons[0].subjects == 2
    assert torch.equal(lessons[0].shape[0], lessons[0].shape[1])


def test_covered_crops_keep_what_is_not_covered() -> None:
    crops = torch.rand(64, 4, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5
    covered = cover(crops, 0.5, torch.Generator().manual_seed(1))
    changed = (covered != crops).any(dim=1)
    touched = changed.flatten(1).any(dim=1)
    assert 20 <= touched.sum() <= 44  # a share of one half; 64 draws
    assert torch.equal(covered[~touched], crops[~touched])
    assert (covered[:, 3][changed] == 0).all()
    share = changed[touched].float().mean()
    assert 0.02 < share < 0.2  # mean area of an ellipse with both half axes uniform in COVER: pi * 0.18**2 = 0.10
