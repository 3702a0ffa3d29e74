"""Meshes and their files: what is kept exactly, and what every bad file is told."""

from __future__ import annotations

import time

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import ContractError, DataError
from harness.geometry.mesh import Mesh, read_mesh, write_mesh

SQUARE = "v 0 0 0\nv 10 0 0\nv 10 10 0\nv 0 10 0\n"


@pytest.fixture
def obj(tmp_path):
    def write(text, name="mesh.obj"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


GOOD = {
    "plain": (SQUARE + "f 1 2 3\nf 1 3 4\n", [[0, 1, 2], [0, 2, 3]]),
    "quad": (SQUARE + "f 1 2 3 4\n", [[0, 1, 2], [0, 2, 3]]),
    "mixed polygons": (SQUARE + "v 5 20 0\nf 2 3 4\nf 1 2 3 5 4\n", [[1, 2, 3], [0, 1, 2], [0, 2, 4], [0, 4, 3]]),
    "colours": (SQUARE.replace("\n", " 0.5 0.5 0.5\n") + "f 1 2 3\n", [[0, 1, 2]]),
    "colours on some": ("v 0 0 0 1 1 1\nv 10 0 0\nv 10 10 0 1 1 1 1\nv 0 10 0\nf 1 2 3\n", [[0, 1, 2]]),
    "w": (SQUARE.replace("\n", " 1.0\n") + "f 1 2 3\n", [[0, 1, 2]]),
    "negative": (SQUARE + "f -4 -3 -2\nf 1 -2 -1\n", [[0, 1, 2], [0, 2, 3]]),
    "negative between vertices": (
        "v 0 0 0\nv 10 0 0\nv 10 10 0\nf -3 -2 -1\nv 0 10 0\nf -4 -2 -1\n",
        [[0, 1, 2], [0, 2, 3]],
    ),
    "v/vt": (SQUARE + "vt 0 0\nvt 1 1\nf 1/2 2/1 3/2\n", [[0, 1, 2]]),
    "v/vt/vn": (SQUARE + "vt 0 0\nvn 0 0 1\nf 1/1/1 2/1/1 3/1/1\nf 1/1/1 3/1/1 4/1/1\n", [[0, 1, 2], [0, 2, 3]]),
    "v//vn": (SQUARE + "vn 0 0 1\nf 1//1 2//1 3//1\n", [[0, 1, 2]]),
    "mixed forms": (SQUARE + "vn 0 0 1\nf 1//1 2//1 3//1\nf 1 3 4\n", [[0, 1, 2], [0, 2, 3]]),
    "9-gon beside 3 x v/vt/vn": (
        "".join(f"v {i} {i * i} 0\n" for i in range(9)) + "f 1/1/1 2/1/1 3/1/1\nf 1 2 3 4 5 6 7 8 9\n",
        [[0, 1, 2]] + [[0, k, k + 1] for k in range(1, 8)],
    ),
    "comments": ("# v of f mesh\n" + SQUARE + "f 1 2 3 # f 9 9 9\n#f 7 7 7\n", [[0, 1, 2]]),
    "blanks and tabs": ("  \n" + SQUARE.replace("v ", "  v\t") + "\tf  1 2   3 \n", [[0, 1, 2]]),
    "windows": ((SQUARE + "f 1 2 3\n").replace("\n", "\r\n"), [[0, 1, 2]]),
    "continued line": (SQUARE + "f 1 2 \\\n3\n", [[0, 1, 2]]),
    "other keywords": ("mtllib a\no vf\n" + SQUARE + "g f\nusemtl v\ns off\nvp 1 2\nf 1 2 3\nl 1 2\n", [[0, 1, 2]]),
    "no last newline": (SQUARE + "f 1 2 3", [[0, 1, 2]]),
}


@pytest.mark.parametrize("case", GOOD)
def test_reads_obj(obj, case):
    text, faces = GOOD[case]
    mesh = read_mesh(obj(text))
    assert mesh.faces.tolist() == faces
    assert mesh.faces.dtype == np.int64 and mesh.vertices.dtype == np.float64
    if "9-gon" not in case:
        assert mesh.vertices[:4].tolist() == [[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]]


BAD = {
    "empty": ("", "no vertices"),
    "only comments": ("# nothing\n", "no vertices"),
    "no faces": (SQUARE, "no faces"),
    "binary rubbish": (bytes(range(256)) * 4, "no vertices"),
    "nan": ("v 0 0 0\nv nan 0 0\nv 1 1 1\nf 1 2 3\n", "line 2"),
    "infinite": ("v 0 0 0\nv 1 0 0\nv 1 -inf 1\nf 1 2 3\n", "line 3"),
    "word for a number": ("v 0 0 0\nv 1 zero 0\nv 1 1 1\nf 1 2 3\n", "line 2"),
    "two coordinates": ("v 0 0 0\nv 1 0\nv 1 1 1\nf 1 2 3\n", "line 2"),
    "two coordinates everywhere": ("v 0 0\nv 1 0\nv 1 1\nf 1 2 3\n", "line 1"),
    "no coordinates": ("v \nv \nv \nf 1 2 3\n", "line 1"),
    "index too large": (SQUARE + "f 1 2 3\nf 1 2 5\n", "line 6"),
    "index zero": (SQUARE + "f 1 2 3\nf 0 1 2\n", "line 6"),
    "index too negative": (SQUARE + "f -5 -1 -2\n", "line 5"),
    "refers ahead with a negative index": ("v 0 0 0\nv 1 0 0\nf -1 -2 -3\nv 1 1 0\n", "line 3"),
    "fraction as index": (SQUARE + "f 1 2 3\nf 1 2 3.5\n", "line 6"),
    "word as index": (SQUARE + "f 1 2 three\n", "line 5"),
    "face of two": (SQUARE + "f 1 2\n", "line 5"),
    "face of two among others": (SQUARE + "f 1 2 3\nf 1 2\nf 1 2 3 4\n", "line 6"),
    "face of none": (SQUARE + "f \n", "line 5"),
    "missing vertex number": (SQUARE + "f /1 /2 /3\n", "line 5"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_obj_names_file_and_place(obj, case):
    text, place = BAD[case]
    path = obj(text)
    with pytest.raises(DataError, match=place) as error:
        read_mesh(path)
    assert str(path) in str(error.value)


def test_missing_and_foreign_files(tmp_path, obj):
    with pytest.raises(DataError, match="missing"):
        read_mesh(tmp_path / "none.obj")
    with pytest.raises(DataError, match="stl"):
        read_mesh(tmp_path / "mesh.stl")
    with pytest.raises(DataError, match="cannot be read"):
        read_mesh(tmp_path_dir(tmp_path))
    with pytest.raises(DataError, match="stl"):
        write_mesh(read_mesh(obj(GOOD["plain"][0])), tmp_path / "mesh.stl")


def tmp_path_dir(tmp_path):
    folder = tmp_path / "folder.obj"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_round_trip_is_exact(tmp_path, suffix):
    rng = np.random.default_rng(0)
    # Duplicate and unused vertices must survive: indices of landmarks and regions depend on it.
    vertices = rng.normal(size=(500, 3)) * 1e3
    vertices[100:150] = vertices[:50]
    mesh = Mesh(vertices, rng.integers(0, 400, (900, 3)))
    write_mesh(mesh, tmp_path / f"m{suffix}")
    again = read_mesh(tmp_path / f"m{suffix}")
    assert np.array_equal(again.vertices, mesh.vertices)
    assert np.array_equal(again.faces, mesh.faces)


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_reads_ply_of_others(tmp_path, encoding):
    sphere = trimesh.creation.icosphere(subdivisions=2)
    sphere.visual.vertex_colors = np.full((len(sphere.vertices), 4), 200, dtype=np.uint8)
    (tmp_path / "m.ply").write_bytes(trimesh.exchange.ply.export_ply(sphere, encoding=encoding))
    mesh = read_mesh(tmp_path / "m.ply")
    assert np.abs(mesh.vertices - sphere.vertices).max() < 1e-6
    assert np.array_equal(mesh.faces, sphere.faces)


def ply(vertices, faces, count=None):
    head = f"ply\nformat ascii 1.0\nelement vertex {len(vertices)}\nproperty float x\nproperty float y\n"
    head += (
        f"property float z\nelement face {count or len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return head + "\n".join(vertices + faces) + "\n"


POINTS = ["0 0 0", "1 0 0", "1 1 0", "0 1 0"]


def test_ply_quads_become_triangles(obj):
    mesh = read_mesh(obj(ply(POINTS, ["4 0 1 2 3"]), "m.ply"))
    assert len(mesh.faces) == 2 and len(mesh.vertices) == 4
    mesh = read_mesh(obj(ply(POINTS, ["4 0 1 2 3", "3 0 1 2"]), "m.ply"))
    assert len(mesh.faces) == 3 and len(mesh.vertices) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "solid",
        "ply\n",
        "ply\nformat ascii 1.0\nend_header\n",
        ply(["0 0 nan", *POINTS[1:]], ["3 0 1 2"]),
        ply(POINTS, ["3 0 1 7"]),
        ply(POINTS, ["3 0 1 -2"]),
        ply(POINTS, []).replace("element face 0\nproperty list uchar int vertex_indices\n", ""),
        ply(POINTS, ["3 0 1 2"]).replace("1 1 0", "1 one 0"),
    ],
)
def test_bad_ply_names_the_file(obj, text):
    path = obj(text, "m.ply")
    with pytest.raises(DataError, match=r"m\.ply"):
        read_mesh(path)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.99])
def test_cut_binary_ply_is_refused(tmp_path, cut):
    sphere = trimesh.creation.icosphere(subdivisions=2)
    write_mesh(Mesh(sphere.vertices, sphere.faces), tmp_path / "m.ply")
    data = (tmp_path / "m.ply").read_bytes()
    (tmp_path / "m.ply").write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(DataError, match=r"m\.ply"):
        read_mesh(tmp_path / "m.ply")


@pytest.mark.parametrize(
    ("vertices", "faces", "what"),
    [
        (np.zeros((0, 3)), [[0, 1, 2]], "vertices"),
        (np.zeros((3, 2)), [[0, 1, 2]], "vertices"),
        (np.full((3, 3), np.nan), [[0, 1, 2]], "vertex 0"),
        (np.eye(3), np.zeros((0, 3), int), "faces"),
        (np.eye(3), [[0, 1]], "faces"),
        (np.eye(3), [[0, 1, 3]], "outside"),
        (np.eye(3), [[0, 1, -1]], "outside"),
        (np.eye(3), [[0.0, 1.0, 2.0]], "integers"),
    ],
)
def test_mesh_is_validated(vertices, faces, what):
    with pytest.raises(ContractError, match=what):
        Mesh(vertices, faces)


def test_mesh_owns_its_arrays():
    vertices = np.eye(3)
    mesh = Mesh(vertices, [[0, 1, 2]])
    vertices[0] = 7
    assert mesh.vertices[0].tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        mesh.vertices[0] = 0


def test_large_obj_is_read_quickly(tmp_path):
    rng = np.random.default_rng(1)
    mesh = Mesh(rng.normal(size=(100_000, 3)) * 100, rng.integers(0, 100_000, (200_000, 3)))
    write_mesh(mesh, tmp_path / "m.obj")
    seconds = []
    for _ in range(2):
        start = time.process_time()
        read_mesh(tmp_path / "m.obj")
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1.5  # 0.35 s on an idle core


@pytest.mark.parametrize("seed", range(3))
def test_plain_files_are_read_as_line_by_line(tmp_path, seed, monkeypatch):
    """To the last bit, for triangles, quadrangles, colours, texture numbers, and what only looks plain."""
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(50, 3)) * np.exp(5 * rng.normal(size=(50, 3)))
    plain = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    coloured = [f"{line} 0.1 0.2 0.3" for line in plain]
    faces = rng.integers(1, 51, (30, 4)).tolist()
    texts = [
        "\n".join(plain + [f"f {a} {b} {c}" for a, b, c, _ in faces]),
        "\n".join(coloured + [f"f {a} {b} {c} {d}" for a, b, c, d in faces]) + "\n",
        "\r\n".join(plain + [f"f {a}/{b} {b}/{c} {c}/{a}" for a, b, c, _ in faces]) + "\r\n",
        "\n".join(plain + [f"f {-a} {-b} {-c}" for a, b, c, _ in faces]),
        "\n".join(plain[:49] + [f"f {a} {b} {c}" for a, b, c, _ in faces if max(a, b, c) < 50] + plain[49:]),
        "\n".join(plain[:25] + coloured[25:] + [f"f {a} {b} {c}" for a, b, c, _ in faces]),
        "\n".join(
            ["# v of f", *plain, "vt 0 1", "vn 0 0 1", *(f"f {a}/{b}/{c} {b}/1/1 {c}/9/2" for a, b, c, _ in faces)]
        ),
        "\n".join([*plain, "vn 0 0 1", *(f"f {a}//1 {b}//1 {c}//1 {d}//1" for a, b, c, d in faces)]),
        "\n".join([*plain, "vn 0 0 1", *(f"f {a}//1 {b}//1 {c}//1" for a, b, c, _ in faces), "f 1 2 3"]),
        "\n".join([*plain, "vp 1", *(f"f {a} {b} {c}" for a, b, c, _ in faces)]),
    ]
    read = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.obj"
        path.write_bytes(text.encode())
        read.append(read_mesh(path))
        assert np.array_equal(read[-1].vertices, vertices)
    monkeypatch.setattr("harness.geometry.mesh._plain_obj", lambda data: None)
    for number, mesh in enumerate(read):
        slow = read_mesh(tmp_path / f"{number}.obj")
        assert np.array_equal(slow.vertices, mesh.vertices) and np.array_equal(slow.faces, mesh.faces)


PLAIN = """# head
mtllib a
v 0 0 0
v 1.5 0 -2e1
v 0 12 0.25
vt 0 1
vn 0 0 1
usemtl b
f 1/1/1 2/1/1 3/1/1
f 3/1/1 2/1/1 1/1/1
"""


def outcome(path):
    """What is read, or what is said."""
    try:
        mesh = read_mesh(path)
    except DataError as error:
        return str(error)
    return mesh.vertices.tolist(), mesh.faces.tolist()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.sampled_from(
        [PLAIN, PLAIN.replace("/1/1", ""), PLAIN.replace("/1/1", "//1"), PLAIN[7:].replace("/1/1", "/1")]
    ),
    changes=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 2), st.text('0123456789 .-+/vftn\n\r\t#e\\x"', max_size=3)),
        max_size=3,
    ),
)
def test_damage_is_read_as_line_by_line(tmp_path, monkeypatch, text, changes):
    """Whatever a file became, the fast way reads and says the same as the slow one."""
    for place, removed, added in changes:
        text = text[:place] + added + text[place + removed :]
    (tmp_path / "m.obj").write_bytes(text.encode())
    fast = outcome(tmp_path / "m.obj")
    with monkeypatch.context() as patch:
        patch.setattr("harness.geometry.mesh._plain_obj", lambda data: None)
        patch.setattr("harness.geometry.mesh._table", lambda *args: None)
        assert outcome(tmp_path / "m.obj") == fast
