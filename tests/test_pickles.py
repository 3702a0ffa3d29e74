"""Pickled arrays are read as numpy reads them, and nothing in them is run."""

import builtins
import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import DataError
from harness.datasets.now_mirror import python2_box
from harness.pickles import read_pickled_array

numbers = st.floats(allow_nan=False) | st.integers(-(2**40), 2**40)


class Evil:
    """Asks the reader of its pickle to call something."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def npy(payload: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + payload


@given(st.dictionaries(st.text(max_size=5), numbers | st.lists(numbers)), st.integers(2, 4))
@settings(max_examples=50)
def test_equals_numpys_own_reader(tmp_path_factory, value, protocol):
    path = tmp_path_factory.mktemp("pickles") / "a.npy"
    path.write_bytes(npy(pickle.dumps(np.array(value, dtype=object), protocol=protocol)))
    assert read_pickled_array(path) == np.load(path, allow_pickle=True, encoding="latin1").item() == value


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_numpy_numbers_and_arrays_inside(tmp_path, protocol):
    value = {"left": np.float32(1.5), "right": np.int64(7), "all": np.arange(6.0).reshape(2, 3)}
    (tmp_path / "a.npy").write_bytes(npy(pickle.dumps(np.array(value, dtype=object), protocol=protocol)))
    found = read_pickled_array(tmp_path / "a.npy")
    assert (found["left"], found["right"]) == (1.5, 7) and np.array_equal(found["all"], value["all"])


def test_what_python_2_wrote(tmp_path):
    box = {"left": 10.5, "top": 2.0, "right": 70.25, "bottom": 91.0}
    (tmp_path / "a.npy").write_bytes(python2_box(box))
    assert read_pickled_array(tmp_path / "a.npy") == box
    assert np.load(tmp_path / "a.npy", allow_pickle=True, encoding="latin1").item() == box


@pytest.mark.parametrize(
    ("evil", "asks_for"),
    [
        (Evil(os.system, "touch OWNED"), r"posix\.system"),
        (Evil(builtins.eval, "open('OWNED', 'w')"), r"\w*builtin\w*\.eval"),
        (Evil(builtins.getattr, 1, "real"), r"\w*builtin\w*\.getattr"),
        (Evil(np.save, "OWNED.npy", [1]), r"numpy.*save"),
        (Evil(np.load, "OWNED.npy"), r"numpy.*load"),
        (Evil(pickle.loads, b"."), r"\w+\.loads"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: np.array({"left": e}, dtype=object)])
def test_nothing_in_a_pickle_is_called(tmp_path, monkeypatch, evil, asks_for, wrap):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.npy").write_bytes(npy(pickle.dumps(wrap(evil), protocol=2)))
    with pytest.raises(DataError, match=rf"evil\.npy: .*it asks for {asks_for}, and only numpy arrays and numbers"):
        read_pickled_array(tmp_path / "evil.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.npy"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", r"cannot be read as a pickled array"),
        (b"not an array at all", r"cannot be read as a pickled array"),
        (npy(b""), r"cannot be read as a pickled array"),
        (npy(pickle.dumps(np.array({"a": 1}, dtype=object))[:-9]), r"cannot be read as a pickled array"),
    ],
)
def test_damage_is_named(tmp_path, content, words):
    if content is not None:
        (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.npy: .*{words}" if content is None else rf"a\.npy: {words}"):
        read_pickled_array(tmp_path / "a.npy")


def test_a_plain_array_is_not_what_was_asked_for(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(4))
    with pytest.raises(DataError, match="array of float64, expected a pickled object"):
        read_pickled_array(tmp_path / "a.npy")


def crafted(dtype_state: tuple, values: object) -> bytes:
    """An array of type O8 whose type's state and whose values are given."""

    class Type:
        def __reduce__(self):
            return np.dtype, ("O", False, True), dtype_state

    class Crafted:
        def __reduce__(self):
            make = np.array(1).__reduce__()[0]
            return make, (np.ndarray, (0,), b"b"), (1, (1,), Type(), False, values)

    return npy(pickle.dumps(Crafted(), protocol=2))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (crafted((3, "|", None, None, None, -1, -1, 0), b"\x01" * 8), "values do not fit its type"),
        (crafted((3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 8, 0), b"\x01" * 8), "array of records"),
        (npy(pickle.dumps(Evil(np.ndarray, (1,), "O", b"\x01" * 8), protocol=2)), "cannot be read"),
        (npy(pickle.dumps(Evil(np.dtype, [("a", "O")]), protocol=2)), "an array of type"),
    ],
)
def test_no_array_is_made_of_memory_that_is_not_its_own(tmp_path, content, words):
    """Constructors of numpy take bytes for the addresses of objects, if a pickle says so."""
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.npy: .*{words}"):
        read_pickled_array(tmp_path / "a.npy")
