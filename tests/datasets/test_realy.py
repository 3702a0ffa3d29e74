"""REALY's reader on a small mirror and on broken copies of it, and what the mirror holds."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from harness.benchmark import DataKind
from harness.datasets import realy_mirror as mirror
from harness.datasets.realy import Realy
from harness.errors import DataError, HarnessError
from harness.fallback import mean_face
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh, read_mesh, write_mesh
from harness.protocols import realy as protocol
from harness.samples import Prediction
from tests.geometry_shapes import bumpy

SIZE = 64


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    shares: list[float] = []
    mirror.write_realy_mirror(root / "realy", shares.append, people=2, size=SIZE, workers=1)
    assert shares == [0.5, 1.0]
    return root


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "data")


def reader(root, images=("frontal", "side"), **options):
    return Realy("auto", root, images, **options)


def test_one_sample_per_picture_named_as_the_official_program_wants(written):
    data = reader(written)
    assert data.kind is DataKind.REAL and data.version == "2022"
    samples = data.samples()
    assert [s.id for s in samples] == ["1", "2", "1_1", "2_1"]
    assert [s.subject for s in samples] == ["1", "2", "1", "2"]
    assert [s.condition["images"] for s in samples] == ["frontal"] * 2 + ["side"] * 2
    assert all(s.views[0].read_image().shape == (SIZE, SIZE, 3) for s in samples)
    assert [s.id for s in reader(written, "side").samples()] == ["1_1", "2_1"]


def test_pictures_come_in_the_order_of_their_numbers(copy):
    folder = copy / "realy/REALY_image/crop_image_multiview_512x512"
    for view in (10, 3):
        shutil.copy(folder / "1_1.jpg", folder / f"1_{view}.jpg")
    (folder / "list of names.txt").write_text("not a picture")
    assert [s.id for s in reader(copy, "side").samples()] == ["1_1", "1_3", "1_10", "2_1"]


def test_truth_is_what_the_files_say(written):
    data = reader(written, "frontal")
    truth = data.truth(data.samples()[1])
    folder = written / "realy"
    scales = (folder / "metrical_scale.txt").read_text().split()
    assert truth.millimetres == float(scales[1]) and len(scales) == 2
    for region in protocol.REGIONS:
        expected = read_mesh(folder / f"REALY_scan_region/2/{region}.obj")
        assert np.array_equal(truth.regions[region].vertices, expected.vertices)
    assert truth.keypoints.shape == (85, 3)
    assert pickle.loads(pickle.dumps(data)).samples()[0].id == "1"


def test_the_files_that_count_are_named(written):
    data = reader(written)
    names = [path.relative_to(data.folder).as_posix() for path in data.files()]
    assert len(names) == len(set(names)) == 1 + 4 + 2 * 5
    assert "metrical_scale.txt" in names and "REALY_scan_region/2/cheek.obj" in names


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda root: (root / "REALY_scan_region/2/nose.obj").unlink(), "nose.obj"),
        (lambda root: (root / "metrical_scale.txt").unlink(), "metrical_scale.txt"),
        (lambda root: shutil.rmtree(root / "REALY_image/crop_image_frontal_512x512"), "crop_image_frontal"),
        (lambda root: shutil.rmtree(root / "REALY_image/crop_image_multiview_512x512"), r"crop_image_\*"),
    ],
)
def test_missing_files_are_named_at_once(copy, change, what):
    change(copy / "realy")
    with pytest.raises(DataError, match=what) as caught:
        reader(copy)
    assert "data=mirror" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("metrical_scale.txt", "9.0\n", "person 2"),
        ("metrical_scale.txt", "9.0\nmuch\n", "number per line"),
        ("metrical_scale.txt", "9.0\n-1\n", "positive"),
        ("REALY_HIFI3D_keypoints/2.obj", "v 0 0 0\n" * 68, "68 keypoints"),
        ("REALY_HIFI3D_keypoints/2.obj", "v 0 0 x\n" * 85, "keypoints"),
        ("REALY_HIFI3D_keypoints/2.obj", "v 0 0 nan\n" * 85, "finite"),
        ("REALY_scan_region/2/nose.obj", "v 0 0 0\n", "nose.obj"),
    ],
)
def test_damaged_files_are_named(copy, name, content, what):
    (copy / "realy" / name).write_text(content)
    data = reader(copy, "frontal")
    with pytest.raises(DataError, match=what):
        data.truth(data.samples()[1])


def test_wrong_options_are_refused(written, tmp_path):
    with pytest.raises(HarnessError, match="bench.images"):
        reader(written, "back")
    with pytest.raises(HarnessError, match="bench.topologies"):
        reader(written, topologies=str(tmp_path))


def add_template(folder, seed=0):
    rng = np.random.default_rng(seed)
    ball = bumpy(3)
    write_mesh(ball, folder / "ball.obj")
    rows = [[int(rng.integers(len(ball.faces))), *rng.dirichlet([1, 1, 1])[:2].tolist()] for _ in range(85)]
    (folder / "ball.txt").write_text(json.dumps(rows))
    return ball


def test_templates_beside_the_data_or_elsewhere_make_a_topology_known(copy, tmp_path):
    data = reader(copy, "frontal")
    ball = bumpy(3)
    answer = Prediction(ball.vertices, ball.faces)
    assert protocol.Realy().score(answer, data.truth(data.samples()[0])).failure == "no_landmarks"

    (tmp_path / "templates").mkdir()
    add_template(tmp_path / "templates")
    more = reader(copy, "frontal", topologies=str(tmp_path / "templates"))
    assert [t.name for t in more.truth(more.samples()[0]).topologies] == ["ball"]
    before = more.version
    assert before != data.version and more.files() == data.files()
    add_template(tmp_path / "templates", seed=1)
    again = reader(copy, "frontal", topologies=str(tmp_path / "templates"))
    assert again.version != before  # other keypoints, other numbers

    add_template(copy / "realy")
    own = reader(copy, "frontal")
    assert [t.name for t in own.truth(own.samples()[0]).topologies] == ["ball"]
    assert {"ball.obj", "ball.txt"} <= {path.name for path in own.files()}


# -- the mirror --------------------------------------------------------------------------------------------------------


def test_regions_are_one_piece_each_and_lie_on_the_person(written):
    data = reader(written, "frontal")
    subject = mirror.person_of(1)
    truth = data.truth(data.samples()[0])
    to_scan = mirror._scan_frame(subject, 1)
    surface = ClosestPoints(Mesh(to_scan(subject.vertices.astype(float)), subject.head.faces.numpy()))
    for name, mesh in truth.regions.items():
        edges = mesh.faces[:, [[0, 1], [1, 2]]].reshape(-1, 2)
        count = len(mesh.vertices)
        graph = coo_array((np.ones(len(edges)), edges.T), shape=(count, count))
        assert connected_components(graph, directed=False)[0] == 1
        assert np.array_equal(np.unique(mesh.faces), np.arange(count)) and 300 < count < 6000, name
        off = surface.query(mesh.vertices).distances * truth.millimetres
        assert np.median(off) < 0.3 and off.max() < 4
        assert (np.ptp(mesh.vertices, axis=0) < 20).all()  # scan units, not millimetres
    assert 6.49 <= truth.millimetres <= 10.24


def test_keypoints_lie_in_their_regions(written):
    data = reader(written, "frontal")
    truth = data.truth(data.samples()[1])
    for name, keypoints in {
        "nose": [30, 33, 70, 71],
        "mouth": [48, 54, 57],
        "forehead": [19, 39],
        "cheek": [76],
    }.items():
        surface = ClosestPoints(truth.regions[name])
        assert (surface.query(truth.keypoints[keypoints]).distances * truth.millimetres < 4).all(), name


def test_people_score_zero_against_themselves_and_not_against_others(written):
    data = reader(written, "frontal")
    subject = mirror.person_of(1)
    own, other = (data.truth(sample) for sample in data.samples())
    answer = Prediction(subject.vertices, mean_face().faces)
    itself = protocol.Realy().score(answer, own)
    assert itself.failure is None and itself.values["all"] < 0.45  # noise and coarsening of the scan
    assert protocol.Realy().score(answer, other).values["all"] > 2 * itself.values["all"]


def test_writing_again_gives_the_same_bytes(written, tmp_path):
    mirror.write_realy_mirror(tmp_path, people=1, size=SIZE, workers=1)
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p.name != "metrical_scale.txt"):
        assert path.read_bytes() == (written / "realy" / path.relative_to(tmp_path)).read_bytes(), path
    with Image.open(tmp_path / "REALY_image/crop_image_frontal_512x512/1.jpg") as image:
        assert image.size == (SIZE, SIZE)
