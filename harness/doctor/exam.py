"""The questions that the doctor asks: pictures of synthetic people, of whom everything is known.

They are made as those of the mirrors are, and of people that no training sees (seeds from MIRROR_SEEDS on). Each person
is photographed twice by the same cameras, with a neutral face and with an open, smiling mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from harness.heads.head import PARTS, Head
from harness.heads.procedural import procedural_head
from harness.samples import Array, Camera, Sample, View
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import Rendering, render
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_codes, random_subject

FIRST_SEED = MIRROR_SEEDS + 9_000
PEOPLE = 3
TURN_DEG = 70.0
SHIFT_MM = (310.0, -180.0, 450.0)
"""How the people stand in the world: far from the frame of any head model, so that they cannot be confused."""
SIZE = 320
MOST_VIEWS = 3
_YAWS = (0.0, -26.0, 26.0)
_JAW = 0.24  # radians: half of the rig's range
_WEIGHTS = {"smile_left": 0.7, "smile_right": 0.7, "brow_inner_up": 0.8}


@dataclass(frozen=True)
class Form:
    """What a view has besides its picture, and how many views a sample has."""

    views: int = 1
    camera: bool = True
    mask: bool = True
    scene: bool = True
    box: bool = True
    landmarks: bool = True


def form_of(samples: Sequence[Sample]) -> Form:
    """The form in which a benchmark asks, as its first sample has it."""
    sample = samples[0]
    view = sample.views[0]
    return Form(
        views=min(MOST_VIEWS, len(sample.views)),
        camera=view.camera is not None,
        mask=view.mask is not None,
        scene=view.scene is not None,
        box=view.box is not None,
        landmarks=view.landmarks is not None,
    )


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a question.

    Attributes:
        vertices: (V, 3) float64 world millimetres, of the head model.
        faces: (F, 3).
        landmarks: (68, 3) world millimetres.
        pixels: (68, 2) the same in the first view.
        skin: (V,) bool, on the face's skin and not under hair.
        camera: of the first view.
        expressive: whether the face is not neutral.
    """

    vertices: Array
    faces: Array
    landmarks: Array
    pixels: Array
    skin: Array
    camera: Camera
    expressive: bool


@dataclass(frozen=True, eq=False)
class Question:
    """A sample and its truth."""

    sample: Sample
    truth: Truth


def exam(form: Form | None = None, people: int = PEOPLE) -> list[Question]:
    """The questions: every person neutral first, then every person with an expression, in the same order.

    Args:
        form: what the views have; everything if None.
        people: how many.
    """
    return list(_exam(form or Form(), people))


@lru_cache(maxsize=4)
def _exam(form: Form, people: int) -> tuple[Question, ...]:
    head, seeds = procedural_head(), range(FIRST_SEED, FIRST_SEED + people)
    neutral = [person(seed, head, expressive=False) for seed in seeds]
    moved = [person(seed, head, expressive=True) for seed in seeds]
    return tuple(_question(*each, form) for each in zip([*neutral, *moved], neutral * 2, strict=True))


def sample_id(seed: int, expressive: bool) -> str:
    """Names a question's face."""
    return f"doctor_{seed}_{'expressive' if expressive else 'neutral'}"


def codes(seed: int, head: Head, expressive: bool) -> tuple[Array, Array, Array]:
    """(S,) identity, (E,) expression, (J, 3) joint rotations of a person of the exam."""
    shape, weights, pose = random_codes(seed, head, expression=False)
    if expressive:
        for name, weight in _WEIGHTS.items():
            weights[head.expression_names.index(name)] = weight
        pose[head.joint_names.index("jaw"), 0] = _JAW
    return shape, weights, pose


def place() -> tuple[Array, Array]:
    """(3, 3) and (3,): head frame -> world."""
    return Rotation.from_euler("y", TURN_DEG, degrees=True).as_matrix(), np.array(SHIFT_MM)


def person(seed: int, head: Head, expressive: bool) -> Subject:
    """Somebody of the exam, in the world."""
    neutral = random_subject(seed, head, expression=False)
    if not expressive:
        return neutral.placed(*place())
    shape, weights, pose = codes(seed, head, expressive)
    with torch.no_grad():
        tensors = [torch.as_tensor(value, dtype=torch.float32)[None] for value in (shape, weights, pose)]
        vertices = head.vertices(*tensors)
        landmarks = head.landmarks(vertices)
    posed = replace(
        neutral, expression=weights, pose=pose, vertices=vertices[0].numpy(), landmarks=landmarks[0].numpy()
    )
    return posed.placed(*place())


def _question(subject: Subject, neutral: Subject, form: Form) -> Question:
    """Cameras and ball are set up for the neutral face, and stay."""
    index = subject.seed - FIRST_SEED
    yaws = [TURN_DEG + yaw + 4.0 * (index - 1) for yaw in _YAWS[: form.views]]
    target = neutral.middle - Rotation.from_euler("y", TURN_DEG, degrees=True).apply([0.0, 5.0, 60.0])
    cameras = [orbit_camera(yaw, 2.0 * index, 760 + 30 * index, 2.15 * SIZE, SIZE, target) for yaw in yaws]
    pictures = [render(subject, camera, seed=subject.seed, antialias=False) for camera in cameras]
    views = tuple(_view(neutral, picture, form) for picture in pictures)
    truth = Truth(
        vertices=subject.vertices.astype(np.float64),
        faces=subject.head.faces.numpy(),
        landmarks=subject.landmarks.astype(np.float64),
        pixels=pictures[0].landmarks,
        skin=_skin(subject),
        camera=cameras[0],
        expressive=subject is not neutral,
    )
    return Question(Sample(sample_id(subject.seed, truth.expressive), f"p{index}", views), truth)


def _view(neutral: Subject, picture: Rendering, form: Form) -> View:
    return View(
        image=picture.image,
        mask=picture.mask if form.mask else None,
        camera=picture.camera if form.camera else None,
        scene=_ball(neutral) if form.scene else None,
        box=_box(picture.landmarks) if form.box else None,
        landmarks=picture.landmarks if form.landmarks else None,
    )


def _ball(subject: Subject) -> Array:
    """(4, 4) unit ball -> the head with some room, as H3DS has it."""
    head = subject.vertices[subject.vertices[:, 1] > subject.landmarks[8, 1] - 20]
    centre = (head.min(0) + head.max(0)) / 2
    matrix = np.eye(4)
    matrix[:3, :3] *= 1.25 * np.linalg.norm(head - centre, axis=1).max()
    matrix[:3, 3] = centre
    return matrix


def _box(landmarks: Array) -> Array:
    """(4,) what a face detector makes of it: the landmarks with some forehead, as in NoW's mirror."""
    low, high = landmarks.min(0), landmarks.max(0)
    return np.array([low[0], low[1] - 0.25 * (high - low)[1], high[0], high[1]])


def _skin(subject: Subject) -> Array:
    skin = np.zeros(len(subject.vertices), bool)
    faces = subject.head.faces[subject.head.part_labels == PARTS.index("skin")]
    skin[np.unique(faces.numpy())] = True
    return skin & (subject.hairline < 0)
