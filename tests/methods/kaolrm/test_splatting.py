"""Drawing Gaussians against a slow twin in double precision, closed forms, and finite differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional

from harness.errors import ContractError
from harness.methods.kaolrm import splatting
from harness.methods.kaolrm.cameras import frontal_camera
from harness.methods.kaolrm.gaussians import Gaussians
from harness.methods.kaolrm.splatting import Picture, splat, splat_with_torch
from harness.samples import Camera
from harness.synthesis.cameras import orbit_camera


def cloud(count: int, seed: int, size: float = 0.1, dtype: torch.dtype = torch.float64) -> Gaussians:
    """Random Gaussians in a ball around the origin, of very different sizes, shapes and opacities."""
    g = torch.Generator().manual_seed(seed)

    def random(width: int) -> Tensor:
        return torch.rand(count, width, generator=g, dtype=torch.float64)

    centres = functional.normalize(random(3) - 0.5, dim=1) * random(1)
    rotations = functional.normalize(torch.randn(count, 4, generator=g, dtype=torch.float64), dim=1)
    values = (centres, random(1), size * (3 * (random(3) - 0.7)).exp(), rotations, random(3))
    return Gaussians(*(value.to(dtype) for value in values))


@dataclass
class Twin:
    """What the paper and its published renderer say, a pixel and a Gaussian at a time."""

    gaussians: Gaussians
    camera: Camera

    def picture(self) -> tuple[np.ndarray, ...]:
        height, width = self.camera.height, self.camera.width
        colour, normals = np.zeros((height, width, 3)), np.zeros((height, width, 3))
        opacity, depth = np.zeros((height, width)), np.zeros((height, width))
        discs = self.discs()
        for row in range(height):
            for column in range(width):
                left = 1.0
                for disc in discs:
                    alpha, z = self.seen(disc, column, row)
                    if z <= 0.2 or alpha < 1 / 255:
                        continue
                    if left * (1 - alpha) <= 1e-4:
                        break
                    weight = left * alpha
                    colour[row, column] += weight * disc["colour"]
                    normals[row, column] += weight * disc["normal"]
                    depth[row, column] += weight * z
                    opacity[row, column] += weight
                    left *= 1 - alpha
        seen = opacity > 0
        depth[seen] /= opacity[seen]
        return colour, opacity, depth, normals

    def discs(self) -> list[dict[str, np.ndarray]]:
        g = {name: value.double().numpy() for name, value in vars(self.gaussians).items()}
        found = []
        for i in range(len(g["centres"])):
            centre = self.camera.rotation @ g["centres"][i] + self.camera.translation
            w, x, y, z = g["rotations"][i]
            axes = self.camera.rotation @ Rotation.from_quat([x, y, z, w]).as_matrix()
            normal = axes[:, 2] if axes[:, 2] @ centre < 0 else -axes[:, 2]
            plane = np.stack([axes[:, 0] * g["scales"][i, 0], axes[:, 1] * g["scales"][i, 1], centre], axis=1)
            matrix = self.camera.intrinsics @ plane  # (u, v, 1) of the ellipse -> homogeneous pixels
            one = {"matrix": matrix, "normal": normal, "z": centre[2], "opacity": g["opacities"][i, 0]}
            if centre[2] > 0.2:
                found.append(one | {"colour": g["colours"][i]})
        return sorted(found, key=lambda disc: float(disc["z"]))

    @staticmethod
    def seen(disc: dict[str, np.ndarray], column: int, row: int) -> tuple[float, float]:
        """The ray is where the planes x = column and y = row meet, in the ellipse's own coordinates."""
        matrix = disc["matrix"]
        u, v, w = np.cross(column * matrix[2] - matrix[0], row * matrix[2] - matrix[1])
        middle = matrix[:2, 2] / matrix[2, 2]
        dot = 2 * ((column - middle[0]) ** 2 + (row - middle[1]) ** 2)
        squared, z = (np.inf, 0.0) if w == 0 else ((u / w) ** 2 + (v / w) ** 2, float(matrix[2] @ [u / w, v / w, 1]))
        if dot < squared:
            squared, z = dot, float(disc["z"])
        return min(0.99, float(disc["opacity"] * np.exp(-0.5 * squared))), z


def assert_same(found: Picture, expected: tuple[np.ndarray, ...], limit: float) -> None:
    for name, value in zip(("colour", "opacity", "depth", "normals"), expected, strict=True):
        error = np.abs(getattr(found, name).double().numpy() - value).max()
        assert error < limit, f"{name}: {error}"


CAMERAS = {
    "frontal": frontal_camera(0.75, 10),
    "aside": orbit_camera(35, -20, 2.0, 9, (12, 8), np.array([0.1, 0, 0]), roll_deg=15),
    "inside": orbit_camera(10, 5, 0.9, 7, (9, 9), np.zeros(3)),  # Gaussians beside and behind the camera
}


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("size", [0.02, 0.2])
def test_picture_is_the_twins(camera: Camera, size: float) -> None:
    gaussians = cloud(30, 3, size)
    expected = Twin(gaussians, camera).picture()
    assert expected[1].max() > 0.3
    assert_same(splat_with_torch(gaussians, camera), expected, 1e-9)
    single = Gaussians(**{name: value.float() for name, value in vars(gaussians).items()})
    assert_same(splat_with_torch(single, camera), Twin(single, camera).picture(), 1e-4)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.floats(0.001, 1.0), yaw=st.floats(-180, 180))
def test_picture_is_the_twins_whatever_the_cloud(seed: int, size: float, yaw: float) -> None:
    gaussians, camera = cloud(12, seed, size), orbit_camera(yaw, 10, 1.5, 7, (9, 8), np.zeros(3))
    assert_same(splat_with_torch(gaussians, camera), Twin(gaussians, camera).picture(), 1e-8)


def test_shares_do_not_change_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    gaussians, camera = cloud(300, 5), CAMERAS["frontal"]
    whole = splat_with_torch(gaussians, camera)
    assert (whole.opacity > 0.999).any()  # some rays end early
    for pairs in (1, 700):
        monkeypatch.setattr(splatting, "PAIRS", pairs)
        parts = splat_with_torch(gaussians, camera)
        for name, value in vars(whole).items():
            assert torch.allclose(getattr(parts, name), value, atol=1e-12), name


def test_gradients_are_finite_differences() -> None:
    camera = orbit_camera(20, 10, 2.0, 6, (6, 5), np.zeros(3))
    start = cloud(5, 11, 0.25)
    values = [value.clone().requires_grad_() for value in vars(start).values()]

    def drawn(*parts: Tensor) -> tuple[Tensor, ...]:
        centres, opacities, scales, rotations, colours = parts
        unit = functional.normalize(rotations, dim=1)
        return tuple(vars(splat(Gaussians(centres, opacities, scales, unit, colours), camera, 0.3)).values())

    assert torch.autograd.gradcheck(drawn, values, eps=1e-7, atol=1e-5, rtol=1e-4)


def one(centre: tuple[float, ...], **more: Tensor) -> Gaussians:
    values = {
        "centres": torch.tensor([centre], dtype=torch.float64),
        "opacities": torch.tensor([[0.8]], dtype=torch.float64),
        "scales": torch.tensor([[0.1, 0.05, 9.0]], dtype=torch.float64),
        "rotations": torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64),
        "colours": torch.tensor([[1.0, 0.5, 0.0]], dtype=torch.float64),
    }
    return Gaussians(**(values | more))


def test_a_gaussian_that_faces_the_camera_is_a_gaussian_on_the_picture() -> None:
    camera = frontal_camera(0.75, 65)  # a pixel's centre is the middle of the picture
    picture = splat(one((0, 0, 0)), camera, torch.tensor([0.0, 0, 1], dtype=torch.float64))
    sigma = 0.75 * 65 / 2 * np.array([0.1, 0.05])
    rows, columns = np.mgrid[:65, :65] - 32.0
    expected = 0.8 * np.exp(-0.5 * ((columns / sigma[0]) ** 2 + (rows / sigma[1]) ** 2))
    expected[expected < 1 / 255] = 0
    assert np.abs(picture.opacity.numpy() - expected).max() < 1e-12
    assert picture.colour[32, 32].tolist() == pytest.approx([0.8, 0.4, 0.2])
    assert picture.depth[32, 32].item() == pytest.approx(2.0)
    assert picture.normals[32, 32].tolist() == pytest.approx([0, 0, -0.8])


def test_a_tiny_gaussian_is_a_soft_dot_where_the_camera_projects_it() -> None:
    camera = frontal_camera(0.75, 65)
    picture = splat(one((0.31, -0.2, 0.4), scales=torch.full((1, 3), 1e-9, dtype=torch.float64)), camera)
    x, y = camera.project(np.array([[0.31, -0.2, 0.4]]))[0]
    rows, columns = np.mgrid[:65, :65]
    expected = 0.8 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2))
    expected[expected < 1 / 255] = 0
    assert np.abs(picture.opacity.numpy() - expected).max() < 1e-6


def test_gradients_of_extreme_gaussians_are_finite() -> None:
    """Edge-on, without extent, at the camera, beside it, behind it, invisible."""
    edge_on = [2**-0.5, 0.0, 2**-0.5, 0.0]
    gaussians = Gaussians(
        centres=torch.tensor([[0.0, 0, 0], [0.1, 0, 0.2], [0, 0, 2], [3, 0, 1.7], [0, 0, 5], [0, 0.2, 0]]),
        opacities=torch.tensor([[0.9], [1.0], [0.9], [0.9], [0.9], [0.0]]),
        scales=torch.tensor([[0.3], [0.0], [0.3], [2.0], [0.3], [0.3]]).expand(6, 3).clone(),
        rotations=torch.tensor([edge_on, edge_on, *[[1.0, 0, 0, 0]] * 4]),
        colours=torch.rand(6, 3, generator=torch.Generator().manual_seed(0)),
    )
    for value in vars(gaussians).values():
        value.requires_grad_()
    picture = splat(gaussians, frontal_camera(0.75, 33))
    sum(value.square().sum() for value in vars(picture).values()).backward()
    assert all(value.isfinite().all() for value in vars(picture).values())
    assert all(value.grad is not None and value.grad.isfinite().all() for value in vars(gaussians).values())


def test_nothing_to_see_is_the_background() -> None:
    none = Gaussians(**{name: value[:0] for name, value in vars(one((0, 0, 0))).items()})
    for gaussians in (none, one((0, 0, 9.0))):
        picture = splat(gaussians, frontal_camera(0.75, 8), 0.5)
        assert (picture.colour == 0.5).all() and not picture.opacity.any() and not picture.depth.any()


def test_batches_and_skew_are_refused() -> None:
    batch = Gaussians(**{name: value[None] for name, value in vars(cloud(3, 0)).items()})
    with pytest.raises(ContractError, match=r"expected \(N, 3\)"):
        splat(batch, CAMERAS["frontal"])
    assert splat(batch.of(0), CAMERAS["frontal"]).opacity.any()
    skewed = np.array([[9.0, 1, 4], [0, 9, 4], [0, 0, 1]])
    with pytest.raises(ContractError, match="skew"):
        splat(cloud(3, 0), Camera(skewed, np.eye(3), np.array([0, 0, 2.0]), 9, 9))


def test_a_cloud_can_be_fitted_to_a_picture() -> None:
    """Descent on one picture brings a moved, recoloured cloud back to it."""
    camera = frontal_camera(0.75, 24)
    truth = splat(cloud(30, 1, 0.2, torch.float32), camera).colour
    start = cloud(30, 1, 0.2, torch.float32)
    shift, colours = torch.full((3,), 0.15, requires_grad=True), torch.full((30, 3), 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([shift, colours], lr=0.03)
    errors = []
    for _ in range(60):
        moved = Gaussians(start.centres + shift, start.opacities, start.scales, start.rotations, colours)
        loss = (splat(moved, camera).colour - truth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_draws_the_same() -> None:
    gaussians, camera = cloud(200, 3, 0.1, torch.float32), CAMERAS["aside"]
    there = Gaussians(**{name: value.cuda() for name, value in vars(gaussians).items()})
    here = splat_with_torch(gaussians, camera)
    for name, value in vars(splat_with_torch(there, camera)).items():
        assert torch.allclose(value.cpu(), getattr(here, name), atol=1e-4), name
