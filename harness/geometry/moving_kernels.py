"""What finds the closest faces of `MovingPoints`: for each point of many small groups, exactly, in float64."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,operator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.geometry.surface_kernels import (
    Doubles,
    Integers,
    Matrix,
    Surface,
    Vector,
    Vectors,
    foot_on_face,
    nearest_around,
)
from harness.geometry.warp_setup import wp

LONGEST_LIST = wp.constant(24)  # of faces near a point
_LIST_MARGIN = wp.constant(wp.float64(0.3))  # lists go this much of a face's area farther than needed at once
_MOST_STEPS = 6  # over sides, on the way from the last face to the one now below the point

if TYPE_CHECKING:
    Balls = Any
else:
    Balls = wp.array(dtype=wp.vec4)


@wp.struct
class Groups:
    """Points in an order in which neighbours stand together, and what is known of each.

    Attributes:
        points: (N,) where they are, before they are moved.
        first: (G + 1,) group g is `points[first[g]:first[g + 1]]`.
        moved: (N,) where they are now, about the surface's centre.
        faces, feet, distances: (N,) the closest face, the point on it, and how far that is.
        spacing: the side of a square as large as the surface's mean face.
        balls: (N,) the same in float32: where the point is, and the square of a little more than its distance.
        lists, lengths: (N * LONGEST_LIST,) and (N,) the faces near each point.
        listed_at, reaches: (N,) which are all that touch a ball of this radius about this place, or none if negative.
    """

    points: Vectors
    first: Integers
    moved: Vectors
    faces: Integers
    feet: Vectors
    distances: Doubles
    balls: Balls
    spacing: wp.float64
    lists: Integers
    lengths: Integers
    listed_at: Vectors
    reaches: Doubles


@wp.func
def _walk(p: Vector, surface: Surface, start: int) -> int:
    """From face to face over the side that p lies farthest beyond, until it lies beyond none."""
    at = start
    place = wp.vec4(wp.float32(p[0]), wp.float32(p[1]), wp.float32(p[2]), wp.float32(1.0))
    steps = int(0)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    while steps < _MOST_STEPS:
        steps += 1
        heights = place * surface.planes[at]
        beyond = wp.max(wp.max(heights[1], heights[2]), heights[3])
        side = 0
        if heights[2] == beyond:
            side = 1
        if heights[3] == beyond:
            side = 2
        following = -1
        if beyond > wp.float32(0.0):
            following = surface.across[3 * at + side]
        if following < 0:
            steps = _MOST_STEPS
        else:
            at = following
    return at


@wp.func
def _slack(surface: Surface) -> wp.float64:
    """More than what rounding to float32 does to a length."""
    return wp.float64(1e-6) * surface.extent


@wp.func
def _may_touch(planes: wp.mat44, ball: wp.vec4) -> bool:
    """Whether a ball (centre, squared radius) may reach a face, as its plane and its sides' planes tell."""
    place = wp.vec4(ball[0], ball[1], ball[2], wp.float32(1.0))
    heights = place * planes
    beyond = wp.max(wp.max(heights[1], heights[2]), wp.max(heights[3], wp.float32(0.0)))
    return heights[0] * heights[0] + beyond * beyond < ball[3]


@wp.func
def _ball(centre: Vector, radius: wp.float64, surface: Surface) -> wp.vec4:
    """In float32, and larger by what rounding may do."""
    grown = wp.float32(radius + _slack(surface))
    return wp.vec4(wp.float32(centre[0]), wp.float32(centre[1]), wp.float32(centre[2]), grown * grown)


@wp.func
def _consider(i: int, p: Vector, surface: Surface, groups: Groups, face: int) -> None:
    """Makes `face` the closest of point i if it is nearer than the one so far."""
    foot = foot_on_face(p, surface, face)
    distance = wp.length(p - foot)
    if distance < groups.distances[i]:
        groups.distances[i] = distance
        groups.feet[i] = foot
        groups.faces[i] = face
        groups.balls[i] = _ball(p, distance, surface)


@wp.func
def _nearest_in_single(p: Vector, surface: Surface, limit: wp.float64, otherwise: int) -> int:
    """The face nearest to p within a limit, as far as float32 can tell."""
    hit = wp.mesh_query_point_no_sign(surface.tree, wp.vec3(p), wp.float32(limit + _slack(surface)))
    face = otherwise
    if hit.result:  # type: ignore[attr-defined]
        face = hit.face  # type: ignore[attr-defined]
    return face


@wp.func
def move_group(group: int, surface: Surface, groups: Groups, linear: Matrix, shift: Vector, start: int) -> None:
    """Moves the points of a group; `start`, or if -1 the face that was closest before, leads to one below each."""
    for i in range(groups.first[group], groups.first[group + 1]):
        p = linear * groups.points[i] + shift
        last = start
        if start < 0:
            last = groups.faces[i]
        groups.moved[i] = p
        groups.distances[i] = wp.float64(wp.inf)
        _consider(i, p, surface, groups, last)
        below = _walk(p, surface, last)
        if below != last:
            _consider(i, p, surface, groups, below)


@wp.func
def largest_distance(group: int, groups: Groups) -> wp.float64:
    """Of the points of a group, as far as is known."""
    largest = wp.float64(0.0)
    for i in range(groups.first[group], groups.first[group + 1]):
        largest = wp.max(largest, groups.distances[i])
    return largest


@wp.func
def place_group(group: int, surface: Surface, groups: Groups, linear: Matrix, shift: Vector, start: int) -> None:
    """As `_move_group` for points that have no face yet; `start` may be far away."""
    move_group(group, surface, groups, linear, shift, start)
    if largest_distance(group, groups) > wp.float64(3.0) * groups.spacing:
        first = groups.first[group]
        limit = groups.distances[first]
        near = _nearest_in_single(groups.moved[first], surface, limit, groups.faces[first])
        move_group(group, surface, groups, linear, shift, near)


@wp.func
def search_each(group: int, surface: Surface, groups: Groups) -> None:
    """For points far away: around them would be most of the surface, so the tree is asked for each."""
    for i in range(groups.first[group], groups.first[group + 1]):
        p = groups.moved[i]
        _consider(i, p, surface, groups, _nearest_in_single(p, surface, groups.distances[i], groups.faces[i]))
        _consider(i, p, surface, groups, nearest_around(p, surface, groups.faces[i], groups.distances[i]))


@wp.func
def search_together(group: int, surface: Surface, groups: Groups, largest: wp.float64) -> None:
    """Looks at every face in the box around a group, grown by its largest distance: no other can be nearer."""
    begin = groups.first[group]
    end = groups.first[group + 1]
    low = groups.moved[begin]
    high = low
    for i in range(begin + 1, end):
        low = wp.min(low, groups.moved[i])
        high = wp.max(high, groups.moved[i])
    middle = wp.float64(0.5) * (low + high)
    reach = wp.float64(0.0)
    for i in range(begin, end):
        reach = wp.max(reach, groups.distances[i] + wp.length(groups.moved[i] - middle))
    all_balls = _ball(middle, reach, surface)
    grown = wp.vec3(wp.float32(largest + _slack(surface)))
    query = wp.mesh_query_aabb(surface.tree, wp.vec3(low) - grown, wp.vec3(high) + grown)
    face = int(0)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    while wp.mesh_query_aabb_next(query, face):
        planes = surface.planes[face]
        if _may_touch(planes, all_balls):
            for i in range(begin, end):
                if _may_touch(planes, groups.balls[i]) and face != groups.faces[i]:
                    _consider(i, groups.moved[i], surface, groups, face)


@wp.func
def search_lists(group: int, surface: Surface, groups: Groups, linear: Matrix, shift: Vector) -> int:
    """Moves the points of a group and looks at the faces listed for each; 0 if others may be nearer to one of them."""
    complete = int(1)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    for i in range(groups.first[group], groups.first[group + 1]):
        p = linear * groups.points[i] + shift
        groups.moved[i] = p
        groups.distances[i] = wp.float64(wp.inf)
        _consider(i, p, surface, groups, groups.faces[i])
        if groups.distances[i] + wp.length(p - groups.listed_at[i]) > groups.reaches[i]:
            complete = 0
        for k in range(i * LONGEST_LIST, i * LONGEST_LIST + groups.lengths[i]):
            face = groups.lists[k]
            if face != groups.faces[i] and _may_touch(surface.planes[face], groups.balls[i]):
                _consider(i, p, surface, groups, face)
    return complete


@wp.kernel(enable_backward=False)
def list_faces(surface: Surface, groups: Groups) -> None:
    """Lists the faces near each point of a group, after `evaluate`."""
    group = wp.tid()
    begin = groups.first[group]
    end = groups.first[group + 1]
    low = groups.moved[begin]
    high = low
    largest = wp.float64(0.0)
    for i in range(begin, end):
        p = groups.moved[i]
        triangle = surface.triangles[groups.faces[i]]
        area = wp.length(wp.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])) / wp.float64(2.0)
        reach = wp.sqrt(groups.distances[i] * groups.distances[i] + _LIST_MARGIN * area)
        low = wp.min(low, p)
        high = wp.max(high, p)
        largest = wp.max(largest, reach)
        groups.balls[i] = _ball(p, reach, surface)
        groups.listed_at[i] = p
        groups.reaches[i] = reach
        groups.lengths[i] = 0
    grown = wp.vec3(wp.float32(largest + _slack(surface)))
    all_balls = _ball(wp.float64(0.5) * (low + high), largest + wp.float64(0.5) * wp.length(high - low), surface)
    query = wp.mesh_query_aabb(surface.tree, wp.vec3(low) - grown, wp.vec3(high) + grown)
    face = int(0)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    while wp.mesh_query_aabb_next(query, face):
        planes = surface.planes[face]
        if _may_touch(planes, all_balls):
            for i in range(begin, end):
                if _may_touch(planes, groups.balls[i]):
                    length = int(groups.lengths[i])
                    if length < LONGEST_LIST:
                        groups.lists[i * LONGEST_LIST + length] = face
                        groups.lengths[i] = length + 1
                    else:
                        groups.reaches[i] = wp.float64(-1.0)
