"""The files that NoW's official program leaves of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError

Array = NDArray[Any]


def write_official_files(
    folder: Path, identifier: str, images: Iterable[tuple[str, Array | None]], challenge: str = ""
) -> tuple[Path, Path]:
    """Writes `<identifier>_computed_distances.npy` and, beside it, the same name with `.meanmedian` after it.

    The first is a pickled dictionary, as others' scripts read it: `computed_distances`, a list of the images' arrays;
    `num_missing_files`; `input_files`, the images' lines of the official list, in the same order. The second is text
    whose first line is the median, the second the mean of all distances, despite its name. The official program
    shuffles each array, so the order of the points carries no meaning. All distances are in memory while the file is
    written.

    Args:
        folder: where to; made if need be.
        identifier: the method's name; the official program appends `_metrical` to it in metrical evaluations.
        images: `<subject>/<category>/<file>.jpg` and (N,) distances in millimetres of each image; None for one
            without a score, which is counted as missing and otherwise left out.
        challenge: the folder name of a category, where the images are of one only.

    Raises:
        ContractError: no image has distances.
    """
    names, distances, missing = [], [], 0
    for name, values in images:
        if values is None:
            missing += 1
        else:
            names.append(name)
            distances.append(np.asarray(values, dtype=np.float64))
    if not distances:
        raise ContractError(f"{folder}: none of the {missing} images has distances; score the run first")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{identifier}_computed_distances{f'_{challenge}' if challenge else ''}.npy"
    content = {"computed_distances": distances, "num_missing_files": missing, "input_files": np.array(names)}
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    pooled = np.concatenate(distances)
    summary = path.with_name(f"{path.name}.meanmedian")
    summary.write_text(f"{np.median(pooled)}\n{pooled.mean()}\n", encoding="ascii")
    return path, summary
