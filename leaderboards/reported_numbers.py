"""Numbers that others have published, with what is known about them. They are not measurements of this harness.

`reported/<source>.csv` holds one source's numbers as printed, `reported/sources.yaml` what each source is and what the
flags of doubtful numbers mean. A `ReportedNumber` is a type of its own: nothing that takes a measured run, cell or
table takes it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import DataError

FOLDER = Path(__file__).parent / "reported"
DIRECTIONS = ("lower", "higher")
OPTIONAL = ("flags", "note")
WORDS = ("n/a", "baseline")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
BOUND = re.compile(r"<(\d+(?:\.\d+)?)")
Model = TypeVar("Model", bound=BaseModel)


class Source(BaseModel):
    """Where numbers come from.

    Attributes:
        short: name for a table's row.
        title, authors, year: as far as known.
        kind: what it is.
        link: a page, with https.
        state: version, commit or date of what was read.
        notes: what a reader must know about all its numbers.
        not_beside: other source -> why its numbers must not be compared with these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    short: str = Field(min_length=1)
    title: str = Field(min_length=1)
    authors: str = ""
    year: int | None = None
    kind: Literal["paper", "project page", "README", "log", "issue comment", "secondary"]
    link: str | None = Field(default=None, pattern=r"^https://[^\s\"'<>]+$")
    state: str = ""
    notes: tuple[str, ...] = ()
    not_beside: dict[str, str] = {}

    @property
    def when(self) -> str:
        """The year, unless `state` says it already."""
        year = str(self.year or "")
        return "" if year in self.state else year


class SourcesFile(BaseModel):
    """The content of `sources.yaml`: the meaning of every flag, and every source by the name of its CSV file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flags: dict[str, str]
    sources: dict[str, Source]


@dataclass(frozen=True)
class ReportedNumber:
    """One published number.

    Attributes:
        source: key in `Reported.sources`.
        table: where in the source.
        method: as printed.
        benchmark, split, metric, region: what was measured.
        printed: the value as printed; also "<0.010", "n/a" or "baseline".
        unit: of the value.
        direction: whether "lower" or "higher" is better.
        flags: keys in `Reported.flags`: why it is doubtful, or not comparable.
        note: anything else about this number alone.
    """

    source: str
    table: str
    method: str
    benchmark: str
    split: str
    metric: str
    region: str
    printed: str
    unit: str
    direction: str
    flags: tuple[str, ...] = ()
    note: str = ""

    @property
    def amount(self) -> float | None:
        """The printed number; None where a bound or a word is printed."""
        return float(self.printed) if NUMBER.fullmatch(self.printed) else None

    @property
    def bound(self) -> float | None:
        """The printed number, or the one that the value is below; None where a word is printed."""
        below = BOUND.fullmatch(self.printed)
        return float(below[1]) if below else self.amount

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from all other numbers."""
        return (self.source, self.table, self.method, self.benchmark, self.split, self.metric, self.region)


COLUMNS = tuple({"printed": "value"}.get(f.name, f.name) for f in fields(ReportedNumber) if f.name != "source")


@dataclass(frozen=True)
class Reported:
    """All published numbers, in the order in which they are printed, with their sources and the meaning of flags."""

    sources: Mapping[str, Source]
    flags: Mapping[str, str]
    numbers: tuple[ReportedNumber, ...]

    def table(self, source: str, name: str) -> list[ReportedNumber]:
        """The numbers of one table of one source."""
        return [number for number in self.numbers if (number.source, number.table) == (source, name)]


def read_reported(folder: Path = FOLDER) -> Reported:
    """Reads a folder of published numbers.

    Raises:
        DataError: a file is missing, unreadable or breaks the form; names file, line and field, and what was expected.
    """
    path = folder / "sources.yaml"
    about = read_yaml(path, SourcesFile)
    files = {file.stem: file for file in sorted(folder.glob("*.csv"))}
    for name in sorted(files.keys() ^ about.sources.keys()):
        lacks = f"no such source in {path.name}" if name in files else f"there is no {name}.csv beside it"
        raise DataError(f"{files.get(name, path)}: {name}: {lacks}; each source has one file of its name")
    for name, source in about.sources.items():
        if unknown := sorted(source.not_beside.keys() - about.sources.keys()):
            raise DataError(f"{path}: sources.{name}.not_beside: {unknown}, expected names of other sources")
    numbers = tuple(number for name in about.sources for number in read_numbers(files[name], about.flags))
    return Reported(about.sources, about.flags, numbers)


def read_numbers(path: Path, flags: Mapping[str, str]) -> list[ReportedNumber]:
    """Reads one source's CSV file, whose name is the source's. Raises DataError as `read_reported` does."""
    found: list[ReportedNumber] = []
    seen: dict[tuple[str, ...], int] = {}
    for line, cells in _lines(path):
        values = dict(zip(COLUMNS, cells, strict=True))
        _check(path, line, values, flags)
        names = tuple(values.pop("flags").split())
        number = ReportedNumber(path.stem, printed=values.pop("value"), flags=names, **values)
        if number.identity in seen:
            raise DataError(f"{path}: line {line}: the same number stands in line {seen[number.identity]}; keep one")
        seen[number.identity] = line
        found.append(number)
    if not found:
        raise DataError(f"{path}: holds no number")
    return found


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = next(reader, [])
            if tuple(head) != COLUMNS:
                raise DataError(f"{path}: line 1: columns {head}, expected {list(COLUMNS)}")
            for cells in reader:
                if len(cells) != len(COLUMNS):
                    raise DataError(f"{path}: line {reader.line_num}: {len(cells)} fields, expected {len(COLUMNS)}")
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from None


def _check(path: Path, line: int, values: Mapping[str, str], flags: Mapping[str, str]) -> None:
    def refuse(field: str, expected: str) -> DataError:
        return DataError(f"{path}: line {line}, {field}: found {values[field]!r}, expected {expected}")

    for field, text in values.items():
        if text != text.strip() or not text.isprintable():
            raise refuse(field, "one line of text without blanks around it")
        if not text and field not in OPTIONAL:
            raise refuse(field, "a value")
    value = values["value"]
    if not (NUMBER.fullmatch(value) or BOUND.fullmatch(value) or value in WORDS):
        raise refuse("value", f"a number, <number, or one of {', '.join(WORDS)}")
    if values["direction"] not in DIRECTIONS:
        raise refuse("direction", " or ".join(DIRECTIONS))
    names = values["flags"].split()
    if len(set(names)) < len(names) or not set(names) <= flags.keys():
        raise refuse("flags", f"each once, of those in sources.yaml: {', '.join(flags)}")


class _UniqueKeys(yaml.SafeLoader):
    """A key that stands twice is an error, where YAML's own loader takes the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """Reads one YAML file. Raises DataError naming file and field (or line) where it breaks the form of `model`."""
    try:
        # a subclass of SafeLoader: constructs plain values only
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
        return model.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {where}: found {str(first['input'])[:80]!r}: {first['msg']}") from None
