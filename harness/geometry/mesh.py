"""A triangle mesh, and its files. Vertices keep their number and order: landmarks and regions index them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError, DataError

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: (V, 3) float64, millimetres unless said otherwise; read-only.
        faces: (F, 3) int64, indices into `vertices`; read-only.

    Raises:
        ContractError: wrong shapes, no vertices or faces, NaN or infinite values, indices out of range.
    """

    vertices: Array
    faces: Array

    def __post_init__(self) -> None:
        if np.size(self.faces) and not np.issubdtype(np.asarray(self.faces).dtype, np.integer):
            raise ContractError(f"mesh.faces: dtype {np.asarray(self.faces).dtype}, expected integers")
        vertices = np.array(self.vertices, dtype=np.float64)
        faces = np.array(self.faces, dtype=np.int64)
        for name, array in (("vertices", vertices), ("faces", faces)):
            if array.ndim != 2 or array.shape[1] != 3:
                raise ContractError(f"mesh.{name}: shape {array.shape}, expected (*, 3)")
            if not len(array):
                raise ContractError(f"mesh.{name}: the mesh has none")
            array.setflags(write=False)
        if not np.isfinite(vertices).all():
            bad = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
            raise ContractError(f"mesh.vertices: vertex {bad} is {vertices[bad].tolist()}, expected finite coordinates")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise ContractError(f"mesh.faces: index {faces.min()}..{faces.max()} outside 0..{len(vertices) - 1}")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)


def read_mesh(path: str | Path) -> Mesh:
    """Reads an OBJ or PLY file, keeping the number and order of its vertices.

    Polygons become fans of triangles. Colours, normals, texture coordinates, groups and materials are ignored.

    Raises:
        DataError: the file is missing, of another kind, unreadable, empty, holds NaN, or has a face that refers
            to a vertex that does not exist; names the file and, for OBJ, the line.
    """
    path = Path(path)
    readers = {".obj": _read_obj, ".ply": _read_ply}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: meshes are read from .obj and .ply files, not {path.suffix or 'no suffix'!r}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: mesh file is missing") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    try:
        return readers[path.suffix.lower()](path, data)
    except ContractError as error:
        raise DataError(f"{path}: {error}; restore the file, or write the mesh again") from None


def write_mesh(mesh: Mesh, path: str | Path) -> None:
    """Writes an OBJ (no comments: H3DS's official reader miscounts files that have some) or a binary PLY.

    Coordinates survive exactly: OBJ has as many digits as needed, PLY holds float64.

    Raises:
        DataError: the suffix is neither .obj nor .ply.
    """
    path = Path(path)
    if path.suffix.lower() == ".obj":
        lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in mesh.vertices.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (mesh.faces + 1).tolist()]
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
    elif path.suffix.lower() == ".ply":
        path.write_bytes(_ply_bytes(mesh))
    else:
        raise DataError(f"{path}: meshes are written to .obj and .ply files, not {path.suffix or 'no suffix'!r}")


def _ply_bytes(mesh: Mesh) -> bytes:
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(mesh.vertices)}"]
    header += [f"property double {axis}" for axis in "xyz"]
    header += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices", "end_header", ""]
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    return "\n".join(header).encode() + mesh.vertices.astype("<f8").tobytes() + faces.tobytes()


def _read_ply(path: Path, data: bytes) -> Mesh:
    from trimesh.exchange.ply import load_ply  # most of a second, which only a PLY file should cost
    from trimesh.geometry import triangulate_quads

    if not data.startswith(b"ply"):
        raise DataError(f"{path}: does not start with 'ply'; it is no PLY file, or it is damaged")
    try:
        with path.open("rb") as file:
            content = load_ply(file, fix_texture=False)
        vertices, faces = content["vertices"], triangulate_quads(content.get("faces", []), dtype=np.int64)
    except Exception as error:  # the parser raises whatever damaged bytes lead to
        raise DataError(f"{path}: cannot be read as PLY ({type(error).__name__}: {error}); write it again") from None
    return Mesh(vertices, faces.reshape(-1, 3))


# -- OBJ: a parser of its own, since general ones split or merge vertices that carry texture coordinates ---------


def _read_obj(path: Path, data: bytes) -> Mesh:
    plain = _plain_obj(data)
    if plain is not None:
        return Mesh(*plain)
    lines = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines()
    if b"#" in data:
        lines = [line.partition(b"#")[0] for line in lines]
    if data[:1].isspace() or any(blank in data for blank in (b"\n ", b"\n\t")):
        lines = [line.lstrip() for line in lines]
    vertex_at = [i for i, line in enumerate(lines) if line[:2] in (b"v ", b"v\t")]
    face_at = [i for i, line in enumerate(lines) if line[:2] in (b"f ", b"f\t")]
    for found, what in ((vertex_at, "vertices ('v' lines)"), (face_at, "faces ('f' lines)")):
        if not found:
            raise DataError(f"{path}: has no {what}; it is empty, damaged or no OBJ mesh")
    vertices = _obj_vertices(path, lines, vertex_at)
    return Mesh(vertices, _obj_faces(path, lines, face_at, vertex_at))


def _plain_obj(data: bytes) -> tuple[Array, Array] | None:
    """Vertices and faces of a file that lists one kind of line after another, each written alike; None for others.

    In the order `v`, `vt` and `vn`, `f`, below lines without numbers. Ten times as fast as going through the lines one
    by one. Whatever looks odd is left to those who can name its line.
    """
    data, begin = data.replace(b"\r\n", b"\n") if b"\r" in data else data, 0
    while data.startswith((b"#", b"mtllib ", b"o ", b"g "), begin):
        begin = data.find(b"\n", begin) + 1 or len(data)
    first_face = data.find(b"f", begin)
    if first_face < 1 or data[first_face - 1] != ord("\n") or b"\\" in data or b"\r" in data:
        return None
    # Numbers hold none of these letters, and one letter is found ten times as fast as two.
    ends = [at for letter in (b"t", b"n") if (at := data.find(letter, begin, first_face)) > 0]
    end = data.rfind(b"\n", 0, min(ends, default=first_face)) + 1
    between = data[max(end - 1, 0) : first_face - 1]
    if between.count(b"\n") != sum(between.count(word) for word in (b"\nvt ", b"\nvn ", b"\nusemtl ")):
        return None
    vertices = _table(data, b"v", 3, "float64", begin, end)
    corners = None if vertices is None else _face_table(data[first_face:])
    if vertices is None or corners is None or not np.isfinite(vertices).all() or corners.shape[1] < 3:
        return None
    if corners.min() < 1 or corners.max() > len(vertices):
        return None
    return vertices, _fan(corners.ravel() - 1, np.full(len(corners), corners.shape[1]))


def _table(
    text: bytes, keyword: bytes, columns: int | None, kind: str, begin: int = 0, end: int | None = None
) -> Array | None:
    """(N, columns) of the numbers after the keyword in lines that all have equally many; None for other text.

    Args:
        text: lines of words with single blanks between, from `begin` to `end`.
        keyword: each line's first word.
        columns: how many numbers to read of each line; None for all.
        kind: "float64" (each read exactly) or "int64".
        begin: of the first line.
        end: behind the last line; None for that of the text.
    """
    import pyarrow as pa
    from pyarrow import csv  # a tenth of a second, which only a mesh file should cost

    end = len(text) if end is None else end
    line_end = text.find(b"\n", begin, end)
    width = text.count(b" ", begin, line_end if line_end >= 0 else end)
    names = [str(i) for i in range(width + 1)]
    wanted = names[1 : 1 + (width if columns is None else columns)]
    # Arrow takes "1\t" for 1.
    if not wanted or (columns is not None and width < columns) or text.find(b"\t", begin, end) >= 0:
        return None
    # The keyword is read as a truth value that has one word for "true" and none for "false".
    types = {names[0]: "bool_"} | dict.fromkeys(wanted, kind)
    try:
        table = csv.read_csv(
            pa.py_buffer(memoryview(text)[begin:end]),
            csv.ReadOptions(use_threads=False, column_names=names),
            csv.ParseOptions(delimiter=" ", quote_char=False, double_quote=False, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types={name: getattr(pa, type_)() for name, type_ in types.items()},
                include_columns=list(types),
                null_values=[],
                true_values=[keyword.decode()],
                false_values=[],
            ),
        )
    except pa.ArrowInvalid:
        return None
    return np.stack([table[name].to_numpy() for name in wanted], axis=1)


def _obj_vertices(path: Path, lines: Sequence[bytes], at: Sequence[int]) -> Array:
    """(V, 3) float64; colours and weights after the third number are ignored."""
    table = _table(_tidy(lines, at), b"v", 3, "float64")
    if table is not None and np.isfinite(table).all():
        return table
    return np.array([_obj_vertex(path, i, lines[i]) for i in at])


def _tidy(lines: Sequence[bytes], at: Sequence[int]) -> bytes:
    """Some of the lines, with single blanks between words."""
    return b"\n".join([b" ".join(lines[i].split()) for i in at])


def _obj_vertex(path: Path, index: int, line: bytes) -> list[float]:
    try:
        vertex = [float(word) for word in line.split()[1:4]]
    except ValueError:
        vertex = []
    if len(vertex) != 3 or not np.isfinite(vertex).all():
        raise _line_error(path, index, line, "three finite coordinates")
    return vertex


def _obj_faces(path: Path, lines: Sequence[bytes], at: Sequence[int], vertex_at: Sequence[int]) -> Array:
    """(F, 3) int64 from 0; polygons as fans from their first corner; order of the file."""
    table = _face_table(_tidy(lines, at))
    if table is None:
        corners, counts = _mixed_corners(path, lines, at)
    else:
        corners, counts = table.ravel(), np.full(len(table), table.shape[1])
    line_of_corner = np.repeat(np.asarray(at), counts)
    if (corners < 0).any():  # counted back from the last vertex above the line
        above = np.searchsorted(np.asarray(vertex_at), line_of_corner)
        corners = np.where(corners < 0, above + 1 + corners, corners)
    bad = np.flatnonzero((corners < 1) | (corners > len(vertex_at)))
    if len(bad):
        i = int(line_of_corner[bad[0]])
        raise _line_error(path, i, lines[i], f"vertex numbers from 1 to {len(vertex_at)}")
    if (counts < 3).any():
        i = at[int(np.flatnonzero(counts < 3)[0])]
        raise _line_error(path, i, lines[i], "at least three corners")
    return _fan(corners - 1, counts)


def _face_table(text: bytes) -> Array | None:
    """(F, corners) vertex numbers as written, for faces that are all written alike; None where they are not."""
    each = 1
    if b"/" in text:
        forms = text.translate(None, b"0123456789").splitlines()
        first = text[: text.find(b"\n") if b"\n" in text else len(text)].split(b" ")[1:]
        widths = {(corner.count(b"/"), len(corner.replace(b"//", b"/").split(b"/"))) for corner in first}
        if forms.count(forms[0]) != len(forms) or len(widths) != 1:
            return None
        # With as many slashes and numbers, lines are alike. A missing number leaves two blanks, which make no table.
        each = widths.pop()[1]
        text = text.replace(b"//", b" ").replace(b"/", b" ")
    numbers = _table(text, b"f", None, "int64")
    return None if numbers is None else numbers[:, ::each]


def _mixed_corners(path: Path, lines: Sequence[bytes], at: Sequence[int]) -> tuple[Array, Array]:
    """Vertex numbers of all corners in a row, as written, and how many each face has."""
    flat: list[int] = []
    counts = np.empty(len(at), dtype=np.int64)
    for k, i in enumerate(at):
        words = lines[i].split()[1:]
        counts[k] = len(words)
        try:
            flat += [int(word.partition(b"/")[0]) for word in words]
        except ValueError:
            raise _line_error(path, i, lines[i], "whole vertex numbers") from None
    return np.array(flat, dtype=np.int64), counts


def _fan(corners: Array, counts: Array) -> Array:
    """(F, 3) triangles (first, k, k + 1) of polygons whose corners stand in a row."""
    if (counts == 3).all():
        return corners.reshape(-1, 3)
    first = np.repeat(np.cumsum(counts) - counts, counts - 2)
    step = np.arange(len(first)) - np.repeat(np.cumsum(counts - 2) - (counts - 2), counts - 2)
    return corners[np.stack([first, first + step + 1, first + step + 2], axis=1)]


def _line_error(path: Path, index: int, line: bytes, expected: str) -> DataError:
    found = line.decode("utf-8", "replace").strip()[:80]
    return DataError(f"{path}, line {index + 1}: found {found!r}, expected {expected}; write the mesh again")
