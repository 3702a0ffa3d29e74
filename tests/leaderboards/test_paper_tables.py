"""Papers' tables: every number in its cell, and what the tables themselves must satisfy."""

import csv
import io

import pytest

from harness import HarnessError
from harness.leaderboards.exports import to_csv
from harness.leaderboards.paper_sheet import paper_sheet
from harness.leaderboards.paper_specs import TableSpec, read_groups, read_method_names
from harness.leaderboards.paper_tables import build, read_paper_tables
from harness.leaderboards.reported_numbers import read_reported

REPORTED = read_reported()
TABLES = read_paper_tables(REPORTED)
NUMBERS = {number.identity: number for number in REPORTED.numbers}


def amounts(key, by="title"):
    """Method -> column -> the printed number, of one table."""
    table = TABLES[key]
    return {
        row.label: {
            getattr(column, by): cell.amount for column, cell in zip(table.columns, row.cells, strict=True) if cell
        }
        for row in table.rows
    }


def half_digit(cells):
    """Half of the last digit that a row's numbers really have: some rows print a zero behind one decimal."""
    decimals = [cell.printed.partition(".")[2] for cell in cells]
    return 0.5 * 10 ** -max(len(d.rstrip("0")) for d in decimals)


def cells_of(key):
    table = TABLES[key]
    return {(row.label, c.title): n for row in table.rows for c, n in zip(table.columns, row.cells, strict=True) if n}


def test_every_number_stands_in_a_table():
    shown = {cell.identity for table in TABLES.values() for row in table.rows for cell in row.cells if cell}
    assert shown == NUMBERS.keys()


def test_seeds_tables_and_lists_are_there():
    papers = {f"kaolrm-{n}" for n in (1, 2, 3)} | {f"paco-fr-{n}" for n in range(1, 9)}
    lists = {"glvd-time", "glvd-plot", "now-validation", "now-validation-metrical", "now-test", "h3ds-v1", "h3ds-v2"}
    assert papers | lists <= TABLES.keys()


@pytest.mark.parametrize(
    ("key", "methods", "first", "last"),
    [
        ("kaolrm-1", ["DECA", "EMOCA", "SMIRK", "MICA", "KaoLRM (Ours)"], "3.17", "1.10"),
        ("paco-fr-7", None, "92.12", "0.990"),
        ("h3ds-v2", ["SIRA++"], "1.56", "4.71"),
        ("glvd-time", None, None, "0.25"),
    ],
)
def test_rows_and_columns_are_in_printed_order(key, methods, first, last):
    table = TABLES[key]
    if methods:
        assert [row.method for row in table.rows] == methods
    corners = table.rows[0].cells[0], table.rows[-1].cells[-1]
    assert [cell and cell.printed for cell in corners] == [first, last]


def test_validation_and_test_metrical_and_free_versions_and_data_never_share_a_table():
    for key in (key for key in TABLES if key.startswith(("now", "h3ds"))):
        kinds = {(cell.benchmark, cell.split if key.startswith("now") else "") for cell in cells_of(key).values()}
        assert len(kinds) == 1, key


# what the tables must satisfy (section 9 of the collection's notes, and what follows from the definitions) ---------


@pytest.mark.parametrize(("key", "classes"), [("paco-fr-1", 10), ("paco-fr-2", 18)])
def test_class_means_follow_from_their_columns(key, classes):
    table = TABLES[key]
    assert len(table.columns) == classes + 2
    checked = 0
    for row in table.rows:
        parts, mean = row.cells[:classes], row.cells[classes]
        if mean is None:
            assert row.method == "(label lost)"
            continue
        rounding = 2 * half_digit(parts)  # of the mean, and of what it is made of
        assert mean.amount == pytest.approx(sum(part.amount for part in parts) / classes, abs=rounding + 1e-9)
        checked += 1
    assert checked == (12 if classes == 10 else 11)


@pytest.mark.parametrize("key", ["paco-fr-1", "paco-fr-2"])
def test_gains_are_differences_of_the_means(key):
    values = amounts(key)
    base = values["AGRNet"]["Mean [%]"]
    for method, row in values.items():
        gain = row.get("Gain over AGRNet [points]")
        if gain is not None:
            assert gain == pytest.approx(row["Mean [%]"] - base, abs=0.005 + 1e-9), method
    assert cells_of(key)["AGRNet", "Gain over AGRNet [points]"].printed == "baseline"


def test_full_of_300w_is_the_weighted_mean_where_it_is_not_flagged():
    wrong = set()
    for row in TABLES["paco-fr-3"].rows:
        common, challenge, full = (cell.amount for cell in row.cells)
        off = abs((554 * common + 135 * challenge) / 689 - full)
        if off > 0.01 + 1e-9:  # half a digit of what is printed, and half of what it is made of
            wrong.add(row.method)
        assert ("full-not-weighted" in row.cells[2].flags) == (off > 0.01 + 1e-9), row.method
    assert wrong == {"LAB (w/ B)", "MCF 2M (ft)", "PaCo-FR 2M (ft)"}


def test_table_6_repeats_the_others_but_for_the_flagged_number():
    six = cells_of("paco-fr-6")
    others = {
        "LaPa F1 mean [%]": ("paco-fr-1", "Mean [%]"),
        "CelebAMask-HQ F1 mean [%]": ("paco-fr-2", "Mean [%]"),
        "300W Full NME inter-ocular [%]": ("paco-fr-3", "NME inter-ocular Full [%]"),
        "AFLW-19 Full NME diag [%]": ("paco-fr-4", "NME diag Full [%]"),
        "WFLW Full NME inter-ocular [%]": ("paco-fr-5", "NME inter-ocular Full [%]"),
    }
    for how in ("frozen", "ft"):
        for title, (key, there) in others.items():
            mine = six[f"PaCo-FR 2M ({how}, 224)", title]
            theirs = cells_of(key)[f"PaCo-FR 2M ({how})", there]
            contradicts = "table-2-against-6" in mine.flags
            assert contradicts == ("table-2-against-6" in theirs.flags)
            assert (mine.amount == theirs.amount) != contradicts
    flagged = [number for number in six.values() if "table-2-against-6" in number.flags]
    assert [number.printed for number in flagged] == ["87.33"]


def test_variances_of_ten_coefficients_are_below_those_of_all_where_not_flagged():
    for row in TABLES["kaolrm-1"].rows:
        for few, many in ((3, 4), (5, 6)):
            one, both = row.cells[few], row.cells[many]
            if one.amount is not None:
                assert (one.amount > both.amount) == ("impossible-variance" in one.flags), row.method


def test_corrected_pairs_have_the_median_below_the_mean_and_the_printed_ones_are_the_same_numbers():
    corrected, printed = TABLES["kaolrm-2"], TABLES["kaolrm-2-printed"]
    for ours, theirs in zip(corrected.rows, printed.rows, strict=True):
        assert [cell.printed for cell in ours.cells] == [cell.printed for cell in theirs.cells]
        for median, mean in zip(ours.cells[::2], ours.cells[1::2], strict=True):
            assert median.amount < mean.amount
    assert corrected.columns[0].heading == "median" != printed.columns[0].heading
    assert corrected.also == (printed.key,)


def test_ablation_repeats_table_1():
    one, three = amounts("kaolrm-1")["KaoLRM (Ours)"], amounts("kaolrm-3")["KaoLRM Full"]
    assert three.items() <= one.items()


def test_official_run_prints_as_paco_frs_mica_and_kaolrms_baseline_does_not():
    official = amounts("now-validation")["MICA"]
    eight = amounts("paco-fr-8")["MICA"]
    for s in ("median", "mean", "std"):
        assert abs(official[f"Overall {s} [mm]"] - eight[f"non-metrical {s} [mm]"]) <= 0.005 + 1e-9
    kaolrm = amounts("kaolrm-2")["MICA"]
    for s in ("median", "mean"):
        assert 0.03 < kaolrm[f"Overall {s} [mm]"] / official[f"Overall {s} [mm]"] - 1 < 0.07


def test_realy_over_all_regions_is_the_mean_of_the_four_where_not_flagged():
    flagged = set()
    for key in ("realy-frontal", "realy-side"):
        for row in TABLES[key].rows:
            off = abs(sum(row.cells[c].amount for c in (0, 3, 6, 9)) / 4 - row.cells[-1].amount)
            if "not-the-mean" in row.cells[-1].flags:
                flagged.add((key, row.method))
            assert (off > 0.001 + 1e-9) == ("not-the-mean" in row.cells[-1].flags), (key, row.method)
    assert flagged == {("realy-frontal", "DECA-c")}


def test_medians_far_above_the_mean_are_flagged():
    for key in ("realy-frontal", "realy-side"):
        for row in TABLES[key].rows:
            for c in (0, 3, 6, 9):
                mean, median = row.cells[c : c + 2]
                assert (median.amount - mean.amount > 0.5) == ("likely-typo" in median.flags)


def test_sira_in_the_plot_is_the_face_row_of_h3ds_v2():
    plot, readme = amounts("glvd-plot")["SIRA++"], amounts("h3ds-v2")["SIRA++"]
    for views in ("1 view", "3 views", "6 views"):
        assert plot[f"Error, face {views} [mm]"] == pytest.approx(readme[f"{views} face [mm]"], abs=0.0101)


def test_farl_log_has_the_published_means():
    for key, table_key, classes in (("farl-lapa", "LaPa", 10), ("farl-celebamask-hq", "CelebAMask-HQ", 18)):
        values = [cell.amount for cell in TABLES[key].rows[0].cells[1:]]
        assert len(values) == classes
        printed = amounts("farl")["FaRL-B ep16 448 ft (paper)"][f"{table_key} F1 mean [%]"]
        assert sum(values) / classes == pytest.approx(printed, abs=0.0101)


# marks ---------------------------------------------------------------------------------------------------------------


def best(key):
    table = TABLES[key]
    return {(table.rows[r].method, table.columns[c].title) for r, c in table.best}


def test_best_is_the_extreme_of_its_direction_and_bounds_count():
    assert ("MICA", "Chamfer distance mean [1e-2 (normalised units)]") in best("kaolrm-1")
    assert ("PaCo-FR 2M (ft)", "Mean [%]") in best("paco-fr-1")
    assert ("3DDFA-V3", "1 view [s]") in best("glvd-time"), "below 0.010 s is faster than 0.2 s"
    assert not best("now-validation"), "rows of several sources"
    assert not best("kaolrm-2-printed")


def test_flags_say_where_they_apply():
    assert TABLES["kaolrm-2-printed"].flagged("header-swapped") == "all rows"
    assert TABLES["kaolrm-2"].flagged("baselines-high") == "DECA, EMOCA, MICA"
    found = TABLES["kaolrm-1"].flagged("impossible-variance")
    assert found.startswith("SMIRK (Shape variance first 10 [FLAME coeff^2], Shape variance all")
    assert TABLES["paco-fr-3"].flagged("full-not-weighted").count("(NME inter-ocular Full [%])") == 3
    assert list(TABLES["glvd-plot"].letters.values()) == ["a", "b", "c"], "what holds for all rows has no letter"


def test_sheet_holds_the_printed_cells_and_its_csv_reads_back():
    for table in TABLES.values():
        sheet = paper_sheet(table)
        shift = len(sheet.columns) - len(table.columns)
        read = list(csv.reader(io.StringIO(to_csv(sheet))))
        kept = [k for k, heading in enumerate(read[0]) if not heading.endswith(" mark")]
        assert tuple(read[0][k] for k in kept) == sheet.columns
        for line, row in zip(read[1:], table.rows, strict=True):
            assert [line[k] for k in kept[shift:]] == [cell.printed if cell else "" for cell in row.cells]
        assert {(r, c - shift) for r, c in sheet.best} == table.best
        assert "not measured here" in sheet.notes[0]


# what is refused -----------------------------------------------------------------------------------------------------


def spec(**changes):
    plain = {"name": "T", "title": "T", "from": {"kaolrm": ["Table 3"]}}
    return TableSpec.model_validate({**plain, "columns": [{"metric": "Chamfer distance std"}], **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"from": {"kaolrm": ["Table 9"]}}, "kaolrm has no table 'Table 9'"),
        ({"from": {"nobody": ["Table 1"]}}, "nobody has no table"),
        ({"columns": [{"metric": "Chamfer distance"}]}, "no number, expected"),
        ({"columns": [{"region": ["face crop", "full"]}]}, "units"),
        ({"columns": [{"region": "full"}]}, "two numbers; narrow the column"),
        ({"from": {"kaolrm": ["Table 2 corrected"], "now_official_run": ["text"]}}, "must not stand beside"),
        ({"columns": [{"metric": "Chamfer distance std", "measured": {"bench": "now"}}]}, "measured"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(changes, words):
    with pytest.raises(HarnessError, match=words):
        build("t", "g", spec(**changes), REPORTED)


def test_sources_that_must_not_be_compared_are_in_no_common_table():
    for table in TABLES.values():
        for name, source in table.sources.items():
            assert not source.not_beside.keys() & table.sources.keys() - {name}


def test_addresses_are_unique(tmp_path):
    (tmp_path / "tables").mkdir()
    text = "group: {g}\nposition: 1\ntables:\n  a: {{name: N, title: T, from: {{}}, columns: [{{region: r}}]}}\n"
    for name in "gh":
        (tmp_path / "tables" / f"{name}.yaml").write_text(text.format(g=name))
    with pytest.raises(HarnessError, match="stand in two files"):
        read_groups(tmp_path)


def test_printed_names_are_those_of_the_tables():
    printed = {number.method for number in REPORTED.numbers}
    assert read_method_names().keys() <= printed
