"""KaoLRM's cameras against the numbers and formulas of the published code."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ContractError
from harness.methods.kaolrm import cameras
from harness.synthesis.cameras import orbit_camera

SOURCE = [1, 0, 0, 0, 0, 0, -1, -2, 0, 1, 0, 0, 0.75, 0.75, 0.5, 0.5]


def test_source_numbers_are_the_published_ones() -> None:
    found = cameras.source_numbers(3)
    assert found.dtype == torch.float32 and found.tolist() == [SOURCE] * 3


@pytest.mark.parametrize("focal", [cameras.PLANE_FOCAL, cameras.MONO_TRAINING_FOCAL, cameras.MONO_FOCAL])
@pytest.mark.parametrize("size", [192, 225])
def test_frontal_projection(focal: float, size: int) -> None:
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 3))
    x, y, z = points.T
    from_edge = np.stack([size / 2 + focal * size * x / (2 - z), size / 2 - focal * size * y / (2 - z)], axis=1)
    assert np.abs(cameras.frontal_camera(focal, size).project(points) - (from_edge - 0.5)).max() < 1e-10


@settings(max_examples=30, deadline=None)
@given(yaw=st.floats(-80, 80), pitch=st.floats(-60, 60), focal=st.floats(0.5, 20))
def test_numbers_of_any_camera_say_where_it_stands_and_what_it_sees(yaw: float, pitch: float, focal: float) -> None:
    camera = orbit_camera(yaw, pitch, 2.0, focal * 100, (100, 80), np.zeros(3))
    numbers = cameras.camera_numbers(camera).double().numpy()
    pose, lens = numbers[:12].reshape(3, 4), numbers[12:]
    to_mesh = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) @ pose
    assert np.abs(to_mesh[:, 3] - camera.centre).max() < 1e-6
    point = np.array([0.1, -0.2, 0.05])
    seen = to_mesh[:, :3].T @ (point - to_mesh[:, 3])  # x right, y up, z backwards
    u = lens[2] + lens[0] * seen[0] / -seen[2]
    v = lens[3] - lens[1] * seen[1] / -seen[2]
    assert np.abs(camera.project(point[None])[0] - [u * 100 - 0.5, v * 80 - 0.5]).max() < 1e-3


def test_given_numbers_are_taken() -> None:
    assert torch.equal(cameras.checked_numbers(SOURCE), cameras.source_numbers())
    assert torch.equal(cameras.checked_numbers(np.array([SOURCE, SOURCE])), cameras.source_numbers(2))


def test_twenty_numbers_are_refused_with_the_reason() -> None:
    twenty = [*SOURCE[:12], 0, 0, 0, 1, *SOURCE[12:]]
    with pytest.raises(ContractError, match="paper speaks of 20.*leave out the last row"):
        cameras.checked_numbers(twenty)
    assert cameras.checked_numbers(twenty[:12] + twenty[16:]).tolist() == [SOURCE]


@pytest.mark.parametrize("numbers", [[], [1.0] * 15, np.ones((2, 3, 16)), 3.0])
def test_other_counts_are_refused(numbers: object) -> None:
    with pytest.raises(ContractError, match=r"expected \(16,\) or \(B, 16\)"):
        cameras.checked_numbers(numbers)  # type: ignore[arg-type]


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ContractError, match="NaN"):
        cameras.checked_numbers([*SOURCE[:15], float("nan")])


def test_export_enlarges_by_the_lens() -> None:
    points = torch.tensor([[0.3, -0.6, 0.9]])
    assert torch.equal(cameras.exported(points, 0.75), points)
    assert torch.allclose(cameras.exported(points, 20.0), points * 80 / 3)
    with pytest.raises(ContractError, match="focal"):
        cameras.exported(points, 0.0)
