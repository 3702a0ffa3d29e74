"""A random person: everything that stays the same from one picture to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from harness.errors import ContractError
from harness.geometry.raycast import RayCaster
from harness.heads.head import PARTS, Head
from harness.synthesis.anatomy import Anatomy, anatomy_of
from harness.synthesis.appearance import Appearance, random_appearance
from harness.synthesis.clothes import Clothes, random_clothes, random_occluder, random_torso
from harness.synthesis.hair import SHARE, STYLES, Hair, fit_frame, random_hair
from harness.synthesis.surface import Surface, vertex_normals

Array = np.ndarray

MIRROR_SEEDS = 1_000_000
"""Subjects of training pictures have seeds below this number, subjects of mirrors from it on: no method is ever
measured on a person that it was trained on."""

MATERIALS = ("head", "hair", "torso", "glasses", "hand", "scarf")
_SURFACE_PART = {"hair": PARTS.index("hair"), "torso": PARTS.index("cloth")}

# Each random decision has a stream of its own, so that a change to one leaves the others as they were.
_SHAPE, _LOOK, _HAIR, _CLOTHES, _EXPRESSION, _OCCLUDER = range(6)


def stream(seed: int, *key: int) -> np.random.Generator:
    """A generator that is independent for each seed and key."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True, eq=False)
class Scene:
    """All surfaces of a subject as one mesh.

    Attributes:
        vertices: (N, 3) float32 world millimetres; the head's come first.
        faces: (M, 3) int32.
        material: (M,) uint8 index into MATERIALS.
        part: (M,) uint8 index into PARTS.
        attributes: (N, 10) float32: normal, texture coordinates, strand direction, height above the hairline.
        caster: for rays.
    """

    vertices: Array
    faces: Array
    material: Array
    part: Array
    attributes: Array
    caster: RayCaster


@dataclass(frozen=True, eq=False)
class Subject:
    """A person.

    Attributes:
        seed: that it came from.
        head: the model.
        shape: (S,) identity coefficients.
        expression: (E,) expression coefficients.
        pose: (J, 3) joint rotations, axis-angle.
        vertices: (V, 3) float32 world millimetres, of the head model only.
        landmarks: (68, 3) float32 world millimetres, iBUG order.
        look: colours and detail.
        clothes: colours of the clothes.
        hair: style.
        hairline: (V,) millimetres above the line where hair starts to grow.
        surfaces: hair, torso and occluders, in the world.
    """

    seed: int
    head: Head
    shape: Array
    expression: Array
    pose: Array
    vertices: Array
    landmarks: Array
    look: Appearance
    clothes: Clothes
    hair: Hair
    hairline: Array
    surfaces: tuple[Surface, ...]

    @property
    def anatomy(self) -> Anatomy:
        """Features of the head model."""
        return anatomy_of(self.head)

    @property
    def middle(self) -> Array:
        """(3,) between the eyes and the mouth: where portraits are centred."""
        return self.landmarks[[36, 45, 48, 54]].mean(0).astype(np.float64)

    def placed(self, rotation: Array, translation: Array) -> Subject:
        """The same person moved rigidly: x -> rotation @ x + translation (millimetres)."""
        turn, offset = np.asarray(rotation, np.float32), np.asarray(translation, np.float32)
        surfaces = tuple(
            replace(s, vertices=s.vertices @ turn.T + offset, along=s.along @ turn.T) for s in self.surfaces
        )
        vertices, landmarks = self.vertices @ turn.T + offset, self.landmarks @ turn.T + offset
        return replace(self, vertices=vertices, landmarks=landmarks, surfaces=surfaces)

    def cut_below(self, height: float) -> Subject:
        """The same person, of whom pictures show only what lies above a world y (millimetres), as of a cut mesh."""
        whole = self.scene
        kept = (whole.vertices[whole.faces, 1] > height).all(axis=1)
        faces = whole.faces[kept]
        scene = replace(
            whole,
            faces=faces,
            material=whole.material[kept],
            part=whole.part[kept],
            caster=RayCaster(whole.vertices, faces),
        )
        cut = replace(self)
        cut.__dict__["scene"] = scene  # in place of the cached one
        return cut

    @cached_property
    def scene(self) -> Scene:
        """All surfaces, ready for rays; built when first asked for and kept for further views."""
        anatomy = self.anatomy
        vertices, faces = [self.vertices], [anatomy.faces]
        normals = [vertex_normals(self.vertices, anatomy.faces)]
        coordinates, along = [anatomy.template], [np.zeros_like(anatomy.template)]
        material = [np.zeros(len(anatomy.faces), np.uint8)]
        part = [anatomy.part_labels]
        for surface in self.surfaces:
            faces.append(surface.faces + sum(map(len, vertices)))
            vertices.append(surface.vertices)
            normals.append(vertex_normals(surface.vertices, surface.faces))
            coordinates.append(surface.coordinates)
            along.append(surface.along)
            material.append(np.full(len(surface.faces), MATERIALS.index(surface.name), np.uint8))
            part.append(np.full(len(surface.faces), _SURFACE_PART.get(surface.name, 0), np.uint8))
        points, corners = np.concatenate(vertices), np.concatenate(faces)
        height = np.zeros((len(points), 1), np.float32)
        height[: len(self.hairline), 0] = self.hairline
        attributes = np.hstack([np.concatenate(normals), np.concatenate(coordinates), np.concatenate(along), height])
        caster = RayCaster(points, corners)
        return Scene(points, corners, np.concatenate(material), np.concatenate(part), attributes, caster)


def random_subject(
    seed: int,
    head: Head | None = None,
    expression: bool = True,
    hair: str | None = None,
    occluder: str | None = None,
    moment: int = 0,
) -> Subject:
    """The person of a seed; the same for the same arguments on any machine.

    Args:
        seed: below MIRROR_SEEDS for training, from there on for mirrors.
        head: the model; the procedural head if None.
        expression: false for a neutral face of the same person.
        hair: one of `hair.STYLES` instead of a random one.
        occluder: one of `clothes.OCCLUDERS`, or None.
        moment: another number gives another expression and another occluder of the kind; the person stays the same.

    Raises:
        ContractError: the seed is negative or `hair` is not a known style.
    """
    if seed < 0 or (hair is not None and hair not in STYLES):
        raise ContractError(f"subject: seed {seed} (expected >= 0), hair {hair!r} (expected {', '.join(STYLES)})")
    model = _default_head() if head is None else head
    passing = (moment,) if moment else ()
    shape, weights, pose = random_codes(seed, model, expression, moment)
    rest = _posed(model, shape, None, None)
    rest_landmarks = _landmarks(model, rest)
    vertices = _posed(model, shape, weights, pose) if expression else rest
    frame = fit_frame(RayCaster(rest, model.faces), _ears(model), rest, rest_landmarks)
    hair_rng, clothes_rng = stream(seed, _HAIR), stream(seed, _CLOTHES)
    drawn = STYLES[hair_rng.choice(len(STYLES), p=SHARE)]
    grown = random_hair(hair_rng, frame, hair or drawn)
    torso = random_torso(clothes_rng, rest)
    hidden = random_occluder(stream(seed, _OCCLUDER, *passing), occluder, rest_landmarks) if occluder else ()
    return Subject(
        seed=seed,
        head=model,
        shape=shape,
        expression=weights,
        pose=pose,
        vertices=vertices,
        landmarks=_landmarks(model, vertices),
        look=random_appearance(stream(seed, _LOOK)),
        clothes=random_clothes(clothes_rng),
        hair=grown,
        hairline=_without_ears(model, grown.hairline(frame, rest)),
        surfaces=(*grown.surfaces, torso, *hidden),
    )


def random_codes(seed: int, head: Head, expression: bool = True, moment: int = 0) -> tuple[Array, Array, Array]:
    """The coefficients of `random_subject` with the same arguments, at no cost: (S,), (E,) and (J, 3) axis-angle."""
    shape = np.clip(stream(seed, _SHAPE).standard_normal(len(head.shape_names)), -2.5, 2.5)
    if not expression:
        return shape, np.zeros(len(head.expression_names)), np.zeros((len(head.joint_names), 3))
    return shape, *_random_expression(stream(seed, _EXPRESSION, *((moment,) if moment else ())), head)


def _default_head() -> Head:
    from harness.heads.procedural import procedural_head

    return procedural_head()


def _tensor(values: Array) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32)[None]


def _posed(head: Head, shape: Array, expression: Array | None, pose: Array | None) -> Array:
    with torch.no_grad():
        weights = None if expression is None else _tensor(expression)
        turned = None if pose is None or not pose.any() else _tensor(pose)
        return head.vertices(_tensor(shape), weights, turned)[0].cpu().numpy().astype(np.float32)


def _landmarks(head: Head, vertices: Array) -> Array:
    return head.landmarks(torch.from_numpy(vertices)[None])[0].cpu().numpy().astype(np.float32)


def _ears(head: Head) -> Array:
    """(F,) bool: faces of the ears."""
    return np.isin(head.part_labels.numpy(), [PARTS.index("left_ear"), PARTS.index("right_ear")])


def _without_ears(head: Head, hairline: Array) -> Array:
    """No hair grows on ears, however high they reach."""
    changed = hairline.copy()
    changed[np.unique(head.faces.numpy()[_ears(head)])] = -50
    return changed


def _random_expression(rng: np.random.Generator, head: Head) -> tuple[Array, Array]:
    """Often close to neutral, else a few components at once; left and right mostly agree; the jaw may open."""
    names = head.expression_names
    weights = np.zeros(len(names))
    pose = np.zeros((len(head.joint_names), 3))
    strength = rng.choice([0.15, 0.6, 1.0], p=[0.35, 0.35, 0.3])
    for index in rng.permutation(len(weights))[: rng.integers(1, 5)]:
        weights[index] = rng.uniform(0, 1) * strength
        side, other = ("left", "right") if "left" in names[index] else ("right", "left")
        opposite = names[index].replace(side, other)
        if opposite in names and names[index].endswith(side) and rng.random() < 0.85:
            weights[names.index(opposite)] = weights[index] * rng.uniform(0.9, 1.0)
    if "jaw" in head.joint_names and rng.random() < 0.4:
        pose[head.joint_names.index("jaw"), 0] = rng.uniform(0, 0.28) * strength
    if (
        "jawOpen" in names
    ):  # ICT-FaceKit's jaw is a component, and "mouthClose" presses the lips of an open one together
        _open_by_component(names, weights, pose[head.joint_names.index("jaw")])
    return weights, pose


def _open_by_component(names: tuple[str, ...], weights: Array, jaw: Array) -> None:
    """Turns the jaw's rotation into weight of its component, in place."""
    opened, closed = names.index("jawOpen"), names.index("mouthClose")
    weights[opened] = max(weights[opened], jaw[0] / 0.4)
    weights[closed] = min(weights[closed], weights[opened])
    jaw[:] = 0
