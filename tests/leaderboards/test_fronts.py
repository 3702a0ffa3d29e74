"""The front against brute force; times only from runs that do the same work on the same hardware."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.leaderboards.boards import make_boards
from harness.leaderboards.fronts import TimedCondition, pareto_front, timed_conditions, timed_runs
from tests.leaderboards.balls import memory_run

HERE = TimedCondition("this machine", "1 view", "real")
small = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(small, small), max_size=12))
def test_front_is_what_nothing_dominates(points):
    times, errors = [t for t, _ in points], [e for _, e in points]

    def beaten(i):
        return any(
            times[j] <= times[i] and errors[j] <= errors[i] and (times[j], errors[j]) != (times[i], errors[i])
            for j in range(len(points))
        )

    front = pareto_front(times, errors)
    assert sorted(front) == [i for i in range(len(points)) if not beaten(i)]
    assert all(times[i] <= times[j] and errors[i] >= errors[j] for i, j in pairwise(front))


def timed(method, time, hardware="this machine", date="2026-02-01", options=None, **changes):
    run = memory_run(method, time, bench="timing", protocol="timing", hardware=hardware, date=date, **changes)
    for row in run.rows:
        row["column"] = "median"
    run.manifest["method"]["options"] = options or {}
    return run


def scored(method, value, options=None, **changes):
    run = memory_run(method, value, views=(1,), **changes)
    run.manifest["method"]["options"] = options or {}
    return run


def test_same_work_is_found_and_the_newest_time_counts():
    runs = [
        scored("fast", 2.0, {"size": "mini", "weights": "own.safetensors"}),
        scored("large", 1.0, {"size": "paper"}),
        scored("untimed", 1.5),
        timed("fast", 10.0, options={"size": "mini", "random_weights": True}),
        timed("fast", 99.0, options={"size": "mini"}, date="2026-01-01"),
        timed("large", 5.0, options={"size": "mini"}),
        timed("large", 80.0, options={"size": "paper"}, hardware="another"),
    ]
    (board,) = make_boards([run for run in runs if run.manifest["bench"] == "toy"])
    points, without = timed_runs(board, "face · 1 view", runs, HERE)
    assert [(p.run.method, p.error, p.time) for p in points] == [("fast", 2.0, 10.0)]
    assert sorted(run.method for run in without) == ["large", "untimed"]
    elsewhere, _ = timed_runs(board, "face · 1 view", runs, TimedCondition("another", "1 view", "real"))
    assert [(p.run.method, p.time) for p in elsewhere] == [("large", 80.0)]


def test_conditions_are_of_one_kind_of_data():
    runs = [timed("a", 1.0), timed("b", 2.0, hardware="another"), timed("c", 3.0, kind="mirror")]
    found = timed_conditions(runs, "real")
    assert {c.hardware for c in found} == {"this machine", "another"}
    assert {c.call for c in found} == {"1 view", "3 views"}
    assert [c.kind for c in timed_conditions(runs, "mirror")] == ["mirror", "mirror"]
    assert timed_conditions([], "real") == []


def test_time_on_mirror_data_is_no_time_of_a_real_board():
    runs = [scored("a", 1.0), timed("a", 3.0, kind="mirror")]
    (board,) = make_boards(runs[:1])
    assert timed_runs(board, "face · 1 view", runs, HERE)[0] == []
