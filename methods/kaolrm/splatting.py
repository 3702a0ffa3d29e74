"""Draws flat Gaussians (Huang et al., 2D Gaussian Splatting, SIGGRAPH 2024) in PyTorch, on CPU and GPU.

A pixel's ray meets the plane of each Gaussian; what it sees there is blended from the nearest Gaussian to the farthest.
As in the published renderer, a Gaussian is never thinner on the picture than a soft dot (section 4.2 of the paper),
what is fainter than 1/255 is left out, no Gaussian covers more than 99 %, and a ray ends where less than 1/10000 of it
is left. Everything is differentiable in the Gaussians, except that these four limits have no derivative.

Meant for small pictures: the pairs of a pixel and a Gaussian are listed, with the Gaussians sorted by depth and taken
in shares of at most `PAIRS`, so that rays that have ended cost nothing in the next share. On CUDA the package gsplat
takes its place where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import ContractError
from harness.methods.kaolrm.gaussians import Gaussians
from harness.samples import Array, Camera

FAINTEST, DENSEST, LEAST_LEFT = 1 / 255, 0.99, 1e-4
DOT = 2.0
"""Of the dot that a Gaussian is at least: 1 / variance in 1 / pixels^2."""
NEAR = 0.2  # nothing nearer to the camera is drawn
THINNEST = 1e-6  # standard deviation; keeps what is divided by it finite
PAIRS = 500_000


@dataclass(frozen=True, eq=False)
class Picture:
    """What is seen of Gaussians.

    Attributes:
        colour: (H, W, 3) before the background.
        opacity: (H, W) how much of the background is covered, 0..1.
        depth: (H, W) mean distance along the camera's z axis of what is seen, 0 where nothing is.
        normals: (H, W, 3) mean normal of what is seen times the opacity, towards the camera, in the camera's axes
            (x right, y down, z forward).
    """

    colour: Tensor
    opacity: Tensor
    depth: Tensor
    normals: Tensor


@dataclass(frozen=True, eq=False)
class _Discs:
    """Gaussians before a camera, sorted by depth; x and y are already in pixels per unit of depth.

    Attributes:
        centres: (N, 3) in the camera's axes.
        across: (N, 2, 3) the ellipse's two axes over their standard deviations: a point's offset times them says how
            many standard deviations it is away.
        normals: (N, 3) towards the camera.
        middles: (N, 2) pixels of the centres.
        boxes: (N, 4) int64 first and last column, first and last row that a Gaussian may be seen in; empty where last
            is before first.
        opacities: (N,).
        colours: (N, 3).
    """

    centres: Tensor
    across: Tensor
    normals: Tensor
    middles: Tensor
    boxes: Tensor
    opacities: Tensor
    colours: Tensor

    def taken(self, which: Tensor) -> _Discs:
        return _Discs(**{name: value.index_select(0, which) for name, value in vars(self).items()})


def splat(gaussians: Gaussians, camera: Camera, background: Tensor | float = 1.0) -> Picture:
    """Draws Gaussians on a background.

    With gsplat the depth is that of the Gaussians' centres, and the densest Gaussian covers a little more.

    Args:
        gaussians: N of them, of one item; lengths in any unit.
        camera: lengths in the same unit. Pinhole without skew.
        background: (3,) colour, or one number for all three.

    Raises:
        ContractError: the Gaussians are a batch, or the camera has skew.
    """
    if gaussians.centres.ndim != 2:
        raise ContractError(
            f"gaussians.centres: shape {tuple(gaussians.centres.shape)}, expected (N, 3); draw one item at a time"
        )
    if camera.intrinsics[0, 1] != 0 or camera.intrinsics[1, 0] != 0:
        raise ContractError(f"camera.intrinsics: skew {camera.intrinsics[0, 1]}, expected 0")
    drawn = _with_gsplat(gaussians, camera) if gaussians.centres.is_cuda else None
    drawn = drawn or splat_with_torch(gaussians, camera)
    behind = torch.as_tensor(background).to(drawn.colour)
    colour = drawn.colour + (1 - drawn.opacity)[..., None] * behind
    return Picture(colour, drawn.opacity, drawn.depth, drawn.normals)


def splat_with_torch(gaussians: Gaussians, camera: Camera) -> Picture:
    """As `splat`, before black and always in PyTorch."""
    discs = _before(gaussians, camera)
    pixels = camera.width * camera.height
    left = discs.centres.new_ones(pixels)  # of each ray
    ended = torch.zeros(pixels, dtype=torch.bool, device=left.device)
    sums = discs.centres.new_zeros(pixels, 8)  # colour, covered, depth, normal
    for share in _shares(discs.boxes):
        part = discs.taken(share)
        pixel, disc = _pairs(part.boxes, camera.width)
        open_ = ~ended.index_select(0, pixel)
        pixel, disc = pixel[open_], disc[open_]
        alpha, depth = _seen(part, pixel, disc, camera)
        strong = alpha.detach() >= FAINTEST
        order = pixel[strong].argsort(stable=True)  # by pixel, and within a pixel still by depth
        pixel, disc, alpha, depth = (value[strong][order] for value in (pixel, disc, alpha, depth))
        before, after = _left(alpha, pixel, left)
        counts = after.detach() > LEAST_LEFT
        ended = ended.index_fill(0, pixel[~counts], True)
        pixel, disc, depth = pixel[counts], disc[counts], depth[counts]
        weight = (before * alpha)[counts]
        colours, normals = (value.index_select(0, disc) for value in (part.colours, part.normals))
        values = torch.cat([colours, torch.ones_like(depth)[:, None], depth[:, None], normals], dim=1)
        sums = sums.index_add(0, pixel, weight[:, None] * values)
        left = 1 - sums[:, 3]
        if bool(ended.all()):
            break
    return _picture(sums.unflatten(0, (camera.height, camera.width)))


def _picture(sums: Tensor) -> Picture:
    colour, covered, depth, normals = sums.split([3, 1, 1, 3], dim=2)
    return Picture(colour, covered[..., 0], (depth / covered.clamp_min(1e-10))[..., 0], normals)


def _before(gaussians: Gaussians, camera: Camera) -> _Discs:
    """The Gaussians in the camera's axes, from near to far, without those that are behind it or too faint."""
    centres = gaussians.centres
    rotation = _tensor(camera.rotation, centres)
    centres = centres @ rotation.T + _tensor(camera.translation, centres)
    order = centres[:, 2].detach().argsort()
    visible = (centres[order, 2] > NEAR) & (gaussians.opacities[order, 0] >= FAINTEST)
    order = order[visible]
    centres, one = centres[order], gaussians.chosen(order)
    axes = rotation @ rotation_matrices(one.rotations)
    normals = axes[:, :, 2]
    facing = -(normals * centres).sum(dim=1, keepdim=True).detach().sign()
    lens = _tensor(camera.intrinsics, centres)
    image = centres @ lens.T
    return _Discs(
        centres=centres,
        across=axes[:, :, :2].mT / one.scales[:, :2, None].clamp_min(THINNEST),
        normals=normals * facing,
        middles=image[:, :2] / image[:, 2:],
        boxes=_boxes(centres, axes[:, :, :2] * one.scales[:, None, :2], one.opacities[:, 0], camera),
        opacities=one.opacities[:, 0],
        colours=one.colours,
    )


@torch.no_grad()
def _boxes(centres: Tensor, spread: Tensor, opacities: Tensor, camera: Camera) -> Tensor:
    """(N, 4) the pixels between which a Gaussian is at least `FAINTEST`.

    Its edge is the image of a circle of r standard deviations under the matrix [spread, centre]; the tangents of that
    conic along the picture's axes follow from its dual. Where the edge reaches behind the camera there is no such box.

    Args:
        centres: (N, 3) in the camera's axes.
        spread: (N, 3, 2) axes times standard deviations.
        opacities: (N,).
        camera: its lens and size.
    """
    lens = _tensor(camera.intrinsics, centres)
    squared = 2 * (opacities / FAINTEST).log().clamp_min(0)
    image = lens @ torch.cat([spread * squared.sqrt()[:, None, None], centres[:, :, None]], dim=2)
    signs = centres.new_tensor([1.0, 1.0, -1.0])
    dual = (image * signs) @ image.mT
    whole = dual[:, 2, 2] >= 0
    dot = (squared / DOT).sqrt()
    ends = []
    for axis, size in enumerate((camera.width, camera.height)):
        bottom = torch.where(whole, -1.0, dual[:, 2, 2])
        middle = dual[:, axis, 2] / bottom
        half = (middle**2 - dual[:, axis, axis] / bottom).clamp_min(0).sqrt()
        place = image[:, axis, 2] / image[:, 2, 2]
        first = torch.minimum(middle - half, place - dot).clamp(-1, size)
        last = torch.maximum(middle + half, place + dot).clamp(-1, size)
        first, last = first.ceil().long().clamp_min(0), last.floor().long().clamp_max(size - 1)
        ends += [torch.where(whole, 0, first), torch.where(whole, size - 1, last)]
    return torch.stack(ends, dim=1)


def _shares(boxes: Tensor) -> Iterator[Tensor]:
    """Numbers of the Gaussians, from near to far, in shares that cover at most `PAIRS` pixels (or are one)."""
    areas = _areas(boxes)
    share = (areas.cumsum(0) - areas) // PAIRS
    for which in share.unique_consecutive():
        yield (share == which).nonzero()[:, 0]


def _areas(boxes: Tensor) -> Tensor:
    left, right, top, bottom = boxes.unbind(1)
    return (right - left + 1).clamp_min(0) * (bottom - top + 1).clamp_min(0)


def _pairs(boxes: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """(P,) numbers of the pixels in every box, and (P,) the box's number; box by box."""
    areas = _areas(boxes)
    disc = torch.arange(len(boxes), device=boxes.device).repeat_interleave(areas)
    inside = torch.arange(len(disc), device=boxes.device) - (areas.cumsum(0) - areas).index_select(0, disc)
    left, right, top, _ = boxes.index_select(0, disc).unbind(1)
    across = right - left + 1
    return (top + inside // across) * width + left + inside % across, disc


def _seen(discs: _Discs, pixel: Tensor, disc: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """(P,) how much of a ray each pair's Gaussian stops if the ray gets there, and (P,) at which depth."""
    lens, like = camera.intrinsics, discs.centres
    x, y = (pixel % camera.width).to(like), (pixel // camera.width).to(like)
    rays = torch.stack([(x - lens[0, 2]) / lens[0, 0], (y - lens[1, 2]) / lens[1, 1], torch.ones_like(x)], dim=1)
    centres, across, normals, middles, opacities = (
        value.index_select(0, disc)
        for value in (discs.centres, discs.across, discs.normals, discs.middles, discs.opacities)
    )
    slope = (rays * normals).sum(dim=1)
    edge_on = slope.detach().abs() < 1e-9
    depth = (centres * normals).sum(dim=1) / torch.where(edge_on, 1.0, slope)
    offsets = (across @ (rays * depth[:, None] - centres)[:, :, None])[:, :, 0]
    squared = (offsets**2).sum(dim=1)
    dot = DOT * ((x - middles[:, 0]) ** 2 + (y - middles[:, 1]) ** 2)
    is_dot = edge_on | (dot < squared).detach()
    depth = torch.where(is_dot, centres[:, 2], depth)
    alpha = opacities * (-0.5 * torch.where(is_dot, dot, squared)).exp()
    return torch.where(depth > NEAR, alpha.clamp_max(DENSEST), 0.0), depth


def _left(alpha: Tensor, pixel: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """(P,) what is left of the ray before and after each pair; pairs sorted by pixel, and by depth within one.

    A product over each pixel's pairs, as a running sum of logarithms less its value where the pixel begins; the sum
    runs over all pixels, hence double precision.
    """
    steps = torch.log1p(-alpha.double())
    running = steps.cumsum(0)
    begins = torch.ones_like(pixel, dtype=torch.bool)
    begins[1:] = pixel[1:] != pixel[:-1]
    first = begins.nonzero()[:, 0].index_select(0, begins.cumsum(0) - 1)
    logarithm = running - (running - steps).index_select(0, first)
    start = left.index_select(0, pixel)
    return start * (logarithm - steps).exp().to(left), start * logarithm.exp().to(left)


def _tensor(array: Array, like: Tensor) -> Tensor:
    return torch.tensor(array, dtype=like.dtype, device=like.device)


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """(N, 4) w, x, y, z of length 1 -> (N, 3, 3)."""
    w, x, y, z = quaternions.unbind(1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=1).unflatten(1, (3, 3))


def _with_gsplat(gaussians: Gaussians, camera: Camera) -> Picture | None:
    """The same by gsplat (`rasterization_2dgs`); None where it is not installed."""
    try:
        from gsplat import rasterization_2dgs
    except ImportError:
        return None
    like = gaussians.centres
    lens = _tensor(camera.intrinsics, like)
    lens = lens + lens.new_tensor([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])  # it counts pixels from their corners
    pose = torch.eye(4).to(like)
    pose[:3, :3], pose[:3, 3] = (_tensor(part, like) for part in (camera.rotation, camera.translation))
    colours, covered, normals, *_ = rasterization_2dgs(
        *(like, gaussians.rotations, gaussians.scales, gaussians.opacities[:, 0], gaussians.colours),
        *(pose[None], lens[None], camera.width, camera.height),
        near_plane=NEAR,
        render_mode="RGB+ED",
    )
    turned = normals[0] @ pose[:3, :3].T
    return Picture(colours[0, ..., :3], covered[0, ..., 0], colours[0, ..., 3], turned)
