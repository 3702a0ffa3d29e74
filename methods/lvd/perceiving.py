"""Training of the perception that LVD and GLVD share: the shape that it suggests."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.heads.head import Head
from harness.methods.lvd.descents import rigid_motion
from harness.methods.lvd.expectation import Expected
from harness.methods.lvd.hourglass import ImageFilter
from harness.methods.lvd.lessons import Lesson
from harness.methods.lvd.modes import modes_of, starting_modes
from harness.methods.lvd.network import Features, Perception, Sizes, encode
from harness.training_data import Batch

RIDGE = 1000.0  # lessons' worth of prior that an input says nothing
SLIDE = 0.05  # what an error along the surface counts against one across it
_MODE_RIDGE = 50.0  # square millimetres over 1000 vertices: modes that the face does not show stay at rest


class Perceiver(nn.Module):
    """f_v and its perception, with the modes that its code is in.

    Args:
        sizes: of either method.
        head: the model.
    """

    def __init__(self, sizes: Sizes, head: Head) -> None:
        super().__init__()
        if sizes.rank is None or not sizes.probes:
            raise TypeError("Perceiver needs sizes with probes and rank")
        self.image_filter = ImageFilter(sizes.filter)
        self.perception = Perception(sizes.filter.channels, sizes.probes, sizes.free, sizes.rank)
        basis = starting_modes(modes_of(head), sizes.rank)
        self.basis: Tensor
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, batch: Batch, projection: Tensor, expected: Expected) -> Features:
        """A placed batch -> Features, of which the last channels are dense."""
        return encode(self.image_filter, self.perception, batch.images, projection, batch.rotation, expected)

    def code_inputs(self, lesson: Lesson) -> Tensor:
        """(B, inputs) what the code's linear map gets."""
        features = self(lesson.batch, lesson.projection, lesson.expected)
        last, dense = features.maps.split(
            [features.maps.shape[2] - self.perception.width, self.perception.width], dim=2
        )
        read = self.perception.read(last, dense, lesson.projection, lesson.expected)
        return self.perception.surface.inputs(*read)

    def shaped(self, start: Tensor, code: Tensor, ids: Tensor) -> Tensor:
        """Points (B, P, 3) of the vertices `ids` moved by the code."""
        return start + torch.einsum("br,rpd->bpd", code, self.basis[: code.shape[1], ids])


@torch.no_grad()
def start_code(net: Perceiver, draw: Callable[[int], Lesson], count: int) -> None:
    """The linear map of the code becomes a ridge regression over `count` lessons, with what the network reads now."""
    lessons = (draw(number) for number in range(count))
    found = [(net.code_inputs(lesson).cpu(), wanted_code(lesson, net.basis).cpu()) for lesson in lessons]
    inputs, wanted = (torch.cat(part) for part in zip(*found, strict=True))
    middle, goal = inputs.mean(dim=0), wanted.mean(dim=0)
    scale = (inputs - middle).std(dim=0).clamp_min(1e-3)
    scaled = (inputs - middle) / scale
    kernel = scaled @ scaled.T + RIDGE * torch.eye(len(scaled))  # there are more inputs than lessons' subjects
    weight = scaled.T @ torch.linalg.solve(kernel, wanted - goal) / scale[:, None]
    linear = net.perception.surface.linear
    linear.weight.copy_(weight.T)
    linear.bias.copy_(goal - middle @ weight)


def wanted_code(lesson: Lesson, basis: Tensor) -> Tensor:
    """(B, R) the code that moves the start closest to the truth in the face, errors along the surface counting less."""
    face = slice(lesson.inner)
    modes, normals = basis[:, lesson.ids[face]], lesson.normals[:, face]
    away = (lesson.truth - lesson.start)[:, face]
    across = torch.einsum("rpd,bpd->brp", modes, normals)
    flat = modes.flatten(1)
    ridge = torch.diag(functional.pad(torch.full((len(modes) - 6,), _MODE_RIDGE), (6, 0), value=1e-3)).to(basis)
    left = across @ across.mT + SLIDE * flat @ flat.T + ridge * lesson.inner / 1000
    right = across @ (away * normals).sum(dim=-1)[..., None] + SLIDE * (flat @ away.flatten(1).T).T[..., None]
    return torch.linalg.solve(left, right)[..., 0]


def perception_losses(net: Perceiver, lesson: Lesson) -> dict[str, Tensor]:
    """`shape`: see `shape_loss`, of the face's vertices; `rest`: a tenth of the mean absolute difference of all."""
    code = net(lesson.batch, lesson.projection, lesson.expected).code
    moved, face = net.shaped(lesson.start, code, lesson.ids), slice(lesson.inner)
    return {
        "shape": shape_loss(moved[:, face], lesson.truth[:, face], lesson.normals[:, face]),
        "rest": 0.1 * (moved - lesson.truth).abs().mean(),
    }


def shape_loss(found: Tensor, truth: Tensor, normals: Tensor) -> Tensor:
    """Millimetres between points (B, P, 3) after the rigid motion that fits best: along the normals, and a part of all.

    Surface distances feel the former; what slides along the surface shows in the latter.
    """
    rotation, middle, goal = rigid_motion(found, truth)
    left = (found - middle) @ rotation + goal - truth
    return (left * normals).sum(dim=-1).abs().mean() + 0.5 * left.abs().mean()
