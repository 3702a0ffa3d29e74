"""Drawn heads painted into photographs by a generator: the loop that SMIRK and TEASER learn expressions in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.methods.regression.codes import Codes
from harness.methods.regression.material import Lesson
from harness.methods.regression.training import Workshop, placed
from harness.methods.smirk.masking import masked_picture, outside_face, sample_pixels, sampling_weights

Generator = Callable[[Tensor, Tensor, Codes], Tensor]
"""(B, 3, S, S) drawn faces, (B, 3, S, S) masked photographs and the codes -> (B, 3, S, S) photographs."""


@dataclass(frozen=True, eq=False)
class Kept:
    """K points of the faces' surface whose colours the generator may see.

    Attributes:
        picture: (K,) in which photograph.
        corners: (K, 3) vertices of the head, weights: (K, 3) barycentric coordinates.
        colours: (K, 3) in the photograph.
    """

    picture: Tensor
    corners: Tensor
    weights: Tensor
    colours: Tensor

    def places(self, points: Tensor, size: int) -> Tensor:
        """(K, 3) picture, row and column, with the vertices at (B, V, 3) in [-1, 1]."""
        place = (self.weights[..., None] * points[self.picture[:, None], self.corners, :2]).sum(dim=1)
        pixels = ((place + 1) * ((size - 1) / 2)).round().long().clamp(0, size - 1)
        return torch.stack([self.picture, pixels[:, 1], pixels[:, 0]], dim=1)


@dataclass(frozen=True, eq=False)
class Painted:
    """What a generator made of drawn heads: (B, 3, S, S), their (B, V, 3) vertices in [-1, 1], and what it saw."""

    images: Tensor
    points: Tensor
    kept: Kept


class Painter:
    """Draws codes over a lesson's photographs and lets a generator paint them.

    Args:
        shop: with the head and its artist.
        generator: see Generator.
        ratio: of a crop's pixels that the generator sees of the face; SMIRK 0.01, TEASER none.
    """

    def __init__(self, shop: Workshop, generator: Generator, ratio: float) -> None:
        self.shop, self.generator, self.ratio = shop, generator, ratio
        self.corners = shop.artist.used[shop.artist.faces]
        self.weights = sampling_weights(shop.decoder.head, self.corners)

    def __call__(self, lesson: Lesson, codes: Codes, rng: torch.Generator, kept: Kept | None = None) -> Painted:
        """Paints heads of `codes` where the lesson's are; `kept` from the first time, where there was one."""
        size = lesson.images.shape[-1]
        shaped, points = placed(self.shop.decoder, codes)
        drawn = self.shop.artist.draw(shaped.vertices, points, size)
        fragments = drawn.fragments
        if kept is None:
            chosen = sample_pixels(fragments, self.weights, self.ratio, rng)
            picture, row, column = (x[chosen] for x in (fragments.picture, fragments.row, fragments.column))
            colours = lesson.images[picture, :, row, column]
            kept = Kept(picture, self.corners[fragments.face[chosen]], fragments.weights[chosen].detach(), colours)
        outside = outside_face(lesson.landmarks, size)
        places = kept.places(points.detach(), size)
        masked = masked_picture(lesson.images, outside, fragments, places, kept.colours, rng)
        return Painted(self.generator(self.shop.artist.clay(drawn), masked, codes), points, kept)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """What is computed inside gives the module no gradient; others get theirs through it."""
    learning = [p for p in module.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
