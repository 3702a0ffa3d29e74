"""FaceVerse's views: directions and cameras are those that are documented."""

from __future__ import annotations

import numpy as np
import pytest

from harness.datasets import faceverse_views as views


def test_random_views_are_uniform_on_the_frontal_half_sphere_and_seeded():
    angles = [a for scan in range(200) for a in views.view_angles("random", f"{scan:03d}_01")]
    yaw, pitch = np.deg2rad([a.yaw for a in angles]), np.deg2rad([a.pitch for a in angles])
    towards = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1)
    assert towards[:, 2].min() >= 0
    # Archimedes: on a sphere each coordinate is uniform; the half sphere has z uniform in 0..1.
    for values, low in ((towards[:, 0], -1), (towards[:, 1], -1), (towards[:, 2], 0)):
        shares = np.histogram(values, bins=4, range=(low, 1))[0] / len(values)
        assert np.abs(shares - 0.25).max() < 0.03
    assert views.view_angles("random", "111_01") == views.view_angles("random", "111_01")
    assert views.view_angles("random", "111_01") != views.view_angles("random", "111_02")


def test_the_grid_is_the_specified_one():
    grid = views.view_angles("grid", "111_01")
    assert {(a.yaw, a.pitch) for a in grid} == {(y, p) for y in range(-90, 91, 15) for p in (-15, 0, 15)} and len(
        grid
    ) == 39


def test_cameras_share_intrinsics_and_look_at_the_origin():
    for angles in (*views.view_angles("random", "111_01"), *views.view_angles("grid", "111_01")):
        camera = views.camera_at(angles, 150.0)
        assert np.allclose(camera.project(np.zeros((1, 3))), (views.SIZE - 1) / 2)
        assert np.linalg.norm(camera.centre) == pytest.approx(300.0)
        assert camera.intrinsics[0, 0] == camera.intrinsics[1, 1] == 0.75 * 224
        assert np.rad2deg(np.arcsin(camera.centre[1] / 300)) == pytest.approx(angles.pitch)
        assert camera.centre[0] * np.sin(np.deg2rad(angles.yaw)) >= -1e-9
