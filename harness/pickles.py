"""Reading pickled arrays, which data sets and head models of the Python 2 days hold, without running what they ask for.

A pickle is a program: loading one from elsewhere can do anything. Here only numpy arrays, numpy numbers, sparse
matrices, the array nodes of chumpy, tensors and what the format itself knows (dictionaries, lists, texts, numbers) can
come out; any other name in it ends the reading. Even numpy's own constructors are not handed out: given a made-up
description of a type, they read memory that is not theirs.
"""

from __future__ import annotations

import io
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.errors import DataError

_PLAIN_TYPE = re.compile(r"[?bhilqBHILQefdgFD]|[biufcSU]\d+|O\d?")


class _Name:
    """Stands for a class that a pickle may name but not call."""


class _Ndarray(_Name):
    """numpy.ndarray, as the argument of `_reconstruct`."""


class _Dtype:
    """numpy.dtype of a plain kind: a number, a text or an object, never a record."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        self.type = np.dtype("O" if code.startswith("O") else code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Takes the byte order and nothing else of (version, byte order, base type, names, fields, ...)."""
        if len(state) < 5 or state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array of records")
        self.type = self.type.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that fills itself from what numpy wrote, if that is consistent."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Takes (version, shape, type, column-major, values); objects come as a list, all else as bytes."""
        shape, dtype, by_column, values = state[-4:]
        if not isinstance(dtype, _Dtype):
            raise pickle.UnpicklingError("an array without a type")
        if dtype.type.hasobject != isinstance(values, list):
            raise pickle.UnpicklingError("an array whose values do not fit its type")
        checked: Any = (1, shape, dtype.type, bool(by_column), values if dtype.type.hasobject else _raw(values))
        super().__setstate__(checked)


def _raw(values: Any) -> bytes:
    """Bytes as Python 3 wrote them, or Python 2's, which arrive as text."""
    return values.encode("latin1") if isinstance(values, str) else bytes(memoryview(values))


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _Ndarray:
        raise pickle.UnpicklingError("an array of a class of its own")
    return _Array((0,), np.int8)


def _scalar(dtype: Any, value: Any) -> Any:
    if not isinstance(dtype, _Dtype) or dtype.type.hasobject:
        raise pickle.UnpicklingError("a number that is none")
    return np.frombuffer(_raw(value), dtype.type, count=1)[0]


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding}")
    return text.encode("latin1")


class Chumpy:
    """A node of chumpy, the autodiff library of FLAME's and SMPL's time, that holds its state and does nothing."""

    def __new__(cls, *arguments: Any) -> Chumpy:
        """Ignores what it is built from: the state follows."""
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Keeps the state under its names."""
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("a chumpy object without a state")
        self.__dict__.update(state)

    def array(self) -> Any:
        """The values of a leaf."""
        return as_array(self.__dict__["x"])


class ChumpySelect(Chumpy):
    """Chumpy's node for `a[...]`."""

    def array(self) -> Any:
        """The chosen values, in the shape they were chosen in."""
        chosen = as_array(self.__dict__["a"]).ravel()[np.asarray(self.__dict__["idxs"], dtype=np.int64)]
        return chosen.reshape(self.__dict__["preferred_shape"])


class SparseColumns(Chumpy):
    """scipy's matrix in compressed columns."""

    def array(self) -> Any:
        """The dense matrix."""
        data, rows, starts = (as_array(self.__dict__[name]) for name in ("data", "indices", "indptr"))
        dense = np.zeros(self.__dict__["_shape"], dtype=data.dtype)
        columns = np.repeat(np.arange(dense.shape[1]), np.diff(starts))
        np.add.at(dense, (rows, columns), data)
        return dense


def as_array(value: Any) -> Any:
    """The array that an unpickled array, chumpy node or sparse matrix stands for.

    Raises:
        TypeError, KeyError, ValueError, IndexError: it stands for none.
    """
    if isinstance(value, Chumpy):
        return value.array()
    if isinstance(value, _Array):
        return value.view(np.ndarray)
    if isinstance(value, np.ndarray | np.generic | list | tuple | int | float):
        return np.asarray(value)
    raise TypeError(f"a {type(value).__name__}, expected an array")


def _rebuilt(kind: Any, base: Any, state: Any) -> Any:
    """`copy_reg._reconstructor`, for objects that only hold their state."""
    if not (isinstance(kind, type) and issubclass(kind, Chumpy)):
        raise pickle.UnpicklingError(f"it rebuilds a {getattr(kind, '__name__', kind)}")
    return kind()


def _storage(content: bytes) -> Any:
    """The numbers behind a tensor; torch reads them with its own restricted reader."""
    import torch  # seconds that only such a file should cost

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> Any:
    import torch

    if not isinstance(storage, torch.storage.TypedStorage):
        raise pickle.UnpicklingError("a tensor without numbers")
    return torch._utils._rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict()).clone().numpy()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): OrderedDict,
    ("chumpy.reordering", "Select"): ChumpySelect,
    ("chumpy.ch", "Ch"): Chumpy,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(module, "csc_matrix"): SparseColumns for module in ("scipy.sparse.csc", "scipy.sparse._csc")},
    **{(module, "_reconstructor"): _rebuilt for module in ("copy_reg", "copyreg")},
    **{(module, "object"): _Name for module in ("__builtin__", "builtins")},
    **{(module, "set"): set for module in ("__builtin__", "builtins")},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays and numbers are read")
        return _ALLOWED[module, name]


def read_pickle(path: Path) -> Any:
    """What a pickle holds, arrays as in `as_array`; texts of Python 2 are read as latin1.

    Raises:
        DataError: the file is missing, cut off, damaged, or holds anything but plain values.
    """
    try:
        with path.open("rb") as file:
            return _unpickled(file)
    except Exception as error:  # a damaged pickle raises anything
        raise DataError(f"{path}: cannot be read as a pickle ({error or type(error).__name__})") from None


def read_pickled_array(path: Path) -> Any:
    """What an .npy file with dtype object holds; a 0-d array is unwrapped. Texts of Python 2 are read as latin1.

    Raises:
        DataError: the file is missing, damaged, no such file, or holds anything but plain values.
    """
    try:
        with path.open("rb") as file:
            _skip_header(file)
            value = _unpickled(file)
    except Exception as error:  # a damaged pickle raises anything
        raise DataError(f"{path}: cannot be read as a pickled array ({error or type(error).__name__})") from None
    if not isinstance(value, _Array):
        return value
    plain = value.view(np.ndarray)
    return plain.item() if plain.ndim == 0 else plain


def _unpickled(file: BinaryIO) -> Any:
    try:
        return _PlainUnpickler(file, encoding="latin1").load()
    except (EOFError, pickle.UnpicklingError) as error:
        if isinstance(error, EOFError) or "truncated" in str(error):
            raise EOFError("it ends in the middle: the file is incomplete, get it again") from None
        raise


def _skip_header(file: BinaryIO) -> None:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    dtype = read(file)[2]
    if not dtype.hasobject:
        raise ValueError(f"it holds an array of {dtype}, expected a pickled object")
