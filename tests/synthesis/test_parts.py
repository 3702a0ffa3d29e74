"""The small pieces: noise, light, cameras."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ContractError
from harness.synthesis.cameras import look_at, orbit_camera, random_camera
from harness.synthesis.lighting import Light, harmonics, irradiance, random_light
from harness.synthesis.noise import noise_tile, sample_tile, smooth_step, to_linear, to_srgb
from harness.synthesis.surface import ball, vertex_normals


def test_noise_tiles_without_a_seam_and_is_exact_at_its_grid():
    tile = noise_tile(1, 1.0)
    assert abs(tile.mean()) < 1e-5 and tile.std() == pytest.approx(1, abs=1e-5)
    u, v = np.random.default_rng(0).random((2, 50))
    assert np.allclose(sample_tile(tile, u, v), sample_tile(tile, u + 3, v - 2), atol=1e-3)
    assert np.allclose(sample_tile(tile, np.array([5 / 512]), np.array([9 / 512])), tile[9, 5], atol=1e-5)


@given(st.integers(0, 230))
def test_colour_conversion_returns(value):
    there = to_srgb(to_linear(np.array([value])).astype(np.float32))
    assert there[0] * 255 == pytest.approx(value, abs=0.6)


def test_bright_light_rolls_off_without_a_step():
    display = to_srgb(np.linspace(0, 3, 3000, dtype=np.float32))
    assert (np.diff(display) >= -1e-6).all() and display.max() <= 1 and np.diff(display)[100:].max() < 0.01


@given(st.floats(-10, 10))
def test_smooth_step_falls_when_its_ends_are_swapped(value):
    there, back = smooth_step(1, 3, np.array([value])), smooth_step(3, 1, np.array([value]))
    assert there + back == pytest.approx(1)


def test_ambient_light_is_the_polynomial():
    rng = np.random.default_rng(0)
    light = Light(rng.uniform(0, 0.1, (9, 3)) + np.eye(9, 3), random_light(rng).lamps)
    x, y, z = 0.48, 0.6, 0.64
    expected = np.array([1, x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]) @ light.ambient
    assert np.allclose(irradiance(light, np.array([[x, y, z]])), np.maximum(expected, 0), atol=1e-5)
    assert harmonics(np.zeros((1, 3)))[0, 0] == 1


@pytest.mark.parametrize("seed", range(5))
def test_light_has_a_usual_strength(seed):
    light = random_light(np.random.default_rng(seed))
    front = np.array([[0.0, 0.0, 1.0]])
    total = irradiance(light, front).mean() + sum(
        max(0, lamp.direction[2]) * lamp.colour.mean() for lamp in light.lamps
    )
    assert 0.6 < total < 1.5
    assert all(np.linalg.norm(lamp.direction) == pytest.approx(1, abs=1e-5) for lamp in light.lamps)


@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(-40, 40))
def test_orbit_camera_sees_its_target_in_the_middle(yaw, pitch, roll):
    target = np.array([3.0, -7.0, 11.0])
    camera = orbit_camera(yaw, pitch, 700, 900, (320, 240), target, roll)
    assert np.allclose(camera.project(target[None]), [[159.5, 119.5]], atol=1e-6)
    assert np.linalg.norm(camera.centre - target) == pytest.approx(700)


def test_camera_axes():
    camera = orbit_camera(0, 0, 700, 900, 200, np.zeros(3))
    right, up = camera.project(np.array([[10.0, 0, 0], [0, 10.0, 0]])) - 99.5
    assert right[0] > 0 and right[1] == pytest.approx(0, abs=1e-9) and up[1] < 0
    assert orbit_camera(30, 0, 700, 900, 200, np.zeros(3)).centre[0] > 0
    assert orbit_camera(0, 30, 700, 900, 200, np.zeros(3)).centre[1] > 0


def test_camera_straight_above_is_refused():
    with pytest.raises(ContractError, match="camera"):
        look_at(np.array([0.0, 500, 0]), np.zeros(3), 900, 200)


def test_random_camera_is_repeatable():
    first, again = (random_camera(np.random.default_rng(3), np.zeros(3), 128) for _ in range(2))
    assert np.array_equal(first.projection, again.projection)


def test_normals_of_a_ball_point_outwards():
    surface = ball("hair", np.zeros(3), np.ones(3) * 10, 40, 60)
    normals = vertex_normals(surface.vertices, surface.faces)
    outward = (normals * surface.vertices).sum(1) / 10
    assert np.quantile(outward, 0.05) > 0.97
