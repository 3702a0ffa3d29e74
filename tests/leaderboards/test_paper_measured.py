"""What stands beside a reported number: real data alone, the same measure, one protocol id; a mirror's apart."""

from dataclasses import replace

import pytest

from harness import HarnessError
from harness.catalogue import CONFIGS
from harness.data_commands import datasets
from harness.leaderboards.paper_html import mirror_html, notes_html, source_html, table_html
from harness.leaderboards.paper_measured import access_of, measured_columns, why_not_measured
from harness.leaderboards.paper_sheet import paper_sheet
from harness.leaderboards.paper_specs import read_method_names
from harness.leaderboards.paper_tables import PaperRow, read_paper_tables
from harness.leaderboards.reported_numbers import Source, read_reported
from tests.leaderboards.balls import memory_run

TABLES = read_paper_tables(read_reported())
NAMES = read_method_names()
KAOLRM = TABLES["kaolrm-2"]
SAMPLES = {"neutral": 108, "expressions": 114, "occlusions": 86, "selfie": 44, "all": 352}


def now_run(method="deca", value=1.2, kind="real", options=None, expected=SAMPLES, **changes):
    """A run over NoW's validation split, with `value` as the median and half more as the mean of each challenge."""
    run = memory_run(method, value, "now", kind, protocol="now", **changes)
    run.manifest["method"]["options"] = {"size": "paper"} if options is None else options
    numbers = {"median": value, "mean": 1.5 * value}
    first = {key: entry for key, entry in run.rows[0].items() if key != "views"}
    run.summary["rows"] = [
        {**first, "column": column, "value": number, "challenge": name, "expected": count, "evaluated": count}
        for name, count in expected.items()
        for column, number in numbers.items()
    ]
    return run


def values(found):
    return {KAOLRM.columns[c].title: {m: n.row["value"] for m, n in column.items()} for c, column in found.items()}


def test_each_column_takes_its_own_statistic_and_challenge():
    run = now_run()
    for n, row in enumerate(run.rows):
        row["value"] = float(n)
    found = values(measured_columns(KAOLRM, [run], NAMES, "real"))
    wanted = {f"{challenge} {s} [mm]" for challenge in ("Neutral", "Expressions", "Occlusions", "Selfie", "Overall")
              for s in ("median", "mean")}  # fmt: skip
    assert found.keys() == wanted
    for row in run.rows:
        heading = {"all": "Overall"}.get(row["challenge"], row["challenge"].capitalize())
        assert found[f"{heading} {row['column']} [mm]"] == {"deca": row["value"]}


def test_real_and_mirror_are_never_in_one_answer():
    runs = [now_run(kind="real"), now_run("mica", 1.0, kind="mirror")]
    assert [set(column) for column in measured_columns(KAOLRM, runs, NAMES, "real").values()] == [{"deca"}] * 10
    assert [set(column) for column in measured_columns(KAOLRM, runs, NAMES, "mirror").values()] == [{"mica"}] * 10


def test_a_mirror_beside_a_reported_number_is_refused():
    found = measured_columns(KAOLRM, [now_run(kind="mirror")], NAMES, "mirror")
    with pytest.raises(HarnessError, match="only real data may stand beside a reported number"):
        table_html(KAOLRM, found, NAMES, [])
    with pytest.raises(HarnessError, match="only real data"):
        paper_sheet(KAOLRM, found, NAMES)


@pytest.mark.parametrize(
    "run",
    [
        now_run("lvd"),
        now_run(expected={**dict.fromkeys(SAMPLES, 3)}),
        now_run(options={"random_weights": True}),
        replace(now_run(), summary={**now_run().summary, "bench": "now_too"}),
    ],
    ids=["not in the table", "a part of the split", "random weights", "another bench"],
)
def test_what_is_not_the_same_is_not_shown(run):
    assert not measured_columns(KAOLRM, [run], NAMES, "real")


def test_another_version_of_the_data_is_not_shown():
    measure = TABLES["h3ds-v1"].columns[0].measure
    assert (measure.versions, measure.samples) == (("0.2",), 23)
    assert TABLES["h3ds-v2"].columns[0].measure.versions == ("0.4",)


def test_one_column_has_one_protocol_id_and_one_data_set():
    old = now_run("mica", 1.0, date="2026-01-01", reflection=False)
    new = now_run("deca", 2.0, date="2026-01-02", reflection=True)
    found = measured_columns(KAOLRM, [old, new], NAMES, "real")
    assert all(column.keys() == {"deca"} for column in found.values())
    same = now_run("mica", 1.0, date="2026-01-01", reflection=True)
    assert all(c.keys() == {"deca", "mica"} for c in measured_columns(KAOLRM, [same, new], NAMES, "real").values())


def test_the_published_size_goes_before_a_newer_mini_one():
    paper = now_run(value=1.0, date="2026-01-01")
    mini = now_run(value=3.0, date="2026-01-02", options={"size": "mini"})
    found = measured_columns(KAOLRM, [mini, paper], NAMES, "real")
    assert {m.row["value"] for m in (column["deca"] for column in found.values())} == {1.0, 1.5}


def test_table_has_reported_and_measured_cells_of_their_own():
    found = measured_columns(KAOLRM, [now_run(value=1.234)], NAMES, "real")
    page = table_html(KAOLRM, found, NAMES, [])
    assert page.count('class="number reported"') == 60
    assert page.count(">1.23</a>") == 5
    assert page.count(">1.85</a>") == 5
    assert ">REPORTED<" in page
    assert page.count(">REAL<") == 10
    assert page.count("not run") == 30, "EMOCA, SMIRK and MICA"
    assert page.count("not a method of this harness") == 20
    sheet = paper_sheet(KAOLRM, found, NAMES)
    assert sum("measured, REAL, now" in heading for heading in sheet.columns) == 10
    deca = next(row for row in sheet.rows if row[0] == "DECA")
    assert deca[1:5] == ("1.20", "1.23", "1.52", "1.85")
    bold = [sheet.columns[c] for _, c in sheet.best]
    assert bold
    assert not any("measured" in heading for heading in bold)


def test_mirror_has_its_own_table_under_its_banner():
    found = measured_columns(KAOLRM, [now_run("mica", kind="mirror")], NAMES, "mirror")
    page = mirror_html(KAOLRM, found)
    assert page.index("not comparable with published numbers") < page.index("<table")
    assert ">mica<" in page
    assert "reported" not in page
    assert mirror_html(KAOLRM, {}) == ""


def test_what_is_not_measured_says_what_it_needs_and_where_to_ask():
    (now,) = why_not_measured(KAOLRM, {}, [])
    assert "needs a registration" in now
    assert "https://now.is.tue.mpg.de" in now
    assert now in table_html(KAOLRM, {}, NAMES, [now])
    (h3ds,) = why_not_measured(TABLES["h3ds-v2"], {}, [])
    assert "needs a signed form (https://github.com/CrisalixSA/h3ds)" in h3ds
    (test,) = why_not_measured(TABLES["now-test"], {}, [])
    assert "ground truth is hidden" in test
    (parsing,) = why_not_measured(TABLES["paco-fr-1"], {}, [])
    assert "Nothing" in parsing
    h3ds, timing = why_not_measured(TABLES["glvd-plot"], {}, [])
    assert "mirror only" in timing
    (there,) = why_not_measured(KAOLRM, {}, [now_run("lvd")])
    assert "none of these methods" in there


@pytest.mark.parametrize("key", TABLES)
def test_every_table_draws_all_its_numbers(key):
    table = TABLES[key]
    page = table_html(table, {}, NAMES, why_not_measured(table, {}, [])) + notes_html(table)
    assert page.count('class="number reported"') == sum(cell is not None for row in table.rows for cell in row.cells)
    assert page.count("<tr>") == len(table.rows) + (2 if any(column.group for column in table.columns) else 1)
    assert all(words.partition("'")[0] in page for words in table.flag_words.values())


def test_access_is_that_of_the_readers():
    readers = datasets()
    for bench in (file.stem for file in (CONFIGS / "bench").glob("*.yaml")):
        access, ask_at = access_of(bench)
        if access is not None:
            assert (access, ask_at) in {(reader.access, reader.ask_at) for reader in readers.values()}
            assert (access, ask_at) == (readers[bench].access, readers[bench].ask_at)


def test_measures_name_benches_that_are_configured():
    benches = {file.stem for file in (CONFIGS / "bench").glob("*.yaml")}
    measures = [column.measure for table in TABLES.values() for column in table.columns if column.measure]
    assert {measure.bench for measure in measures} <= benches
    assert {table.hidden for table in TABLES.values()} <= benches | {None}
    methods = {file.stem for file in (CONFIGS / "method").glob("*.yaml")}
    assert set(NAMES.values()) <= methods


def test_names_and_notes_cannot_inject_html():
    evil = "<script>alert(1)</script>"
    cell = replace(KAOLRM.rows[0].cells[0], note=evil, printed=evil)
    row = PaperRow(evil, KAOLRM.rows[0].source, evil, (cell, *KAOLRM.rows[0].cells[1:]))
    column = replace(KAOLRM.columns[0], group=evil, heading=evil, unit=evil)
    words = dict.fromkeys(KAOLRM.flag_words, evil)
    table = replace(KAOLRM, rows=(row,), columns=(column, *KAOLRM.columns[1:]), notes=(evil,), flag_words=words)
    source = Source(short=evil, title=evil, kind="paper", notes=(evil,), not_beside={"a": evil}, authors=evil)
    run = now_run(kind="mirror", options={"size": evil})
    found = measured_columns(KAOLRM, [run], NAMES, "mirror")
    found[0]["deca"].run.summary["dataset_version"] = evil
    pages = [
        table_html(table, {}, {}, [evil]),
        notes_html(table),
        source_html(source, {"a": source}),
        mirror_html(table, found),
    ]
    for page in pages:
        assert "<script" not in page
        assert "&lt;script" in page
