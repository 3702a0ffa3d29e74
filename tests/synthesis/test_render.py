"""Pictures and the truth behind them agree with each other and with slow independent computations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.heads.head import PARTS
from harness.heads.procedural import procedural_head
from harness.synthesis.cameras import frontal_camera, orbit_camera
from harness.synthesis.render import render
from harness.synthesis.subject import random_subject

SIZE = 160


@pytest.fixture(scope="module")
def subject():
    return random_subject(4, expression=False, hair="short")


@pytest.fixture(scope="module")
def front(subject):
    return render(subject, frontal_camera(subject.middle, SIZE), seed=1)


def side(subject, yaw):
    return orbit_camera(yaw, 0, 900, SIZE * 900 / 300, SIZE, subject.middle)


def twin_depth(subject, camera, pixel):
    """Depth at one pixel by projecting every triangle in float64 and looking which ones contain the pixel."""
    corners = (subject.scene.vertices.astype(float) @ camera.rotation.T + camera.translation)[subject.scene.faces]
    flat = corners @ camera.intrinsics.T
    flat = flat[..., :2] / flat[..., 2:]
    a, b, c = flat[:, 0], flat[:, 1], flat[:, 2]

    def area(p, q, r):
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    whole = area(a, b, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.stack([area(pixel, b, c), area(a, pixel, c), area(a, b, pixel)], -1) / whole[:, None]
        inside = (weights >= 0).all(1) & (np.abs(whole) > 1e-12)
    inverse = (weights[inside] / corners[inside, :, 2]).sum(1)  # 1/z is linear in the picture
    return 1 / inverse.max() if inside.any() else np.inf


def test_same_arguments_same_picture(subject, front):
    again = render(random_subject(4, expression=False, hair="short"), frontal_camera(subject.middle, SIZE), seed=1)
    other = render(subject, frontal_camera(subject.middle, SIZE), seed=2)
    assert np.array_equal(front.image, again.image) and np.array_equal(front.label_map, again.label_map)
    assert not np.array_equal(front.image, other.image) and np.array_equal(front.depth, other.depth)


def test_depth_equals_the_float64_twin(subject, front):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, SIZE, (60, 2))
    twin = np.array([twin_depth(subject, front.camera, pixel.astype(float)) for pixel in pixels])
    ours = front.depth[pixels[:, 1], pixels[:, 0]]
    assert np.isfinite(twin).sum() > 20 and np.isinf(twin).sum() > 5
    agrees = (np.isinf(twin) & np.isinf(ours)) | (np.abs(twin - np.where(np.isinf(ours), 0, ours)) < 0.05)
    assert agrees.sum() >= 59  # one pixel may lie on a silhouette


def test_mask_depth_and_labels_agree(front):
    assert np.array_equal(front.mask, np.isfinite(front.depth))
    assert np.array_equal(front.mask, front.label_map > 0)
    expected = ("skin", "left_brow", "right_brow", "left_eye", "right_eye", "nose", "upper_lip", "lower_lip", "hair")
    present = {PARTS[label] for label in np.unique(front.label_map)}
    assert present.issuperset(expected) and "cloth" in present


def test_visible_landmarks_lie_on_the_surface_that_is_seen_and_others_behind_it(subject):
    for yaw in (-60, 0, 45):
        picture = render(subject, side(subject, yaw), antialias=False)
        camera = picture.camera
        depth = subject.landmarks.astype(float) @ camera.rotation[2] + camera.translation[2]
        columns, rows = np.rint(picture.landmarks).astype(int).T
        around = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        behind = depth - np.stack([picture.depth[rows + a, columns + b] for a, b in around])
        off = np.abs(behind).min(0)[picture.visible]
        # At an outline the surface falls away within a pixel.
        assert picture.visible.sum() > 25 and np.median(off) < 1 and np.quantile(off, 0.85) < 5
        assert (behind.max(0)[~picture.visible] > 2.5).all()


def test_landmarks_are_the_projected_points(subject, front):
    homogeneous = np.hstack([subject.landmarks, np.ones((68, 1))]) @ front.camera.projection.T
    assert np.allclose(front.landmarks, homogeneous[:, :2] / homogeneous[:, 2:], atol=1e-6)
    assert front.visible[17:60].all()


def test_far_side_is_hidden_in_profile(subject):
    from_left = render(subject, side(subject, 85))  # the camera stands at the subject's left, +x
    assert not from_left.visible[[36, 37, 40, 17, 18, 0, 1, 2, 48]].any()
    assert from_left.visible[[45, 44, 25, 26, 30, 54]].all()
    from_right = render(subject, side(subject, -85))
    assert from_right.visible[[36, 37, 18, 30, 48]].all() and not from_right.visible[[45, 44, 25, 54]].any()


def test_brows_lips_and_eyes_are_labelled_where_the_landmarks_are(front):
    def label(points):
        column, row = np.rint(front.landmarks[points].mean(0)).astype(int)
        return PARTS[front.label_map[row, column]]

    assert label([19]) == "left_brow" and label([24]) == "right_brow"
    assert label(range(36, 42)) == "left_eye" and label(range(42, 48)) == "right_eye"
    assert label([51, 62]) == "upper_lip" and label([57, 66]) == "lower_lip"
    assert label([27, 28]) == "nose" and label([21, 22]) == "skin"


def test_texture_follows_the_landmarks_of_another_head(subject, front):
    head = procedural_head()
    grown = replace(
        head,
        template=head.template * 1.25,
        shape_basis=head.shape_basis * 1.25,
        expression_basis=head.expression_basis * 1.25,
        pose_basis=None,
    )
    other = random_subject(4, head=grown, expression=False, hair="short")
    picture = render(other, frontal_camera(other.middle, SIZE, distance_mm=1000, fill_mm=325), seed=1)
    face = [PARTS.index(name) for name in PARTS[2:10]]
    same = picture.label_map == front.label_map
    assert same[np.isin(front.label_map, face)].mean() > 0.93


def test_occluder_hides_landmarks_and_is_no_part_of_the_face(subject, front):
    hidden = random_subject(4, expression=False, hair="short", occluder="scarf")
    picture = render(hidden, front.camera, seed=1)
    assert not picture.visible[[8, 57]].any() and picture.visible[[36, 45, 27]].all()
    covered = picture.mask & (picture.label_map == 0)
    assert covered.sum() > 300 and front.mask[covered].mean() > 0.5


def test_antialiasing_changes_edges_only(subject, front):
    plain = render(subject, front.camera, seed=1, antialias=False)
    assert np.array_equal(plain.depth, front.depth) and np.array_equal(plain.label_map, front.label_map)
    changed = (plain.image != front.image).any(-1)
    assert 0.01 < changed.mean() < 0.7


def test_a_camera_that_looks_away_sees_only_background(subject):
    camera = frontal_camera(subject.middle + np.array([5000.0, 0, 0]), SIZE)
    picture = render(subject, camera)
    assert not picture.mask.any() and not picture.visible.any() and picture.image.std() > 0
