"""Heads by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from harness.catalogue import nearest
from harness.errors import DataError, HarnessError
from harness.heads.head import Head
from harness.heads.ict_file import packed_file

NAMES = ("procedural", "flame", "ict")


def build_head(name: str, path: str | Path | None = None) -> Head:
    """A head model; the same object for the same arguments (do not write to its tensors).

    Args:
        name: "procedural" (embedded), "flame" (from the user's file), "ict" (ICT-FaceKit).
        path: FLAME's pickle or a folder with it; a packed ICT-FaceKit, or None for the one in the cache.

    Raises:
        HarnessError: the name is unknown, or the procedural head is given a path.
        DataError: a file is missing or is not that model's; says where it is had.
    """
    if name not in NAMES:
        raise HarnessError(f"head={name}: unknown{nearest(name, NAMES)}. There are: {', '.join(NAMES)}")
    if name == "ict" and path is None:
        path = packed_file()
    return _build(name, None if path is None else Path(path).expanduser().resolve())


@lru_cache(maxsize=8)
def _build(name: str, path: Path | None) -> Head:
    if name == "flame":
        from harness.heads.flame import read_flame

        if path is None:
            raise DataError(
                "head=flame: no file given; register at flame.is.tue.mpg.de, download FLAME 2020 or 2023, and give "
                "head.path=PATH of its pickle, with DECA's landmark_embedding.npy beside it"
            )
        return read_flame(path)
    if name == "ict":
        from harness.heads.ict import read_ict

        return read_ict(path)
    if path is not None:
        raise HarnessError(f"head=procedural: is made from formulas and reads no file; leave out {path}")
    from harness.heads.procedural import procedural_head

    return procedural_head()
