"""Head placement: known poses come back, and the optimum is that of an independent solver."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from harness.geometry.placement import Pose, Sightings, facing_pose, find_pose, refine_pose, residuals, robust_cost


def _model() -> np.ndarray:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-60, 60, 68), rng.uniform(-70, 70, 68)
    return np.stack([x, y, 60 - 0.008 * (x**2 + y**2)], axis=1)


def _scene(seed: int, views: int, noise: float = 0.0) -> tuple[torch.Tensor, Sightings, np.ndarray, np.ndarray]:
    """A head anywhere in the world, seen by cameras that look at it; some from the side."""
    rng = np.random.default_rng(seed)
    model = _model()
    rotation, translation = Rotation.random(random_state=seed).as_matrix(), rng.normal(0, 400, 3)
    projections, points = [], []
    for i in range(views):
        turn = Rotation.from_euler("yxz", [[0, 50, -60][i % 3] + rng.normal(0, 8), *rng.normal(0, 8, 2)], degrees=True)
        to_camera = turn.as_matrix() @ np.diag([1.0, -1, -1]) @ rotation.T
        shift = np.array([rng.normal(0, 20), rng.normal(0, 20), rng.uniform(500, 1500)]) - to_camera @ translation
        k = np.array([[700, 0, 64], [0, 700, 60], [0, 0, 1.0]])
        projection = k @ np.hstack([to_camera, shift[:, None]])
        image = (model @ rotation.T + translation) @ projection[:, :3].T + projection[:, 3]
        points.append(image[:, :2] / image[:, 2:] + noise * rng.normal(size=(68, 2)))
        projections.append(projection)
    seen = Sightings(
        torch.from_numpy(np.stack(projections))[None],
        torch.from_numpy(np.stack(points))[None],
        torch.ones(1, views, 68, dtype=torch.float64),
    )
    return torch.from_numpy(model)[None], seen, rotation, translation


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_exact_sightings_give_the_exact_pose(views: int, seed: int) -> None:
    model, seen, rotation, translation = _scene(seed, views)
    pose, cost = find_pose(model, seen)
    assert float(cost) < 1e-8
    assert np.abs(pose.rotation[0].numpy() - rotation).max() < 1e-4
    assert np.abs(pose.translation[0].numpy() - translation).max() < 0.1


def test_an_optimum_as_scipy_finds_it() -> None:
    model, seen, rotation, translation = _scene(1, 2, noise=1.5)
    pose, _ = find_pose(model, seen)

    def errors(x: np.ndarray) -> np.ndarray:
        trial = Pose(
            torch.from_numpy(Rotation.from_rotvec(x[:3]).as_matrix() @ rotation)[None],
            torch.from_numpy(translation + x[3:])[None],
        )
        squared = (residuals(model, seen, trial) ** 2).sum(-1).numpy().ravel()
        return 3 * np.sqrt(np.log1p(squared / 9))

    best = least_squares(errors, np.zeros(6), x_scale=[0.01] * 3 + [1] * 3, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    assert float(robust_cost(residuals(model, seen, pose))) == pytest.approx(2 * best.cost, rel=1e-6)


def test_outliers_move_it_little() -> None:
    model, seen, _, translation = _scene(2, 3)
    seen.points[0, 0, :20] += 40
    pose, _ = find_pose(model, seen)
    assert np.abs(pose.translation[0].numpy() - translation).max() < 1.0


def test_points_without_weight_do_not_count() -> None:
    model, seen, _, translation = _scene(2, 2)
    seen.points[0, 1, :30] += 200
    seen.spread[0, 1, :30] = torch.inf
    pose, _ = find_pose(model, seen)
    assert np.abs(pose.translation[0].numpy() - translation).max() < 0.1


def test_never_worse_than_its_start_and_alike_in_a_batch() -> None:
    scenes = [_scene(seed, 1, noise=2.0) for seed in range(3)]
    model = torch.cat([s[0] for s in scenes])
    seen = Sightings(*(torch.cat([getattr(s[1], f) for s in scenes]) for f in ("projection", "points", "spread")))
    start = facing_pose(model, seen, 0)
    together = refine_pose(model, seen, start, iterations=10)
    assert (robust_cost(residuals(model, seen, together)) <= robust_cost(residuals(model, seen, start))).all()
    for i, scene in enumerate(scenes):
        alone = refine_pose(scene[0], scene[1], facing_pose(scene[0], scene[1], 0), iterations=10)
        assert torch.allclose(alone.translation[0], together.translation[i], atol=1e-6)
