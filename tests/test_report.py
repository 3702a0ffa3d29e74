"""The printed tables never mix kinds of data, versions or protocols, and show failures as such."""

import io
from collections import Counter

from rich.console import Console

from harness.report import print_runs


class Summary:
    """A finished run, as far as the report looks at it."""

    path = "somewhere"

    def __init__(
        self, method="a", data="real", version="1", protocol_id="aaaa", value=1.0, samples="all", failures=(), **row
    ):
        filled = {"column": "face", "evaluated": 4, "expected": 4, "value_dropping_failures": value, **row}
        self._summary = {
            "bench": "h3ds",
            "data": data,
            "dataset_version": version,
            "data_digest": f"content of {version}",
            "samples_digest": samples,
            "identity": f"{method}{len(method)}",
            "method": method,
            "meaning": {protocol_id: f"what {protocol_id} means"},
            "rows": [{"protocol": "p", "protocol_id": protocol_id, "unit": "mm", "value": value, **filled}],
        }

        self._failures = Counter(failures)

    def summary(self):
        return self._summary

    def failures(self):
        return self._failures


def printed(*runs):
    out = io.StringIO()
    print_runs(runs, Console(file=out, width=120))
    return out.getvalue()


def test_same_everything_shares_a_table():
    assert printed(Summary("a"), Summary("b")).count("coverage") == 1


def test_kinds_versions_and_protocols_are_kept_apart():
    text = printed(
        Summary(), Summary(data="mirror"), Summary(version="2"), Summary(protocol_id="bbbb"), Summary(samples="some")
    )
    assert text.count("coverage") == 5
    assert "MIRROR: synthetic stand-in" in text
    assert "what bbbb means" in text


def test_failures_show_both_values_and_the_coverage():
    text = printed(Summary(value=2.5, evaluated=3, value_dropping_failures=1.25))
    assert "2.50 (1.25)" in text
    assert "3/4" in text
    assert "leaves failed samples out" in text


def test_reasons_of_failures_are_named_the_most_frequent_first():
    reasons = {
        "no_face. nothing there": 1,
        "crash. KeyError: [x]": 3,
        "timeout. 5 s": 2,
        "missing. a": 1,
        "missing. b": 1,
    }
    lines = printed(Summary(failures=reasons)).splitlines()
    at = lines.index("Run: somewhere")
    assert lines[at + 1 : at + 4] == [
        "  3 failed: crash. KeyError: [x]",
        "  2 failed: timeout. 5 s",
        "  1 failed: no_face. nothing there",
    ]
    assert lines[at + 4] == "  2 failed for 2 other reasons: see scores.parquet"


def test_a_value_that_could_not_be_computed_is_no_number():
    text = printed(Summary(value=None, evaluated=0, value_dropping_failures=None))
    assert "not computed (none)" in text


def test_two_runs_of_one_method_can_be_told_apart():
    text = printed(Summary("a"), Summary("a"))
    assert text.count("a a1") == 2


def test_any_condition_is_named():
    assert "face challenge selfie" in " ".join(printed(Summary(challenge="selfie")).split())


def test_what_does_not_fit_beside_each_other_stands_below():
    run = Summary("glvd", challenge="all")
    (row,) = run.summary()["rows"]
    names = ("all", "neutral", "expressions", "occlusions", "selfie")
    run.summary()["rows"] = [
        {**row, "challenge": name, "column": column, "value": len(name) + len(column) / 100}
        for name in names
        for column in ("median", "mean", "std", "another")
    ]
    lines = printed(run).splitlines()
    assert sum("glvd" in line for line in lines) == len(names)
    (selfie,) = (line for line in lines if "selfie" in line)
    assert [cell.strip() for cell in selfie.split("│")[1:-1]] == [
        "glvd",
        "selfie",
        "6.06",
        "6.04",
        "6.03",
        "6.07",
        "4/4",
    ]


def test_coverage_is_of_all_samples_where_subsets_overlap():
    run = Summary("a")
    (row,) = run.summary()["rows"]
    subsets = {"all": 5, "pose": 3, "blur": 4}
    run._summary["rows"] = [{**row, "subset": k, "evaluated": n, "expected": n} for k, n in subsets.items()]
    assert "5/5" in printed(run) and "12/12" not in printed(run)
