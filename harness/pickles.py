"""Reading pickled arrays, which data sets of the Python 2 days hold, without running what a pickle may ask for.

A pickle is a program: loading one from elsewhere can do anything. Here only numpy arrays, numpy numbers and what
the format itself knows (dictionaries, lists, texts, numbers) can come out; any other name in it ends the reading.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.errors import DataError

try:  # numpy 2 moved them
    from numpy._core import multiarray
except ImportError:  # pragma: no cover
    from numpy.core import multiarray  # type: ignore[no-redef]


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    **{
        (f"numpy.{core}.multiarray", name): getattr(multiarray, name)
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    },
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays and numbers are read")
        return _ALLOWED[module, name]


def read_pickled_array(path: Path) -> Any:
    """What an .npy file with dtype object holds; a 0-d array is unwrapped. Texts of Python 2 are read as latin1.

    Raises:
        DataError: the file is missing, damaged, no such file, or holds anything but plain values.
    """
    try:
        with path.open("rb") as file:
            _skip_header(file)
            value = _PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises anything
        raise DataError(f"{path}: cannot be read as a pickled array ({error or type(error).__name__})") from None
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _skip_header(file: BinaryIO) -> None:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    dtype = read(file)[2]
    if not dtype.hasobject:
        raise ValueError(f"it holds an array of {dtype}, expected a pickled object")
