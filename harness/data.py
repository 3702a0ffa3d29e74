"""Where a data set's files are: the user's real copy, or the mirror in the cache."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from harness.benchmark import DataKind, Dataset
from harness.errors import DataError, HarnessError
from harness.files import digest_files, read_json, write_json

log = logging.getLogger(__name__)
MANIFEST = "mirror.json"
NAMED = 5  # missing files that a message lists
MIRROR = "mirror"


def cache_folder() -> Path:
    """`$HARNESS_CACHE`, else `face-recon-harness` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("HARNESS_CACHE") or Path(base) / "face-recon-harness")


@dataclass(frozen=True)
class Location:
    """A folder in a data set's official layout, and what stands in it.

    Attributes:
        folder: to read.
        kind: real or mirror.
        mirror_version: of a mirror; it ends in the name of its head model unless that is the usual one.
    """

    folder: Path
    kind: DataKind
    mirror_version: str = ""


def locate(dataset: type[Dataset], data: str, data_root: str | Path) -> Location:
    """Finds the folder to read, writing the mirror first where it is called for.

    Args:
        dataset: whose files.
        data: "real" (never falls back), "mirror" (always), "auto" (real where it is there, and says which);
            "mirror-ict" is a mirror of another head model, where the data set has one.
        data_root: folder with one sub-folder per data set; a mirror that was copied there is not real data.

    Raises:
        DataError: `data` is "real" and there is nothing there.
        HarnessError: another word for `data`.
    """
    mirrors = {MIRROR if head == dataset.mirror_heads[0] else f"{MIRROR}-{head}": head for head in dataset.mirror_heads}
    if data not in ("auto", "real", *mirrors):
        others = ", ".join(word for word in mirrors if word != MIRROR)
        raise HarnessError(f"data={data}: expected auto, real or mirror" + (f" (or {others})" if others else ""))
    folder = Path(data_root).expanduser().resolve() / dataset.name
    there = folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).exists()
    if data == "real" and not there:
        raise DataError(
            f"{folder}: no real {dataset.name} data here. Access is {dataset.access.value} ({dataset.ask_at}); "
            f"put it there or set data_root. data=mirror uses the open synthetic stand-in"
        )
    if there and data not in mirrors:
        return Location(folder, DataKind.REAL)
    if data == "auto":
        log.warning("No real %s data in %s: using its MIRROR. Results are synthetic.", dataset.name, folder)
    head = mirrors.get(data)
    return Location(ensure_mirror(dataset, head), DataKind.MIRROR, mirror_version(dataset, head))


def where_to_get(dataset: Dataset) -> str:
    """What to do where files are missing, in a sentence."""
    return f"Get it at {dataset.ask_at} ({dataset.access.value}), or use data=mirror"


def check_complete(dataset: Dataset, remedy: str = "") -> None:
    """Raises DataError that names the first of the data set's files that are not there.

    Args:
        dataset: has its folder, and lists its files.
        remedy: where they come from; `where_to_get` unless given.
    """
    missing = [path for path in dataset.files() if not path.is_file()]
    if missing:
        first = ", ".join(path.relative_to(dataset.folder).as_posix() for path in missing[:NAMED])
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        message = f"{dataset.folder}: the data set is incomplete: {first}{more} missing"
        raise DataError(f"{message}. {remedy or where_to_get(dataset)}")


def mirror_version(dataset: type[Dataset], head: str | None = None) -> str:
    """The version of a data set's mirror; of another head model's, that one's name is part of it."""
    return versioned(dataset.mirror_version, dataset.mirror_heads[0] if head is None else head, dataset.mirror_heads[0])


def versioned(version: str, head: str, usual: str = "procedural") -> str:
    """A mirror's version with the name of its head model, unless that is the usual one."""
    return version if head == usual else f"{version}-{head}"


def mirror_folder(dataset: type[Dataset], head: str | None = None) -> Path:
    """Where the mirror is, or would be."""
    return cache_folder() / "mirrors" / f"{dataset.name}-{mirror_version(dataset, head)}"


def ensure_mirror(dataset: type[Dataset], head: str | None = None) -> Path:
    """Returns the mirror's folder; writes it first if it is not there (once, also with several processes)."""
    folder = mirror_folder(dataset, head)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not mirror_is_intact(dataset, head):
                if folder.exists():
                    log.warning("%s: differs from what was written; writing it again", folder)
                _write_mirror(dataset, folder, head)
    except OSError as error:
        raise HarnessError(
            f"{folder}: the mirror could not be written ({error.strerror or error}). Make room, or set HARNESS_CACHE "
            "to a folder that can be written"
        ) from error
    return folder


def _write_mirror(dataset: type[Dataset], folder: Path, head: str | None) -> None:
    write: Callable[..., None] = dataset.write_mirror
    if head is not None and head != dataset.mirror_heads[0]:
        from harness.heads.build import build_head  # imports torch, and this module

        build_head(head)  # says what to do where its file is missing, before anything is written
        write = partial(write, head=head)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.mkdir()
    with tqdm(total=100, desc=f"Writing the {dataset.name} mirror (once)", unit="%") as bar:

        def progress(share: float) -> None:
            bar.update(round(100 * share) - bar.n)

        write(unfinished, progress)
    write_json(unfinished / MANIFEST, {"version": mirror_version(dataset, head), "digest": _digest(unfinished)})
    unfinished.rename(folder)


def mirror_is_intact(dataset: type[Dataset], head: str | None = None) -> bool:
    """Whether the mirror is there and its content has the digest noted when it was written."""
    folder = mirror_folder(dataset, head)
    return (folder / MANIFEST).exists() and bool(read_json(folder / MANIFEST).get("digest") == _digest(folder))


def _digest(folder: Path) -> str:
    return digest_files((p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST), folder)
