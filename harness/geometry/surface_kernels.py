"""What Warp kernels share: a triangle mesh on the device, and the point of a triangle that is closest to another."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,operator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.geometry.warp_setup import wp

if TYPE_CHECKING:  # Warp reads array types from annotations that are calls; type checkers do not take those.
    Vectors = Any
    Doubles = Any
    Integers = Any
    Vector = Any
    Triangles = Any
    PlaneSets = Any
    Matrix = Any
    Flags = Any
else:
    Vectors, Doubles, Integers = wp.array(dtype=wp.vec3d), wp.array(dtype=wp.float64), wp.array(dtype=wp.int32)
    Triangles, PlaneSets = wp.array(dtype=wp.mat33d), wp.array(dtype=wp.mat44)
    Vector, Matrix, Flags = wp.vec3d, wp.mat33d, wp.array(dtype=wp.bool)


@wp.struct
class Surface:
    """A mesh without faces that have no area; coordinates about the middle of its box.

    Attributes:
        tree: of the faces' boxes.
        centre: the middle of the box, in the mesh's own frame.
        extent: the longest side of the box.
        corners: (3F,) vertices of the faces.
        starts, incident: the faces around vertex v are `incident[starts[v]:starts[v + 1]]`.
        triangles: (F,) a face's three corners as rows.
        planes: (F,) four columns (normal, offset), float32: the face's plane, and for each side the plane through it
            that stands upright on the face, with its normal pointing outwards.
        across: (3F,) the face on the other side of each of a face's sides; -1 at a border.
    """

    tree: wp.uint64
    centre: Vector
    extent: wp.float64
    corners: Integers
    starts: Integers
    incident: Integers
    triangles: Triangles
    planes: PlaneSets
    across: Integers


if TYPE_CHECKING:
    Surfaces = Any
else:
    Surfaces = wp.array(dtype=Surface)


@wp.func
def _on_segment(p: Vector, a: Vector, b: Vector) -> wp.float64:
    """Share of `b` in the point of the line through a and b that is closest to p."""
    return wp.dot(p - a, b - a) / wp.dot(b - a, b - a)


@wp.func
def closest_weights(p: Vector, a: Vector, b: Vector, c: Vector) -> Vector:
    """Barycentric coordinates of the triangle's point closest to p (Ericson, Real-Time Collision Detection, 5.1.5).

    A coordinate is exactly 0 where the point lies on the opposite side.
    """
    zero = wp.float64(0.0)
    one = wp.float64(1.0)
    ab = b - a
    ac = c - a
    d1 = wp.dot(ab, p - a)
    d2 = wp.dot(ac, p - a)
    if d1 <= zero and d2 <= zero:
        return wp.vec3d(one, zero, zero)
    d3 = wp.dot(ab, p - b)
    d4 = wp.dot(ac, p - b)
    if d3 >= zero and d4 <= d3:
        return wp.vec3d(zero, one, zero)
    d5 = wp.dot(ab, p - c)
    d6 = wp.dot(ac, p - c)
    if d6 >= zero and d5 <= d6:
        return wp.vec3d(zero, zero, one)
    vc = d1 * d4 - d3 * d2
    if vc <= zero and d1 >= zero and d3 <= zero:
        share = _on_segment(p, a, b)
        return wp.vec3d(one - share, share, zero)
    vb = d5 * d2 - d1 * d6
    if vb <= zero and d2 >= zero and d6 <= zero:
        share = _on_segment(p, a, c)
        return wp.vec3d(one - share, zero, share)
    va = d3 * d6 - d5 * d4
    if va <= zero and d4 >= d3 and d5 >= d6:
        share = _on_segment(p, b, c)
        return wp.vec3d(zero, one - share, share)
    total = va + vb + vc
    return wp.vec3d(va / total, vb / total, vc / total)


@wp.func
def weights_on_face(p: Vector, surface: Surface, face: int) -> Vector:
    """`closest_weights` on a face of a surface."""
    triangle = surface.triangles[face]
    return closest_weights(p, triangle[0], triangle[1], triangle[2])


@wp.func
def foot_on_face(p: Vector, surface: Surface, face: int) -> Vector:
    """The point of a face that is closest to p."""
    triangle = surface.triangles[face]
    w = closest_weights(p, triangle[0], triangle[1], triangle[2])
    return triangle[0] * w[0] + triangle[1] * w[1] + triangle[2] * w[2]


@wp.func
def nearest_around(p: Vector, surface: Surface, face: int, best: wp.float64) -> int:
    """The face that shares a corner with `face` and is nearest to p, if nearer than `best`; else `face`."""
    nearest = face
    for k in range(3):
        corner = surface.corners[3 * face + k]
        for j in range(surface.starts[corner], surface.starts[corner + 1]):
            other = surface.incident[j]
            d = wp.length(p - foot_on_face(p, surface, other))
            if d < best:
                best = d
                nearest = other
    return nearest


@wp.kernel(enable_backward=False)
def has_area(vertices: Vectors, corners: Integers, least: wp.float64, flags: Flags) -> None:
    """Whether a face is still a triangle, rather than a line or a point, after rounding to float32."""
    i = wp.tid()
    a = vertices[corners[3 * i]]
    b = vertices[corners[3 * i + 1]]
    c = vertices[corners[3 * i + 2]]
    longest = wp.max(wp.max(wp.length(b - a), wp.length(c - b)), wp.length(a - c))
    flags[i] = wp.length(wp.cross(b - a, c - a)) > least * longest


@wp.kernel(enable_backward=False)
def fill_incident(corners: Integers, next_place: Integers, incident: Integers) -> None:
    """Writes each face to the list of each of its corners; `next_place` starts as the lists' starts."""
    i = wp.tid()
    incident[wp.atomic_add(next_place, corners[i], 1)] = i / 3


@wp.func
def _opposite(surface: Surface, face: int, a: int, b: int) -> int:
    """Another face with the side from a to b; -1 where there is none."""
    for j in range(surface.starts[a], surface.starts[a + 1]):
        other = surface.incident[j]
        if other != face:
            first = 3 * other
            if surface.corners[first] == b or surface.corners[first + 1] == b or surface.corners[first + 2] == b:
                return other
    return -1


@wp.kernel(enable_backward=False)
def describe_faces(vertices: Vectors, surface: Surface) -> None:
    """Fills in triangles, planes and neighbours."""
    i = wp.tid()
    a = vertices[surface.corners[3 * i]]
    b = vertices[surface.corners[3 * i + 1]]
    c = vertices[surface.corners[3 * i + 2]]
    surface.triangles[i] = wp.matrix_from_rows(a, b, c)
    normal = wp.normalize(wp.cross(b - a, c - a))
    rows = wp.matrix_from_rows(
        normal,
        wp.normalize(wp.cross(b - a, normal)),
        wp.normalize(wp.cross(c - b, normal)),
        wp.normalize(wp.cross(a - c, normal)),
    )
    planes = wp.mat44()
    for k in range(4):
        through = a
        if k == 2:
            through = b
        for j in range(3):
            planes[j, k] = wp.float32(rows[k, j])
        planes[3, k] = wp.float32(-wp.dot(rows[k], through))
    surface.planes[i] = planes
    for k in range(3):
        start = surface.corners[3 * i + k]
        end = surface.corners[3 * i + (k + 1) % 3]
        surface.across[3 * i + k] = _opposite(surface, i, start, end)
