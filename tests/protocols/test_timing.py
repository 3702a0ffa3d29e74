"""Statistics of times: against sorted lists and exact sums; hardware never mixes; a failure is no number."""

import io
import json
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness import provenance
from harness.errors import ContractError
from harness.protocols.scores import SampleScore
from harness.protocols.timing import (
    LEAST_CALLS,
    STATISTICS,
    StageTiming,
    Timing,
    early_stopping,
    most_over,
    statistic,
)
from harness.report import print_runs


def by_hand(times, share):
    """The quantile by linear interpolation in the sorted list."""
    ordered = sorted(times)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=300))
def test_statistics_are_those_of_the_sorted_list(times):
    expected = {
        "median": by_hand(times, 0.5),
        "p90": by_hand(times, 0.9),
        "p99": by_hand(times, 0.99),
        "max": sorted(times)[-1],
        "IQR": by_hand(times, 0.75) - by_hand(times, 0.25),
    }
    for name in STATISTICS:
        value = statistic(name, np.array(times))
        if len(times) < LEAST_CALLS[name]:
            assert value is None
        else:
            assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-6)


def at_most(over, count, share):
    """P[Binomial(count, share) <= over], summed exactly."""
    p = Fraction(share).limit_denominator(1000)
    return sum(math.comb(count, k) * p**k * (1 - p) ** (count - k) for k in range(over + 1))


@pytest.mark.parametrize(("percentile", "least"), [(0.9, 64), (0.99, 662)])
def test_least_number_of_calls_for_one_over_latency_call_is_mlperfs(percentile, least):
    assert most_over(least, percentile) == 1
    assert most_over(least - 1, percentile) == 0
    share = Fraction(1 - percentile).limit_denominator(1000)
    closed_form = (1 - share) ** least + least * share * (1 - share) ** (least - 1)
    assert closed_form <= Fraction(1, 100)
    assert round(float(closed_form), 4) == {0.9: 0.0096, 0.99: 0.0099}[percentile]


@pytest.mark.parametrize("count", [10, 64, 100, 137, 400])
def test_over_latency_calls_are_the_most_that_the_exact_sum_allows(count):
    over = most_over(count, 0.9)
    if over:
        assert at_most(over, count, 0.1) <= Fraction(1, 100)
    assert at_most(over + 1, count, 0.1) > Fraction(1, 100)


def test_early_stopping_drops_all_but_one_of_the_over_latency_calls():
    rng = np.random.default_rng(0)
    assert early_stopping(rng.permutation(np.arange(1.0, 64)), 0.9) is None
    assert early_stopping(rng.permutation(np.arange(1.0, 65)), 0.9) == 64  # t = 1: nothing is left out
    over = most_over(1000, 0.9)
    assert early_stopping(rng.permutation(np.arange(1.0, 1001)), 0.9) == 1000 - (over - 1)


def test_early_stopping_bound_holds_as_often_as_it_says():
    rng = np.random.default_rng(1)
    truth = -math.log(0.1)  # the 90th percentile of the exponential distribution
    kept = [early_stopping(rng.exponential(size=200), 0.9) >= truth for _ in range(2000)]
    assert 0.985 <= np.mean(kept) <= 1


def row(sample, times, condition=None, failure=None):
    stored = {f"vectors/{name}": np.asarray(values, float) for name, values in (times or {}).items()}
    score = None if failure else {"median": 1.0}
    return SampleScore(sample, sample, condition or {"views": 1}, score, None, failure, stored.get)


def test_summary_pools_the_calls_of_all_samples_of_a_condition():
    rng = np.random.default_rng(2)
    parts = [rng.gamma(2.0, size=n) for n in (40, 90, 5)]
    rows = [row(f"s{i}", {"end to end": part}) for i, part in enumerate(parts)]
    rows.append(row("other", {"end to end": [7.0]}, {"views": 3}))
    found = {(r["views"], r["column"]): r for r in Timing().summarise(rows)}
    together = np.concatenate(parts)
    assert found[1, "median"]["value"] == pytest.approx(by_hand(together, 0.5))
    assert found[1, "p99"]["value"] == pytest.approx(by_hand(together, 0.99))
    assert found[1, "p90"]["expected"] == found[1, "p90"]["evaluated"] == 3
    assert found[3, "median"]["value"] == 7.0
    assert found[3, "p99"]["value"] is None, "the 99th percentile of one call is no number"


def test_a_failed_sample_leaves_no_number():
    rows = [row("good", {"end to end": [1.0, 2.0, 3.0]}), row("bad", None, failure="crash")]
    first = Timing().summarise(rows)[0]
    assert (first["value"], first["value_dropping_failures"]) == (None, 2.0)
    assert (first["evaluated"], first["expected"]) == (1, 2)


def test_stages_that_a_method_does_not_mark_have_no_row():
    rows = StageTiming().summarise([row("a", {"network": [1.0, 2.0]}), row("b", {"network": [6.0]})])
    assert [(r["column"], r["value"]) for r in rows] == [("network", 2.0)]


def test_score_of_a_sample_keeps_its_raw_times():
    times = {"end to end": np.array([4.0, 2.0]), "process": np.array([0, 1]), "order": np.array([0, 5])}
    score = Timing().sample_score({**times, "network": np.array([1.0, 1.5])})
    assert score.values == {"median": 3.0, "max": 4.0}
    assert list(score.vectors["end to end"]) == [4.0, 2.0]
    assert StageTiming().sample_score({**times, "network": np.array([1.0, 1.5])}).values == {"network": 1.25}
    assert StageTiming().sample_score(times) is None


def test_hardware_is_part_of_the_protocol_and_of_its_words(monkeypatch):
    here = Timing().on("cpu")
    assert here.hardware == provenance.hardware("cpu")
    assert here == Timing().on("cpu")
    monkeypatch.setattr(provenance, "cpu_name", lambda: "Another processor")
    there = Timing().on("cpu")
    assert there.id != here.id
    assert "Another processor" in there.describe()
    assert any("Another processor" in sentence for sentence in here.differences(there))
    assert StageTiming().on("cpu").id not in (there.id, here.id)


@pytest.mark.parametrize("change", ["cpu_details", "cores", "threads", "governor"])
def test_what_decides_the_speed_changes_the_digest(monkeypatch, change):
    record = provenance.hardware_record("cpu")
    before = provenance.hardware("cpu")
    changed = {"cpu_details": {"stepping": "99"}, "cores": 999, "threads": 999, "governor": "powersave"}[change]
    monkeypatch.setattr(provenance, "hardware_record", lambda device: {**record, change: changed})
    assert provenance.hardware("cpu") != before


def gpu(**changes):
    card = {"name": "Some GPU", "memory_mib": 1000, "multiprocessors": 10, "power_limit": "300 W", "driver": "1"}
    return {**card, "highest_sm_clock": "1 MHz", "application_clock": None, **changes}


def test_a_gpus_power_limit_counts_and_its_driver_does_not(monkeypatch):
    record = provenance.hardware_record("cpu")

    def hardware(**changes):
        monkeypatch.setattr(provenance, "hardware_record", lambda device: {**record, "gpu": gpu(**changes)})
        return provenance.hardware("cuda")

    assert hardware().startswith("Some GPU with ")
    assert hardware(driver="2") == hardware()
    assert hardware(power_limit="200 W") != hardware()


class Finished:
    path = "somewhere"

    def __init__(self, method, protocol):
        numbers = {"value": 1.0, "value_dropping_failures": 1.0, "evaluated": 2, "expected": 2, "std_subjects": None}
        names = {"protocol": protocol.name, "protocol_id": protocol.id, "unit": "ms"}
        columns = [{**numbers, **names, "column": name, "views": v} for v in (1, 3) for name in STATISTICS]
        same = {"bench": "timing", "data": "mirror", "dataset_version": "1", "data_digest": "d", "samples_digest": "s"}
        self.content = {
            **same,
            "identity": method * 8,
            "method": method,
            "meaning": {protocol.id: protocol.describe()},
            "rows": columns,
            "data_label": "measured times",
            "notes": ["12 samples/s [best]"],
        }

    def summary(self):
        return json.loads(json.dumps(self.content))

    def failures(self):
        return Counter()


def printed(*runs, width=80):
    out = io.StringIO()
    print_runs(runs, Console(file=out, width=width))
    return out.getvalue()


def test_times_of_two_machines_are_two_tables():
    here = Timing(hardware="this machine [a]")
    same = printed(Finished("a", here), Finished("b", Timing(hardware="this machine [a]")), width=200)
    apart = printed(Finished("a", here), Finished("b", Timing(hardware="that machine [b]")), width=200)
    assert same.count("coverage") == 1
    assert apart.count("coverage") == 2
    assert "that machine [b]" in apart
    assert "12 samples/s [best]" in same
    assert "MIRROR" not in same
    assert "measured times" in same


def test_a_narrow_terminal_gets_a_row_per_condition_and_loses_no_digit():
    text = printed(Finished("a", Timing()), width=80)
    assert text.count("coverage") == 1 and sum("│ a " in line for line in text.splitlines()) == 2
    assert text.count("1.00") == 10
    assert "…" not in text


def test_times_are_computed_in_one_way_only():
    with pytest.raises(ContractError, match="only 'ms' is implemented"):
        Timing(unit="s")
    with pytest.raises(ContractError, match="expected some of"):
        Timing(regions=("mean",))


def test_a_stored_prediction_has_no_time():
    assert Timing().score(None, None).failure == "missing"
