"""Two runs side by side: the numbers, the verdicts, what is refused, and how it is printed."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from harness import HarnessError, MethodAdapter, Prediction
from harness.benchmark import Benchmark
from harness.cli import main
from harness.compare import compare
from harness.compare_report import as_plain, print_comparison
from harness.method import MethodSpec
from harness.results import Result, read_result
from harness.runner import RunOptions, run
from harness.statistics import detectable_difference
from tests.leaderboards.conftest import in_this_process
from tests.toys import TRIANGLE, ToyDataset, ToyProtocol, tetrahedron

FIELDS = {"aggregation": "sample>subject>set", "scale": "none", "alignment": "landmarks6", "official": False}


class Near(MethodAdapter):
    """Off by little, and by more for the sixth sample."""

    unit = "mm"
    off = 0.1

    def load(self, device):
        pass

    def predict(self, samples):
        numbers = [int(sample.id[1:]) for sample in samples]
        sizes = [n + self.off * (1 + n % 3 / 10) + (n == 5) for n in numbers]
        return [Prediction(tetrahedron(size), TRIANGLE, np.zeros((68, 3))) for size in sizes]


class Far(Near):
    off = 3.0


class NoFace(Far):
    def predict(self, samples):
        return [
            Prediction.failed("no_face") if sample.id == "s0004" else answer
            for sample, answer in zip(samples, super().predict(samples), strict=True)
        ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    bench = Benchmark("toy", ToyDataset(12), (ToyProtocol(),))
    with in_this_process():
        specs = [MethodSpec(name, f"tests.test_compare:{name}") for name in ("Near", "Far", "NoFace")]
        return {spec.name: run(bench, spec, {}, RunOptions(root=root)).path for spec in specs}


def memory_result(name="a", seed=0, values=None, subjects=6, protocol="p", fields=None, unit="mm", **summary) -> Result:
    """A result with one protocol and column, two samples of different conditions a subject."""
    count = 2 * subjects
    values = np.random.default_rng(seed).normal(2, 0.3, count) if values is None else np.asarray(values, dtype=float)
    canonical = json.dumps({"name": protocol, **(FIELDS if fields is None else fields)}, sort_keys=True)
    pid = f"id{abs(hash(canonical)) % 10**6}"
    table = pd.DataFrame(
        {
            "sample": [f"s{i:02d}" for i in range(count)],
            "subject": [f"p{i // 2}" for i in range(count)],
            "views": [1 + i % 2 for i in range(count)],
            "protocol": protocol,
            "protocol_id": pid,
            "column": "face",
            "value": values,
            "fallback": np.nan,
            "failure": None,
        }
    )
    rows = [
        {
            **{"protocol": protocol, "protocol_id": pid, "column": "face", "unit": unit, "views": views},
            **{"value": float(np.mean(values[views - 1 :: 2])), "value_dropping_failures": None},
            **{"evaluated": subjects, "expected": subjects, "std_subjects": None},
        }
        for views in (1, 2)
    ]
    head = {"bench": "toy", "data": "real", "dataset_version": "1", "samples_digest": "s", "meaning": {}, "rows": rows}
    manifest = {"protocols": {protocol: {"id": pid, "canonical": canonical}}, "data_digest": "d"}
    return Result(Path(name), manifest, {**head, "method": name, "identity": name * 16, **summary}, table)


def printed(found) -> str:
    out = io.StringIO()
    print_comparison(found, Console(file=out, width=100))
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def test_differences_are_paired_t_tests_corrected_for_all_of_them():
    first, second = memory_result("a"), memory_result("b", seed=1)
    found = compare(first, second)
    assert found.tests == len(found.numbers) == 2
    raw = []
    for number, views in zip(found.numbers, (1, 2), strict=True):
        mine, theirs = (r.table[r.table["views"] == views]["value"] for r in (first, second))
        expected = stats.ttest_rel(mine, theirs)
        raw.append(expected.pvalue)
        assert number.difference.value == pytest.approx((mine - theirs.to_numpy()).mean())
        assert number.difference.low == pytest.approx(expected.confidence_interval().low)
        deviation = (mine - theirs).std()
        assert number.detectable == pytest.approx(detectable_difference(deviation, 6, 0.05 / 2))
    small, large = sorted(raw)
    assert sorted(n.p_value for n in found.numbers) == pytest.approx([min(2 * small, 1), min(max(2 * small, large), 1)])


def test_the_better_one_wins_in_either_order_and_for_shares_of_what_is_right():
    low, high = memory_result("low"), memory_result("high", values=memory_result().table["value"] + 1)
    for one, other in ((low, high), (high, low)):
        assert {n.verdict for n in compare(one, other).numbers} == {"low is better"}
    for result in (low, high):
        for row in result.rows:
            row["better"] = "larger"
    assert {n.verdict for n in compare(low, high).numbers} == {"high is better"}


def test_what_cannot_be_told_apart_says_so():
    found = compare(memory_result("a"), memory_result("b", seed=1))
    assert {n.verdict for n in found.numbers} == {"not separable"}
    same = compare(memory_result("a"), memory_result("a"))
    assert {(n.verdict, n.detectable, n.p_value) for n in same.numbers} == {("equal throughout", None, 1.0)}
    assert same.names == ("a (1)", "a (2)")


def test_the_command_prints_everything(folders, capsys):
    main(["compare", str(folders["Near"]), str(folders["NoFace"])])
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines() if str(folders["Near"].parent) not in line) <= 100
    flat = words(text)
    assert "MIRROR" in flat and "toy_distance [" in flat and "mm" in flat
    assert "Near is better" in flat and "(5/6)" in flat and "corrected for the 2 difference(s)" in flat
    rows = [line.split() for line in text.splitlines() if line.strip().startswith("s00")]
    assert len(rows) == 10
    assert any(row[0] == "s0004" and "*" in row for row in rows)
    sizes = [abs(float(row[-1])) for row in rows]
    assert sizes == sorted(sizes, reverse=True)


def test_the_samples_that_differ_most_are_those_of_the_tables(folders):
    near, far = (read_result(folders[name]) for name in ("Near", "Far"))
    ((number, samples),) = compare(near, far).largest.values()
    values = [r.table.set_index("sample")["value"] for r in (near, far)]
    expected = (values[0] - values[1]).abs().sort_values(ascending=False)
    assert len(samples) == 10 and number.column == "face"
    assert [abs(sample.difference) for sample in samples] == pytest.approx(expected[:10].tolist())
    assert {s.sample: s.subject for s in samples}["s0002"] == "p1"


def test_a_failed_sample_counts_with_its_fallback(folders):
    found = compare(read_result(folders["Near"]), read_result(folders["NoFace"]))
    (sample,) = (s for _, samples in found.largest.values() for s in samples if s.sample == "s0004")
    assert sample.failed == (False, True) and np.isfinite(sample.values).all()
    assert found.numbers[0].coverage == ((6, 6), (5, 6))
    shown = found.numbers[0].values
    assert found.numbers[0].difference.value == pytest.approx(shown[0] - shown[1])


def test_json_holds_the_same(folders, capsys):
    main(["compare", str(folders["Near"]), str(folders["Far"]), "--json"])
    read = json.loads(capsys.readouterr().out)
    found = compare(read_result(folders["Near"]), read_result(folders["Far"]))
    assert read == json.loads(json.dumps(as_plain(found)))
    assert read["data"] == "mirror" and [n["verdict"] for n in read["numbers"]] == ["Near is better"] * 2
    assert read["numbers"][0]["difference"]["low"] == found.numbers[0].difference.low


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "mirror"}, "kinds of data 'real' .* and 'mirror'"),
        ({"dataset_version": "2"}, "versions of the data '1' .* and '2'"),
        ({"bench": "other"}, "benchmarks 'toy' .* and 'other'"),
    ],
)
def test_other_data_is_refused(change, message):
    with pytest.raises(HarnessError, match=message):
        compare(memory_result("a"), memory_result("b", **change))


def test_other_files_and_samples_are_refused():
    other = memory_result("b", seed=1)
    with pytest.raises(HarnessError, match="files that were read differ"):
        compare(memory_result("a"), replace(other, manifest={**other.manifest, "data_digest": "e"}))
    fewer = replace(other, table=other.table[other.table["sample"] != "s03"])
    with pytest.raises(HarnessError, match="face, 2 views: b: 5 samples, a: 6.* s03 is in a only"):
        compare(memory_result("a"), fewer)


def test_other_protocols_are_told_apart_in_words_and_never_subtracted():
    fields = {**FIELDS, "alignment": "landmarks7+surface", "scale": "least_squares", "iterations": 3}
    found = compare(memory_result("a"), memory_result("b", fields=fields))
    assert not found.numbers and not found.tests
    flat = words(printed(found))
    assert "Other protocols, so nothing is subtracted" in flat
    assert "scale: no change of scale against free scale (least squares)" in flat
    assert "alignment: landmarks6 against NoW's seven landmarks, then" in flat
    assert "iterations: not applicable against 3" in flat
    assert "Only a has protocol p [" in flat and "Only b has protocol p [" in flat


def test_times_are_printed_and_not_tested():
    fields = {**FIELDS, "distance": "time"}
    found = compare(memory_result("a", fields=fields, unit="ms"), memory_result("b", seed=1, fields=fields, unit="ms"))
    assert found.tests == 0 and not found.largest
    flat = words(printed(found))
    assert "times of calls have no samples to pair" in flat and "difference [95 %]" not in flat


def test_numbers_of_one_result_only_are_named():
    first, second = memory_result("a"), memory_result("b", seed=1)
    alone = replace(second, summary={**second.summary, "rows": second.rows[:1]})
    found = compare(first, alone)
    assert found.only == [("a", "p, face, 2 views")] and len(found.numbers) == 1


def test_what_cannot_be_computed_is_no_number():
    one = compare(memory_result("a", subjects=1), memory_result("b", seed=1, subjects=1))
    assert {n.verdict for n in one.numbers} == {"not computed: 1 subject, two at least are needed"}
    lost = memory_result("b", values=[np.nan, *range(11)])
    assert compare(memory_result("a"), lost).numbers[0].verdict.startswith("not computed: a sample has neither")
    first, second = memory_result("a"), memory_result("b", seed=1)
    first, second = (replace(r, table=r.table.assign(column="other")) for r in (first, second))
    assert {n.verdict for n in compare(first, second).numbers} == {"not tested: no value per sample"}


def test_values_that_are_no_means_over_subjects_are_explained():
    fields = {**FIELDS, "aggregation": "points"}
    text = words(printed(compare(memory_result("a", fields=fields), memory_result("b", seed=1, fields=fields))))
    assert "not means over subjects" in text


def test_markup_and_control_characters_are_shown_as_text():
    text = printed(compare(memory_result("[red]a[/red]\x1b[2J"), memory_result("b<script>", seed=1)))
    assert "[red]a[/red]" in text and "b<script>" in text and "\x1b" not in text


def test_damaged_and_foreign_folders_give_a_message(folders, tmp_path, capsys):
    def message(path: Path) -> str:
        with pytest.raises(SystemExit, match="2"):
            main(["compare", str(folders["Near"]), str(path)])
        return words(capsys.readouterr().err)

    assert "expected the folder of a run" in message(tmp_path)
    (tmp_path / "manifest.json").write_bytes((folders["Far"] / "manifest.json").read_bytes())
    assert "the run is not finished" in message(tmp_path)
    summary = json.loads((folders["Far"] / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "scores.parquet").write_text("no table")
    assert "scores.parquet: cannot be read" in message(tmp_path)
    table = pd.read_parquet(folders["Far"] / "scores.parquet")
    table.rename(columns={"column": "region"}).to_parquet(tmp_path / "scores.parquet")
    assert "lacks column; was it written by an older version" in message(tmp_path)
    table.to_parquet(tmp_path / "scores.parquet")
    for rows in ([{"value": 1}], [{**summary["rows"][0], "value": "much"}], "rows"):
        (tmp_path / "summary.json").write_text(json.dumps({**summary, "rows": rows}))
        assert "summary.json: a row or protocol lacks" in message(tmp_path) or "not in this version's form" in message(
            tmp_path
        )
    (tmp_path / "summary.json").write_text(json.dumps([1]))
    assert "lacks" in message(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    assert "manifest.json: holds no fields" in message(tmp_path)


def test_published_entries_are_read_as_runs_are():
    folder = Path(__file__).parent / "publishing" / "historic"
    entry = next(path.parent for path in sorted(folder.rglob("entry.json")) if "h3ds" in str(path))
    found = compare(read_result(entry), read_result(entry))
    assert found.numbers and {number.verdict for number in found.numbers} == {"equal throughout"}
