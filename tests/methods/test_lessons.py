"""A step's material for LVD and GLVD: landmarks of all pictures in one kind of crop, vertices of the face first."""

from pathlib import Path

import pytest
import torch

from harness.heads.procedural import procedural_head
from harness.methods.lvd.expectation import face_vertices
from harness.methods.lvd.landmarks import SOUGHT, LandmarkNetwork, Landmarks
from harness.methods.lvd.lessons import LessonSettings, Teacher, VertexChoice, find_all, regular_projection
from harness.training_data import Augmentation, TrainingSet
from tests.methods.test_training import SUBJECTS, VIEWS, _pictures

PLAIN = Augmentation(scale=(1.0, 1.0), shift=0.0, roll=0.0, colour=0.0)


class Fixed(LandmarkNetwork):
    """Finds all landmarks at one place of any crop, a fifth of its half side uncertain."""

    def forward(self, crops: torch.Tensor) -> Landmarks:
        """See LandmarkNetwork."""
        points = torch.tensor([0.4, -0.2]).expand(len(crops), SOUGHT, 2)
        return Landmarks(torch.zeros(len(crops), SOUGHT, 24, 24), points, torch.full((len(crops), SOUGHT), 0.2))


@pytest.fixture
def pictures(tmp_path: Path) -> TrainingSet:
    return TrainingSet(_pictures(tmp_path), procedural_head().template)


def test_landmarks_of_every_picture_are_told_in_its_regular_crop(pictures: TrainingSet) -> None:
    half = (LandmarkNetwork().sizes.image - 1) / 2
    plain = find_all(pictures, Fixed(), PLAIN)
    assert plain.shape == (SUBJECTS, VIEWS, SOUGHT, 3)
    assert torch.allclose(plain[..., :2], torch.tensor([1.4 * half, 0.8 * half]).expand_as(plain[..., :2]), atol=0.01)
    twice = find_all(pictures, Fixed(), Augmentation(scale=(2.0, 2.0), shift=0.0, roll=0.0))
    assert torch.allclose(twice[..., 2], 2 * plain[..., 2], rtol=0.02)
    assert torch.allclose(twice[..., :2] - half, 2 * (plain[..., :2] - half), atol=1.0)


def test_regular_crops_are_those_without_variation(pictures: TrainingSet) -> None:
    subjects, views = torch.arange(SUBJECTS), torch.tensor([[0, 2], [1, 0], [2, 1]])
    batch = pictures.batch(subjects, views, 96, PLAIN, torch.Generator())
    assert torch.allclose(regular_projection(pictures, subjects, views, 96), batch.projection, atol=1e-3)


def test_vertices_of_the_face_come_first() -> None:
    head = procedural_head()
    ids, inner = VertexChoice(head, 0.75)(200, torch.Generator().manual_seed(0))
    face = face_vertices(head)[ids]
    assert inner == 150 and face[:inner].all() and not face[inner:].any()


def test_a_lesson_about_single_views_stands_at_the_depth_of_its_start(pictures: TrainingSet) -> None:
    settings = LessonSettings(images=3, points=60)
    teacher = Teacher(pictures, LandmarkNetwork(), procedural_head(), 96, 4, settings)
    lesson = teacher.about(torch.arange(3), torch.zeros(3, 1, dtype=torch.long), torch.Generator().manual_seed(0))
    sight = lesson.batch.rotation[:, 0, 2]
    depth = [((x * sight[:, None]).sum(dim=-1)).mean(dim=1) for x in (lesson.keypoints, lesson.batch.landmarks)]
    assert torch.allclose(depth[0], depth[1], atol=0.5)
    assert lesson.points().shape == (3, 60, 3) and lesson.heat_maps.shape == (3, 1, 68, 24, 24)
