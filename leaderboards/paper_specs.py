"""What `reported/tables/*.yaml` says: which reported number stands in which cell, and what measures the same here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from harness.errors import DataError
from harness.leaderboards.reported_numbers import FOLDER, ReportedNumber, read_yaml

SELECTORS = ("benchmark", "split", "metric", "region")
Choice = str | list[str]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(_Form):
    """Which number of a run's summary a column's numbers can be compared with.

    Attributes:
        bench, protocol, column: names in the summary.
        condition: of the row, e.g. {"views": 3}.
        versions: of the real data set, any where empty.
        samples: how many the row must be over on the real data set, any number where None.
    """

    bench: str
    protocol: str
    column: str
    condition: dict[str, str | int] = {}
    versions: tuple[str, ...] = ()
    samples: int | None = None


class ColumnSpec(_Form):
    """One column: the numbers it takes, by SELECTORS; its heading, else the region; the heading above; its measure."""

    heading: str = ""
    group: str = ""
    benchmark: Choice = []
    split: Choice = []
    metric: Choice = []
    region: Choice = []
    measured: dict[str, Any] | None = None


class TableSpec(_Form):
    """One table.

    Attributes:
        name, title: in the choice of a group's tables, and above the table.
        from_: source -> its tables whose numbers are taken.
        of: selectors that all columns share.
        measured: the part of `Measure` that all measured columns share.
        hidden: the bench whose owners alone can score this.
        also: addresses of tables shown below.
        best: whether the best value of a column is marked.
        notes: sentences.
        columns: from left to right.
    """

    name: str
    title: str
    from_: dict[str, list[str]] = Field(alias="from")
    of: dict[str, Choice] = {}
    measured: dict[str, Any] = {}
    hidden: str | None = None
    also: tuple[str, ...] = ()
    best: bool = True
    notes: tuple[str, ...] = ()
    columns: tuple[ColumnSpec, ...] = Field(min_length=1)

    def takes(self, column: ColumnSpec, number: ReportedNumber) -> bool:
        """Whether a number belongs in a column; a selector that nobody states takes anything."""
        for name in SELECTORS:
            wanted = getattr(column, name) or self.of.get(name, [])
            if wanted and getattr(number, name) not in ([wanted] if isinstance(wanted, str) else wanted):
                return False
        return True

    def measure(self, column: ColumnSpec) -> Measure | None:
        """What measures a column's numbers here; None where nothing does. Raises ValidationError."""
        return None if column.measured is None else Measure.model_validate({**self.measured, **column.measured})


class GroupSpec(_Form):
    """One file: the tables of a paper or a benchmark by address, and the group's place among the groups."""

    group: str
    position: int
    tables: dict[str, TableSpec]


class _Names(RootModel[dict[str, str]]):
    pass


def read_groups(folder: Path = FOLDER) -> list[GroupSpec]:
    """All groups in their order.

    Raises:
        DataError: a file cannot be read or breaks the form, or two tables have one address.
    """
    files = sorted((folder / "tables").glob("*.yaml"))
    groups = sorted((read_yaml(file, GroupSpec) for file in files), key=lambda group: group.position)
    seen: set[str] = set()
    for group in groups:
        if twice := sorted(seen & group.tables.keys()):
            raise DataError(f"{folder / 'tables'}: {twice} stand in two files; each table needs an address of its own")
        seen |= group.tables.keys()
    return groups


def read_method_names(folder: Path = FOLDER) -> Mapping[str, str]:
    """Method as printed -> its name here. Raises DataError if `methods.yaml` cannot be read."""
    return read_yaml(folder / "methods.yaml", _Names).root
