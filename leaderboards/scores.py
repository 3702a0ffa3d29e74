"""Scores per sample as pages need them: read once, by protocol, column and condition, with their spread."""

from __future__ import annotations

from dataclasses import dataclass

import pandas
import streamlit

from harness import run_folder
from harness.errors import HarnessError
from harness.leaderboards.runs import Run, sample_table
from harness.publishing.records import TABLE_FIELDS
from harness.run_folder import in_words
from harness.statistics import filled, subject_interval


def scores_of(run: Run) -> pandas.DataFrame:
    """The run's table per sample, from memory where its file is unchanged. Raises HarnessError if it is damaged."""
    return _read(stamp(run), run)


@streamlit.cache_data(max_entries=64, show_spinner=False)
def _read(stamp: str, _run: Run) -> pandas.DataFrame:
    del stamp
    return checked(sample_table(_run), _run)


def checked(table: pandas.DataFrame, run: Run) -> pandas.DataFrame:
    """The table, if its columns hold what they should.

    Raises:
        HarnessError: a column is of another kind, or a sample is not of the run or no name of a file.
    """
    path = run.folder.path / "scores.parquet"
    coded = [name for name in table.columns if isinstance(table[name].dtype, pandas.CategoricalDtype)]
    table = table.astype(dict.fromkeys(coded, object))
    for name in table.columns:
        if name in ("value", "fallback"):
            fits = pandas.api.types.is_numeric_dtype(table[name]) or bool(table[name].isna().all())
        else:
            kinds = (str, float) if name in TABLE_FIELDS else (str, float, int)
            fits = all(entry is None or isinstance(entry, kinds) for entry in table[name].tolist())
        if not fits:
            raise HarnessError(f"{path}: column {name} is not of the kind that a run writes; run again")
    names = table["sample"].unique()
    listed = set(run.manifest["samples"]) if run.local else set(names)
    foreign = [name for name in names if name not in listed or "/" in str(name) or "\\" in str(name)]
    if foreign:
        raise HarnessError(f"{path}: has sample {str(foreign[0])!r}, which the manifest does not list; run again")
    return table


def stamp(run: Run) -> str:
    """Tells apart what has been read from one state of a run's table. Raises HarnessError if there is none."""
    path = run.folder.path / "scores.parquet"
    try:
        return f"{path} {path.stat().st_mtime_ns}"
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read ({error.strerror}); run again") from None


def columns_of(table: pandas.DataFrame, protocol_id: str) -> list[str]:
    """Names of a protocol's scores, in its order; none if the table has no row of it."""
    return [str(name) for name in dict.fromkeys(table.loc[table["protocol_id"] == protocol_id, "column"])]


def unit_of(run: Run, protocol_id: str, column: str) -> str:
    """The unit of one column's scores."""
    units = {str(row["column"]): str(row["unit"]) for row in run.rows if row["protocol_id"] == protocol_id}
    return units.get(column, str(run.protocol(protocol_id)["unit"]))


def larger_is_better(run: Run, protocol_id: str, column: str) -> bool:
    """Which of two scores of a column is the better one, as the run's summary says: the smaller one unless stated."""
    rows = [row for row in run.rows if (row["protocol_id"], row["column"]) == (protocol_id, column)]
    return any(run_folder.larger_is_better(row) for row in rows)


def conditions_of(table: pandas.DataFrame) -> list[str]:
    """Names of what tells groups of samples apart (challenge, views, yaw, ...), where there are several groups."""
    names = [str(name) for name in table.columns if name not in {*TABLE_FIELDS, "counted"}]
    return [name for name in names if table[name].nunique() > 1]


def group_of(rows: pandas.DataFrame) -> pandas.Series:
    """Each sample's condition in words, e.g. "3 views"; empty where the benchmark has only one."""
    names = conditions_of(rows)
    if not names:
        return pandas.Series("", index=rows.index, dtype=str)
    plain = rows[names].astype(object)
    return plain.apply(lambda row: in_words({name: row[name] for name in names}), axis=1)


def column_rows(table: pandas.DataFrame, protocol_id: str, column: str) -> pandas.DataFrame:
    """One row per sample, with `counted`: its score, or where it failed the fall-back's."""
    return filled(table[table["protocol_id"] == protocol_id], column)


@dataclass(frozen=True)
class Spread:
    """The mean over subjects of their samples' means.

    Attributes:
        value: None where a failed sample has nothing in its place.
        low, high: 95 % confidence, by resampling subjects; None with fewer than two.
        samples, failed, subjects: how many there are, and failed samples counted at the fall-back's score.
    """

    value: float | None
    low: float | None
    high: float | None
    samples: int
    failed: int
    subjects: int

    def in_words(self, unit: str) -> str:
        """The value with its interval and what it is of."""
        if self.value is None:
            return f"not computed: some of {self.failed} failed samples have no score in their place"
        interval = (
            "no interval with one subject"
            if self.low is None or self.high is None
            else f"95 % interval {self.low:.2f} to {self.high:.2f}"
        )
        failures = f", {self.failed} of them failed and counted as the mean face" if self.failed else ""
        return (
            f"{self.value:.2f} {unit}, {interval}; {counted(self.subjects, 'subject')}, "
            f"{counted(self.samples, 'sample')}{failures}"
        )


def counted(number: int, what: str) -> str:
    """A number of things in words: 1 sample, 2 samples."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def spread(rows: pandas.DataFrame) -> Spread:
    """Mean and interval of rows as `column_rows` gives them; there must be at least one."""
    samples, failed = len(rows), int(rows["failure"].notna().sum())
    subjects = int(rows["subject"].nunique())
    if rows["counted"].isna().any():
        return Spread(None, None, None, samples, failed, subjects)
    if subjects < 2:
        return Spread(float(rows["counted"].mean()), None, None, samples, failed, subjects)
    interval = subject_interval(rows["counted"], rows["subject"])
    return Spread(interval.value, interval.low, interval.high, samples, failed, subjects)


@streamlit.cache_data(max_entries=4096, show_spinner=False)
def spread_of(stamp: str, protocol_id: str, column: str, group: str, _rows: pandas.DataFrame) -> Spread:
    """`spread` of one group of a run's rows, from memory where it has been computed."""
    del stamp, protocol_id, column, group
    return spread(_rows)


def spreads(
    run: Run, table: pandas.DataFrame, protocol_id: str, column: str, by: str | None
) -> list[tuple[object, Spread]]:
    """Mean and interval of a run for each value of the condition `by`, in order; for all samples without it."""
    rows = column_rows(table, protocol_id, column)
    if by is None:
        return [("", spread_of(stamp(run), protocol_id, column, "", rows))]
    groups = rows.groupby(by, sort=True)
    return [(value, spread_of(stamp(run), protocol_id, column, f"{by} {value}", part)) for value, part in groups]
