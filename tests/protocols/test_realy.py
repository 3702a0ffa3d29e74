"""REALY's score. No reference data exist: each step is compared with a plain twin, the whole with known answers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from harness.errors import AlignmentError, ContractError
from harness.fallback import mean_face
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.protocols.realy import REGIONS, Realy, RealyTruth, merged
from harness.protocols.realy_icp import RIGID_KEYPOINTS, fit, global_fit, region_fit
from harness.protocols.realy_keypoints import procedural_topology
from harness.protocols.scores import SampleScore
from harness.samples import Prediction
from tests.protocols import realy_twin as twin

FACE = mean_face()
TOPOLOGY = procedural_topology()
VERTICES = twin.procedural_vertices()


def other_face(size=3.0, seed=0):
    """Smooth differences of a few millimetres to the mean face."""
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    return VERTICES + size * np.sin(VERTICES[:, [1, 2, 0]] / 21 + phase)


TRUTH = twin.truth_of(other_face(), 0.1, rng=np.random.default_rng(1))
SCORE = Realy().score(FACE, TRUTH)


def moved(prediction, scale=1.0, rotation=None, shift=0.0):
    matrix = scale * (np.eye(3) if rotation is None else rotation)
    return Prediction(prediction.vertices @ matrix.T + shift, prediction.faces, prediction.landmarks @ matrix.T + shift)


def test_a_regions_score_equals_the_twins():
    """Every step by the twin, for the smallest region; the deformation of the cheek's kind has a test of its own."""
    points = TOPOLOGY.keypoints(VERTICES)
    chosen, anchors = [36, 39, 42, 45, 33, 48, 54], list(range(27, 36))
    placed = twin.rigid(points[chosen], TRUTH.keypoints[chosen], l1=True)
    mesh = TRUTH.regions["nose"]
    scan, vertices = mesh.vertices.astype(np.float32).astype(float), placed(VERTICES)
    keypoints = TOPOLOGY.keypoints(vertices)
    chosen = list(RIGID_KEYPOINTS["nose"])
    vertices, steps = twin.regional_icp("nose", vertices, FACE.faces, scan, keypoints, TRUTH.keypoints, chosen)
    ids = [np.linalg.norm(scan - point, axis=1).argmin() for point in TRUTH.keypoints[anchors]]
    targets = twin.on_surface(vertices, FACE.faces, scan)
    deformed, solves = twin.deform(scan, mesh.faces, targets, ids, TOPOLOGY.keypoints(vertices)[anchors])
    found = twin.on_surface(vertices, FACE.faces, deformed)
    expected = np.linalg.norm(found - scan, axis=1).mean() * TRUTH.millimetres
    assert SCORE.values["nose"] == pytest.approx(expected, abs=2e-5)
    assert SCORE.diagnostics["nose_icp_iterations"] == steps
    assert SCORE.diagnostics["nose_solves"] == solves


@pytest.mark.parametrize("region", REGIONS)
def test_regional_icp_equals_the_twin(region):
    """Same iterations, and vertices but for the order of sums in single precision."""
    start = global_fit(TOPOLOGY.keypoints(VERTICES), TRUTH.keypoints)
    surface = ClosestPoints(Mesh(start.apply(VERTICES), FACE.faces))
    points = TRUTH.regions[region].vertices.astype(np.float32)[::3]
    keypoints, targets = TOPOLOGY.keypoints(surface.mesh.vertices), TRUTH.keypoints.astype(np.float32)
    found = region_fit(region, surface, points, keypoints, targets)
    vertices, steps = twin.regional_icp(
        region, surface.mesh.vertices, FACE.faces, points, keypoints, targets, list(RIGID_KEYPOINTS[region])
    )
    assert found.iterations == steps > 2
    assert np.abs(found.vertices - vertices).max() < 2e-5
    assert np.abs(found.transform.apply(surface.mesh.vertices) - found.vertices).max() < 2e-5


def test_the_fit_that_stops_icp_is_discarded():
    """Where the first fit leaves no error, the error before it counts as 0: nothing is applied at all."""
    surface = ClosestPoints(Mesh(VERTICES, FACE.faces))
    points = VERTICES[:600].astype(np.float32)
    keypoints = TOPOLOGY.keypoints(VERTICES.astype(np.float32))
    found = region_fit("nose", surface, points, keypoints, keypoints.astype(np.float32))
    assert found.iterations == 0 and np.array_equal(found.vertices, VERTICES.astype(np.float32))


def test_global_fit_recovers_a_similarity_and_its_scale_is_the_l1_ratio():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(85, 3))
    rotation = Rotation.random(random_state=3).as_matrix()
    exact = global_fit(points, 2.5 * points @ rotation.T + 7)
    assert exact.scale == pytest.approx(2.5) and np.allclose(exact.rotation, rotation)
    noisy = 2.5 * points @ rotation.T + rng.normal(size=(85, 3))
    rough = fit(points, noisy, l1_scale=True)
    turned = (points - points.mean(0)) @ rough.rotation.T
    assert rough.scale == np.abs(noisy - noisy.mean(0)).sum() / np.abs(turned).sum()
    least_squares = (turned * (noisy - noisy.mean(0))).sum() / (turned**2).sum()
    assert abs(rough.scale - least_squares) > 0.05
    assert fit(points, points * [-1, 1, 1]).determinant == -1
    with pytest.raises(AlignmentError, match="line"):
        fit(np.outer(np.arange(9.0), [1, 2, 3]), np.outer(np.arange(9.0), [1, 2, 3]))


def test_the_scan_itself_scores_zero():
    truth = twin.truth_of(VERTICES)
    rotation = Rotation.from_rotvec([0.4, -0.9, 1.3]).as_matrix()
    score = Realy().score(moved(FACE, 1.3, rotation, 250.0), truth)
    # Keypoints on vertices, or none: single precision. Elsewhere the vertex next to a keypoint is drawn towards it.
    assert max(score.values["mouth"], score.values["cheek"]) < 1e-4
    assert max(score.values.values()) < 0.05
    assert score.diagnostics["size_change"] == pytest.approx(1 / 1.3, rel=1e-6)


def test_a_known_surface_offset_is_measured():
    """A face that is 2 mm thicker everywhere: about 2 mm, less what scale and alignment take up."""
    normals = trimesh.Trimesh(VERTICES, FACE.faces, process=False).vertex_normals
    thick = Realy().score(Prediction(VERTICES + 2 * normals, FACE.faces), twin.truth_of(VERTICES))
    assert 0.02 < thick.values["all"] < 2.5
    assert Realy().score(FACE, twin.truth_of(VERTICES)).values["all"] < 0.05 * thick.values["all"]


def test_frame_size_and_unit_of_the_prediction_do_not_matter():
    rotation = Rotation.random(random_state=0).as_matrix()
    for prediction in (
        moved(FACE, 1.7, rotation, 100.0),
        Prediction(FACE.vertices / 1000, FACE.faces).in_millimetres("m"),
    ):
        score = Realy().score(prediction, TRUTH)
        assert dict(score.values) == pytest.approx(dict(SCORE.values), abs=5e-5)


def test_the_metrical_scale_multiplies_the_score():
    doubled = RealyTruth(dict(TRUTH.regions), TRUTH.keypoints, 2 * TRUTH.millimetres)
    twice = Realy().score(FACE, doubled)
    assert dict(twice.values) == pytest.approx({name: 2 * value for name, value in SCORE.values.items()})


def test_a_mirrored_prediction_is_repaired_and_said():
    mirrored = Prediction(FACE.vertices * [-1, 1, 1] + [0, 3, 0], FACE.faces)
    score = Realy().score(mirrored, TRUTH)
    assert dict(score.values) == pytest.approx(dict(SCORE.values), abs=5e-5)
    assert score.diagnostics["determinant"] == -1 and any("mirrored" in warning for warning in score.warnings)
    assert SCORE.warnings == ()


def test_values_are_means_of_the_stored_distances_on_the_scan():
    assert tuple(SCORE.values) == Realy().columns == (*REGIONS, "all")
    assert SCORE.values["all"] == pytest.approx(np.mean([SCORE.values[region] for region in REGIONS]))
    scan = TRUTH.scan
    for region in REGIONS:
        ids, distances = SCORE.per_point[region]
        assert ids.dtype == np.int32 and distances.dtype == np.float32
        assert SCORE.values[region] == pytest.approx(distances.mean(), rel=1e-5)
        own = scan.vertices[ids] / TRUTH.millimetres
        assert np.abs(np.sort(own, 0) - np.sort(TRUTH.regions[region].vertices, 0)).max() < 1e-6
    assert len(scan.faces) == sum(len(mesh.faces) for mesh in TRUTH.regions.values())


def test_equal_vertices_are_merged_as_trimesh_does():
    mesh = TRUTH.regions["nose"]
    vertices = np.vstack([mesh.vertices, mesh.vertices[:40], [[0, 0, 0]]])
    faces = mesh.faces.copy()
    faces[:30][faces[:30] < 40] += len(mesh.vertices)
    points, corners, ids = merged(Mesh(vertices, faces))
    single = vertices.astype(np.float32)
    other = trimesh.Trimesh(single, faces, process=True)
    assert len(points) == len(other.vertices) == len(mesh.vertices)
    assert np.array_equal(np.unique(points, axis=0), np.unique(other.vertices, axis=0))
    assert np.array_equal(points, single[ids]) and np.array_equal(points[corners], single[faces])


def test_merging_does_not_change_the_score():
    """But for the rigid step, where the official program counts repeated vertices twice."""
    regions = dict(TRUTH.regions)
    nose = regions["nose"]
    count = len(nose.vertices)
    split = nose.faces.copy()
    split[::2] += count  # every second triangle has corners of its own
    regions["nose"] = Mesh(np.vstack([nose.vertices, nose.vertices]), split)
    score = Realy().score(FACE, RealyTruth(regions, TRUTH.keypoints, TRUTH.millimetres))
    assert len(score.per_point["nose"][0]) == len(SCORE.per_point["nose"][0])
    assert score.values["nose"] == pytest.approx(SCORE.values["nose"], abs=0.02)
    assert score.values["cheek"] == SCORE.values["cheek"]


def test_failures_are_reasons_not_numbers():
    stranger = trimesh.creation.icosphere(subdivisions=3, radius=80.0)
    unused = np.vstack([FACE.vertices[:1], FACE.vertices])
    cases = {
        "timeout": Prediction.failed("timeout"),
        "bad_mesh": Prediction(unused, FACE.faces + 1),
        "no_landmarks": Prediction(stranger.vertices, stranger.faces),
        "no_alignment": Prediction(np.outer(np.linspace(1, 90, len(VERTICES)), [1, 1, 1]), FACE.faces),
    }
    for reason, prediction in cases.items():
        score = Realy().score(prediction, TRUTH)
        assert score.failure == reason and not score.values, score.detail
    text = Realy().score(cases["no_landmarks"], TRUTH).detail
    assert "NAME.txt" in text and "bench.topologies" in text and "procedural" in text


def test_a_prediction_of_another_order_of_faces_is_of_another_topology():
    """Fixed topology: barycentric keypoints on shuffled triangles would be nonsense, so it is refused."""
    shuffled = Prediction(FACE.vertices, FACE.faces[::-1])
    assert Realy().score(shuffled, TRUTH).failure == "no_landmarks"


def test_truth_that_cannot_be_is_refused():
    regions = dict(TRUTH.regions)
    for bad in (
        ({"nose": regions["nose"]}, TRUTH.keypoints, 9.0, "mouth"),
        (regions, TRUTH.keypoints[:68], 9.0, "85"),
        (regions, TRUTH.keypoints, 0.0, "millimetres"),
    ):
        with pytest.raises(ContractError, match=bad[3]):
            RealyTruth(*bad[:3])
    again = pickle.loads(pickle.dumps(TRUTH))
    assert dict(Realy().score(FACE, again).values) == dict(SCORE.values)


def test_what_is_not_implemented_is_refused():
    for field in ({"scale": "none"}, {"reflection": False}, {"distance": "surface"}, {"regions": ("nose",)}):
        with pytest.raises(ContractError, match="realy"):
            Realy(**field)


def rows(values, failed=()):
    return [
        SampleScore(
            f"{k}",
            f"{k % 3}",
            {"images": "frontal"},
            None if k in failed else dict.fromkeys(Realy().columns, value),
            dict.fromkeys(Realy().columns, 10.0) if k in failed else None,
            "crash" if k in failed else None,
        )
        for k, value in enumerate(values)
    ]


def test_means_are_over_pictures():
    """Whoever has more pictures counts more, unlike where subjects are averaged first."""
    values = [1.0, 2.0, 4.0, 8.0]
    table = {line["column"]: line for line in Realy().summarise(rows(values))}
    assert list(table) == [*REGIONS, "all"]
    assert table["nose"]["value"] == table["all"]["value"] == np.mean(values) != np.mean([np.mean([1, 8]), 2, 4])
    assert table["nose"]["std_subjects"] == pytest.approx(np.std([4.5, 2, 4], ddof=1))


def test_failed_pictures_count_with_the_mean_face():
    nose = Realy().summarise(rows([1.0, 2.0, 4.0, 8.0], failed=(3,)))[0]
    assert nose["value"] == pytest.approx((1 + 2 + 4 + 10) / 4)
    assert nose["value_dropping_failures"] == pytest.approx(7 / 3)
    assert (nose["evaluated"], nose["expected"]) == (3, 4)
    strict = Realy(fallback="none").summarise(rows([1.0, 2.0], failed=(1,)))[0]
    assert strict["value"] is None and strict["value_dropping_failures"] == 1.0


def test_official_files_leave_failures_out(tmp_path):
    samples = rows([1.23456789012, 2.0, 14.0, 3.0], failed=(1,))
    names = {"0": "7", "1": "8", "2": "9_1", "3": "9_2"}
    errors, table = Realy().write_official_files(tmp_path, "method", samples, names)
    assert errors.name == "REALY_error.txt"
    lines = errors.read_text().splitlines()
    assert lines[:2] == ["7\t\t" + "\t".join(["1.2345678"] * 4), "9_1\t\t" + "\t".join(["14.000000"] * 4)]
    assert len(lines) == 3
    cells = [line.split("\t") for line in table.read_text().splitlines()]
    assert cells[1][:2] == ["frontal", "nose"] and len(cells) == 1 + 5
    worked = [1.23456789012, 14.0, 3.0]
    expected = [np.mean(worked), np.median(worked), np.std(worked, ddof=1)]
    assert [float(cell) for cell in cells[1][2:]] == pytest.approx(expected, abs=1e-4)
    assert cells[5][1] == "all" and cells[5][3] == ""
