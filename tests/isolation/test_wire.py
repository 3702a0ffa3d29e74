"""The wire: what is sent comes out as it was, and whatever is not as it must be is refused by name."""

import dataclasses
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import harness
from harness import samples
from harness.isolation import wire, worker
from harness.isolation.wire import Closed, Connection, WireError
from harness.isolation.worker import DTYPES, MAX_HEADER, Channel

HEAD = struct.Struct("<4sIQ")  # as the documentation of the format has it
BIG = 3 * wire.INLINE
arrays = hnp.arrays(
    st.sampled_from(DTYPES).map(np.dtype), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
)


def pair():
    ours, theirs = socket.socketpair()
    return Connection(ours, lambda: None), Channel(theirs), theirs


def message(header, body=b"", magic=b"FRHW", header_length=None, body_length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    lengths = (len(text) if header_length is None else header_length, len(body) if body_length is None else body_length)
    return HEAD.pack(magic, *lengths) + text + body


def entry(**changes):
    return {"name": "a", "dtype": "uint8", "shape": [4], "offset": 0, **changes}


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=20), arrays, max_size=5))
def test_arrays_arrive_as_they_were_in_both_directions(values):
    ours, theirs, _ = pair()
    ours.send({"kind": "predict", "x": [1, None, "ü"]}, values)
    header, arrived = theirs.receive()
    assert header["x"] == [1, None, "ü"]
    theirs.send({"kind": "answer"}, arrived)
    returned = ours.receive().arrays
    for found in (arrived, returned):
        assert list(found) == list(values)
        for name, array in values.items():
            assert found[name].dtype == array.dtype and found[name].shape == array.shape
            assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_arrays_come_in_memory_that_nobody_can_change(order):
    ours, theirs, _ = pair()
    images = {
        name: np.asarray(np.random.default_rng(n).random((BIG // 8, 2)), order=order) for n, name in enumerate("ab")
    }
    ours.send({"kind": "predict"}, images)
    header, arrived = theirs.receive()
    assert header["shared"] is True
    for name, image in images.items():
        assert (arrived[name] == image).all()
        assert not arrived[name].flags.writeable and arrived[name].ctypes.data % 64 == 0
    descriptor = wire.shared_memory(*_laid(images))
    for change in (lambda: os.pwrite(descriptor, b"x", 0), lambda: os.ftruncate(descriptor, 1)):
        with pytest.raises(PermissionError):
            change()
    os.close(descriptor)


def _laid(values):
    values = {name: np.ascontiguousarray(array) for name, array in values.items()}
    return worker.laid_out(values)[0], values


def test_no_descriptor_is_left_open():
    ours, theirs, _ = pair()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        ours.send({"kind": "predict"}, {"a": np.zeros(BIG)})
        header, arrived = theirs.receive()
    del header, arrived
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


BAD = {
    "another magic": (message({}, magic=b"\x80\x04\x95."), "begins with"),
    "a pickle": (b"\x80\x05K\x01." * 10, "begins with"),
    "an oversized header": (message({}, header_length=MAX_HEADER + 1), f"a header of {MAX_HEADER + 1} bytes"),
    "an oversized body": (message({}, body_length=2**63), "a body of 9223372036854775808 bytes"),
    "no JSON": (message(b"{'kind': 1}"), "no JSON"),
    "no UTF-8": (message(b'"\xff"'), "no JSON"),
    "a deep header": (message(b"[" * 200_000), "no JSON"),
    "infinity": (message(b'{"kind": Infinity}'), "no JSON"),
    "a long number": (message(b'{"kind": ' + b"9" * 10_000 + b"}"), "no JSON"),
    "a list": (message([1]), "a header that is a list"),
    "another kind": (message({"kind": "shutdown"}), "a message of kind shutdown"),
    "a kind that is none": (message({"kind": {"a": 1}}), "a message of kind"),
    "arrays that are none": (message({"kind": "alive", "arrays": {"a": 1}}), "expected a list"),
    "too many arrays": (message({"kind": "alive", "arrays": [1] * 10_001}), "at most 10000"),
    "an incomplete array": (message({"kind": "answer", "arrays": [{"name": "a"}]}), "expected name, dtype"),
    "one name twice": (
        message({"kind": "answer", "arrays": [entry(), entry(offset=64)]}, bytes(68)),
        "given twice",
    ),
    "a name that is none": (message({"kind": "answer", "arrays": [entry(name=7)]}, bytes(4)), "name 7"),
    "objects": (message({"kind": "answer", "arrays": [entry(dtype="object")]}, bytes(4)), "dtype object"),
    "a strange dtype": (message({"kind": "answer", "arrays": [entry(dtype=["<f8"])]}, bytes(4)), "dtype"),
    "a negative length": (message({"kind": "answer", "arrays": [entry(shape=[-1])]}, bytes(4)), "shape"),
    "a true length": (message({"kind": "answer", "arrays": [entry(shape=[True])]}, bytes(1)), "shape"),
    "many dimensions": (message({"kind": "answer", "arrays": [entry(shape=[1] * 40)]}, bytes(1)), "shape"),
    "a huge shape": (message({"kind": "answer", "arrays": [entry(shape=[2**62, 2**62])]}, bytes(4)), "shape"),
    "a huge empty shape": (message({"kind": "answer", "arrays": [entry(shape=[0, 2**62])]}), "shape"),
    "an array past the end": (message({"kind": "answer", "arrays": [entry(shape=[5])]}, bytes(4)), "ends at byte 5"),
    "an offset elsewhere": (message({"kind": "answer", "arrays": [entry(offset=2)]}, bytes(8)), "offset 2"),
    "a negative offset": (message({"kind": "answer", "arrays": [entry(offset=-4)]}, bytes(8)), "offset -4"),
    "bytes of no array": (message({"kind": "answer", "arrays": [entry()]}, bytes(8)), "a body of 8 bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_malformed_is_refused_by_name(case):
    data, words = BAD[case]
    ours, _, theirs = pair()
    thread = threading.Thread(target=_sends, args=(theirs, data), daemon=True)
    thread.start()
    with pytest.raises(WireError) as caught:
        ours.receive()
    assert words in str(caught.value) and str(caught.value).isprintable()
    ours.close()
    thread.join()


def _sends(connection, data):
    try:
        connection.sendall(data)
    except OSError:
        return


@pytest.mark.parametrize("kept", [1, 10, 20, 60])
def test_a_truncated_message_is_refused_and_an_end_between_messages_is_none(kept):
    whole = message({"kind": "answer", "arrays": [entry()]}, bytes(4))
    ours, _, theirs = pair()
    theirs.sendall(whole[:kept])
    theirs.close()
    with pytest.raises(WireError, match="cut off"):
        ours.receive()
    ours, _, theirs = pair()
    theirs.sendall(whole)
    theirs.close()
    assert ours.receive().kind == "answer"
    with pytest.raises(Closed):
        ours.receive()


def test_a_message_in_drops_is_given_up(monkeypatch):
    monkeypatch.setattr(wire, "MESSAGE_LIMIT_S", 0.3)
    ours, _, theirs = pair()
    whole = message({"kind": "alive"})

    def drip():
        pause = threading.Event()
        for byte in whole:
            pause.wait(0.1)
            _sends(theirs, bytes([byte]))

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    with pytest.raises(WireError, match=r"not complete after 0\.3 s"):
        ours.receive()


def test_a_promised_body_takes_no_memory_before_it_comes():
    program = (
        "import resource, socket, struct, json\n"
        "from harness.isolation.wire import Connection, WireError\n"
        "a, b = socket.socketpair()\n"
        "text = json.dumps({'kind': 'answer', 'arrays': [{'name': 'a', 'dtype': 'uint8', 'shape': [2**28], "
        "'offset': 0}]}).encode()\n"
        "b.sendall(struct.pack('<4sIQ', b'FRHW', len(text), 2**28) + text); b.close()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: Connection(a, lambda: None).receive()\n"
        "except WireError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # kB


def test_a_request_that_no_header_holds_says_what_to_do():
    ours, _, _ = pair()
    with pytest.raises(harness.HarnessError, match="smaller batch_size"):
        ours.send({"kind": "predict"}, {f"array {n}": np.zeros(1) for n in range(20_000)})


@pytest.mark.parametrize("name", ["Camera", "View", "Sample", "Prediction"])
def test_the_stand_ins_have_the_fields_of_the_real_classes(name):
    def shape(cls):
        return [(f.name, f.default, f.default_factory is not dataclasses.MISSING) for f in dataclasses.fields(cls)]

    assert shape(getattr(worker, name)) == shape(getattr(samples, name))
    public = {key for key in vars(getattr(samples, name)) if not key.startswith("_") and key != "FAILURE_REASONS"}
    checked_here = {"has_neutral", "neutral", "in_millimetres"}  # the harness's own use
    assert public - checked_here <= set(vars(getattr(worker, name))) | {"condition"}


def test_the_stand_in_has_every_public_name():
    assert {cls.__name__ for cls in worker.STAND_INS} == {*harness.__all__, "NonFiniteError"}
    for error in ("ContractError", "NonFiniteError", "DataError", "AlignmentError"):
        real, ours = getattr(harness.errors, error), getattr(worker, error)
        assert [c.__name__ for c in real.__mro__] == [c.__name__ for c in ours.__mro__]


def test_the_worker_is_one_file_for_old_pythons():
    text = Path(worker.__file__).read_text()
    compile(text, "worker.py", "exec", dont_inherit=True)
    assert "pickle" not in text.replace("Nothing is pickled", "")
    program = (
        "import ast, sys; tree = ast.parse(sys.stdin.read(), feature_version=(3, 7));"
        "names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]"
        " + [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)];"
        "print(sorted({n.partition('.')[0] for n in names} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['numpy']"
