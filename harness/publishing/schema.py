"""The form of a published entry, version 1. Strict: what is not described here is refused.

`manifest` and `summary` are plain dictionaries as in the run folder, so that all that reads a run reads an entry, but
every key and value of them is checked. A field that a later version adds must be optional, or the version goes up; the
folders of tests/publishing/historic are entries that every later version must read.
"""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from typing_extensions import NotRequired, TypedDict

from harness.errors import HarnessError
from harness.publishing.records import check_agreement, check_rows

SCHEMA = 1
MOST_FILE_BYTES = 64 << 20

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
ProtocolId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Stamp = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
FileName = Literal["scores.parquet", "distances.parquet", "groups.parquet"]


STRICT = ConfigDict(extra="forbid", strict=True)


class Method(TypedDict):
    """Which class, with which options."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    name: Name
    adapter: Name
    options: dict[str, Any]


class Data(TypedDict):
    """What was measured on."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: Literal["real", "mirror"]
    version: Name


class ProtocolRecord(TypedDict):
    """A protocol's canonical JSON and the digest of it."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    id: ProtocolId
    canonical: Text


class Environment(TypedDict):
    """What the run was made with."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    python: Name
    packages: dict[Name, Name | None]
    git: Any
    system: Name
    cpu: Text
    cores: Count
    device: NotRequired[Name]
    accelerator: Name | None
    hardware: NotRequired[Any]


class Isolation(TypedDict):
    """What an isolated method ran in; see `harness.isolation.launchers`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: Literal["venv", "docker"]
    environment: NotRequired[Identity]
    image: NotRequired[Name]
    python: NotRequired[Name]
    packages: NotRequired[dict[Name, Name]]
    limits: dict[Name, Finite | None]


class Manifest(TypedDict):
    """A run's manifest without its samples and without paths; see `harness.runner.describe`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    schema: Literal[1]
    identity: Identity
    code: NotRequired[Identity]
    packages: NotRequired[dict[Name, Name | None]]
    method: Method
    method_digests: dict[Name, Name]
    bench: Name
    data: Data
    data_digest: Identity
    protocols: Annotated[dict[Name, ProtocolRecord], Field(min_length=1)]
    device: Name
    seed: int
    batch_size: Count
    timeout_s: Finite | None
    geometry: NotRequired[Name]
    isolation: NotRequired[Isolation]
    timing: NotRequired[Any]
    together_with: NotRequired[list[Name]]
    paper: Text
    family: NotRequired[Text]
    access: Literal["open", "click-through", "signed-form", "hidden-ground-truth"]
    config: dict[str, Any]
    environment: Environment
    started: Stamp


class Row(TypedDict):
    """One number of a summary; further keys are conditions (`views`, `challenge`, ...), see `check_rows`."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    protocol: Name
    protocol_id: ProtocolId
    column: Name
    unit: Name
    value: Finite | None
    value_dropping_failures: Finite | None
    evaluated: Count
    expected: Count
    std_subjects: Finite | None


class Summary(TypedDict):
    """A run's numbers, each with what it means; see `harness.runner.summarise`."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    identity: Identity
    method: Name
    bench: Name
    data: Literal["real", "mirror"]
    dataset_version: Name
    data_digest: Identity
    samples_digest: Identity
    meaning: dict[ProtocolId, Text]
    rows: list[Row]
    data_label: NotRequired[Text]
    notes: NotRequired[list[Text]]


class FileRecord(TypedDict):
    """One file of the entry."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    sha256: Sha256
    bytes: Annotated[int, Field(gt=0, le=MOST_FILE_BYTES)]


class Entry(BaseModel):
    """One published run.

    Attributes:
        schema_version: called `schema` in the file.
        bundle: SHA-256 of `entry.json` without the digits of this field; through `files` it covers every byte.
        manifest, summary: of the run, plain dictionaries.
        finished: when the run was (UTC).
        published: the day.
        licence: of the numbers.
        note: of whoever published it.
        custom_protocols: ids of protocols that are not the harness's own.
        files: what stands beside `entry.json`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = Field(alias="schema")
    bundle: Sha256
    manifest: Manifest
    summary: Summary
    finished: Stamp
    published: date
    licence: Annotated[Text, Field(min_length=1, max_length=200)]
    note: Annotated[Text, Field(max_length=2000)]
    custom_protocols: tuple[ProtocolId, ...]
    files: dict[FileName, FileRecord]
    _folder: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _agrees(self) -> Entry:
        try:
            check_agreement(self.manifest, self.summary)
            check_rows(self.manifest, self.summary)
        except HarnessError as error:
            raise ValueError(str(error)) from None
        if "scores.parquet" not in self.files:
            raise ValueError("files: lacks scores.parquet")
        return self

    @property
    def folder(self) -> Path:
        """Where it was read from."""
        assert self._folder is not None
        return self._folder

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.manifest["method"]["name"])

    @property
    def identity(self) -> str:
        """The digest of all that may change one of the run's numbers."""
        return str(self.manifest["identity"])

    @property
    def place(self) -> PurePosixPath:
        """Where it belongs below the folder of results."""
        return place_of(self.manifest)


def place_of(manifest: Any) -> PurePosixPath:
    """`<bench>/<split>/<method>-<identity>` of a manifest, `<split>-mirror` for a mirror; safe as file names."""
    bench = manifest["config"].get("bench")
    split = bench.get("split") if isinstance(bench, dict) else None
    split = safe_name(split) if isinstance(split, str) and split else "all"
    kind = "-mirror" if manifest["data"]["kind"] == "mirror" else ""
    folder = f"{safe_name(manifest['method']['name'])}-{manifest['identity'][:8]}"
    return PurePosixPath(safe_name(manifest["bench"]), f"{split}{kind}", folder)


def safe_name(name: str) -> str:
    """Letters, digits and `._+-` of a name, so that it is one part of a path everywhere and no hidden file."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._-")[:60] or "unnamed"


def entry_of(content: bytes, where: str) -> Entry:
    """Reads and checks the text of an `entry.json`.

    Raises:
        HarnessError: it is damaged, of a newer schema, or breaks a rule; names `where` and the first fields at fault.
    """
    try:
        if b"NaN" in content or b"Infinity" in content:
            json.loads(content, parse_constant=_refuse)
        return Entry.model_validate_json(content)
    except HarnessError as error:
        raise HarnessError(f"{where}: {error}") from None
    except ValidationError as error:
        raise HarnessError(f"{where}: {_newer(content) or in_words(error)}") from None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise HarnessError(f"{where}: is not in the form of an entry ({type(error).__name__}: {error})") from None


def _refuse(constant: str) -> None:
    raise HarnessError(f"holds {constant}, expected finite numbers")


def in_words(error: ValidationError) -> str:
    """The first three fields that a ValidationError is about, and what was expected of them."""
    problems = error.errors(include_url=False, include_context=False)
    texts = []
    for problem in problems[:3]:
        place = ".".join(str(part)[:60] for part in problem["loc"])
        found = repr(problem["input"])
        found = "" if len(found) > 60 or problem["type"] == "missing" else f", found {found}"
        texts.append(f"{place + ': ' if place else ''}{problem['msg'].removeprefix('Value error, ')}{found}")
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(texts) + more


def _newer(content: bytes) -> str:
    try:
        found = json.loads(content)["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    newer = isinstance(found, int) and found > SCHEMA
    return f"schema {found} was made by a newer version, this one reads {SCHEMA}: update the harness" if newer else ""
