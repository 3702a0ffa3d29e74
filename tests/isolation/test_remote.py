"""Workers behind the wire: the same answers as in-process, and liars that cost their sample and no more."""

import json
import socket
import struct
import threading
import time

import numpy as np
import pytest

from harness import HarnessError
from harness.benchmark import Benchmark
from harness.isolation import remote
from harness.isolation.options import IsolationOptions
from harness.isolation.process import WorkerProcess
from harness.isolation.remote import RemoteWorker
from harness.isolation.source import AdapterSource
from harness.method import MethodSpec
from harness.run_folder import ARRAY_FIELDS
from harness.runner import RunOptions, run
from tests.isolation.conftest import ADAPTERS, method, samples
from tests.toys import ToyDataset, ToyProtocol

HEAD = struct.Struct("<4sIQ")


def same(one, other):
    for name in (*ARRAY_FIELDS, "source_unit", "in_world_frame", "failure", "detail"):
        first, second = getattr(one, name), getattr(other, name)
        if isinstance(first, np.ndarray):
            assert first.dtype == second.dtype and first.tobytes() == second.tobytes(), name
        else:
            assert first == second, name
    assert {k: v.tobytes() for k, v in one.parameters.items()} == {k: v.tobytes() for k, v in other.parameters.items()}


@pytest.mark.parametrize("size", [1, 3])
def test_answers_are_those_of_the_harness_own_process_bit_by_bit(started, size):
    away, questions = started(method("Honest")), samples(3, size=300)
    here = WorkerProcess(MethodSpec("honest", f"{ADAPTERS}:Honest"), "cpu", 7, 60.0)
    try:
        for start in range(0, 3, size):
            batch = questions[start : start + size]
            for one, other in zip(away.predict(batch), here.predict(batch), strict=True):
                same(one, other)
                assert one.failure is None
    finally:
        here.close()


def test_a_run_in_an_environment_equals_one_without(environments, tmp_path):
    folders = []
    for kind in ("none", "venv"):
        spec = MethodSpec("honest", f"{ADAPTERS}:Honest", {}, isolation=IsolationOptions(kind))
        bench = Benchmark("toy", ToyDataset(4), (ToyProtocol(),))
        folders.append(run(bench, spec, {}, RunOptions(root=tmp_path, seed=3)))
    here, away = folders
    assert here.path != away.path
    assert (here.path / "scores.parquet").read_bytes() == (away.path / "scores.parquet").read_bytes()
    for number in range(4):
        same(here.prediction(f"s{number:04d}"), away.prediction(f"s{number:04d}"))
    first, second = here.manifest(), away.manifest()
    assert "isolation" not in first and second["isolation"]["kind"] == "venv"
    assert second["isolation"]["packages"]["numpy"] and second["isolation"]["python"]
    assert (first["paper"], first["family"]) == (second["paper"], second["family"]) == ("A paper", "toy")
    assert (away.path / "worker.log").read_text().startswith("[")


def test_limits_and_environment_are_part_of_the_identity(environments, tmp_path):
    bench = Benchmark("toy", ToyDataset(1), (ToyProtocol(),))
    paths = set()
    for memory in (None, 4096):
        spec = MethodSpec("honest", f"{ADAPTERS}:Honest", {}, isolation=IsolationOptions("venv", memory_mb=memory))
        paths.add(run(bench, spec, {}, RunOptions(root=tmp_path)).path)
    assert len(paths) == 2


@pytest.mark.parametrize(
    ("text", "name", "options", "words"),
    [
        ("import gone_module", "A", {}, "importing it raised ModuleNotFoundError"),
        ("class A: pass", "B", {}, "has no B; it defines A"),
        ("from harness import MethodAdapter\nclass A(MethodAdapter):\n    unit = 'm'", "A", {}, "abstract"),
        (
            "class A:\n    unit = 'm'\n    def load(self, device): raise OSError('weights')",
            "A",
            {},
            "raised OSError: we",
        ),
        ("class A:\n    unit = 'inch'\n    def load(self, device): pass", "A", {}, "A.unit: 'inch'"),
        ("class A:\n    unit = 'm'\n    def load(self, device): pass", "A", {"x": 1}, "does not take options"),
        ("import os\nclass A:\n    def load(self, device): os._exit(3)", "A", {}, "ended with exit code 3 in load"),
        ("import os\nprint('gone wrong', flush=True)\nos._exit(3)", "A", {}, "gone wrong"),
    ],
)
def test_a_method_that_cannot_start_is_refused(started, tmp_path, text, name, options, words):
    file = tmp_path / "mine.py"
    file.write_text(text)
    worker = started(MethodSpec("mine", f"{file}:{name}", options))
    with pytest.raises(HarnessError, match="mine|A.unit") as caught:
        worker.predict(samples(1))
    assert words in str(caught.value)


def test_a_class_is_refused_without_running_its_file(tmp_path):
    file, touched = tmp_path / "mine.py", tmp_path / "touched"
    file.write_text(f"open({str(touched)!r}, 'w')\nclass A:\n    paper = 'Long ' 'title'\n    family: str = 'x'\n")
    spec = MethodSpec("mine", f"{file}:A", {}, isolation=IsolationOptions("venv"))
    assert spec.declared() == {"paper": "Long title", "family": "x"}
    spec.digests()
    for wrong, words in (("B", "it defines A"), ("", "expected")):
        with pytest.raises(HarnessError, match=words):
            MethodSpec("mine", f"{file}:{wrong}", {}, isolation=IsolationOptions("venv")).declared()
    assert not touched.exists()


def test_a_package_is_found_without_running_it(tmp_path, monkeypatch):
    touched, package = tmp_path / "touched", tmp_path / "strange" / "inner"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "adapter.py"):
        file.write_text(f"open({str(touched)!r}, 'w')\nclass A:\n    paper = 'x'\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = AdapterSource.of(MethodSpec("mine", "strange.inner.adapter:A"))
    assert (found.file, found.module) == (package / "adapter.py", "strange.inner.adapter")
    assert found.declared()["paper"] == "x" and not touched.exists()
    for wrong in ("strange.gone.adapter:A", "nowhere.adapter:A"):
        with pytest.raises(HarnessError, match="cannot be found"):
            AdapterSource.of(MethodSpec("mine", wrong))


def test_an_unreadable_picture_costs_its_sample_and_no_worker(started, tmp_path):
    from dataclasses import replace

    from harness import View

    damaged = replace(samples(1)[0], views=(View(tmp_path / "gone.png"),), id="s0009")
    answers = started(method("Honest")).predict([*samples(2), damaged])
    assert [a.failure for a in answers] == [None, None, "bad_input"]
    assert "gone.png" in answers[2].detail


# a worker of our own making ---------------------------------------------------------------------------------------


def message(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return HEAD.pack(b"FRHW", len(text), len(body)) + text + body


def skip_message(connection):
    _, header, body = HEAD.unpack(connection.recv(HEAD.size, socket.MSG_WAITALL))
    left = header + body
    while left:
        left -= len(connection.recv(left))


GOOD = {"kind": "answer", "predictions": [{"failure": "no_face", "detail": ""}], "arrays": []}
HELLO = {"kind": "hello", "wire": 1}


class Fake:
    """A worker in a thread: says hello and loaded, answers well at first and as `lie` does from the second call on."""

    def __init__(self, path, lie, calls, hello, loaded):
        self.lie, self.calls, self.killed = lie, calls, False
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(path))
        self.opening = (hello, loaded)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            self.connection.sendall(message(self.opening[0]))
            skip_message(self.connection)
            self.connection.sendall(message(self.opening[1]))
            while True:
                skip_message(self.connection)
                self.calls.append(time.monotonic())
                if len(self.calls) == 2:
                    self.lie(self.connection)
                else:
                    self.connection.sendall(message(GOOD))
        except (OSError, struct.error, IndexError):
            return

    def poll(self):
        return -9 if self.killed else None if self.thread.is_alive() else 0

    def kill(self):
        self.killed = True
        self.connection.close()

    def cause_of_death(self):
        return "was killed"

    def out_of_memory(self):
        return False

    def close(self):
        pass


class FakeLauncher:
    def __init__(self, lie=None, hello=HELLO, loaded=None):
        self.lie, self.calls, self.started = lie, [], 0
        self.hello, self.loaded = hello, loaded or {"kind": "loaded", "unit": "mm"}

    def record(self):
        return {}

    def inside(self, path):
        return str(path)

    def start(self, path, log):
        self.started += 1
        return Fake(path, self.lie, self.calls, self.hello, self.loaded)


def answer(**changes):
    return message({**GOOD, **changes})


def one_prediction(**values):
    return answer(predictions=[values])


# What a liar does, and what becomes of it
LIES = {
    "says nothing": (lambda c: time.sleep(60), "timeout", "no answer within 1 s"),
    "hangs up": (lambda c: (c.shutdown(socket.SHUT_RDWR), time.sleep(60)), "crash", "closed the connection"),
    "stops in a message": (lambda c: (c.sendall(answer()[:30]), c.close()), "crash", "cut off: "),
    "begins elsewhere": (lambda c: c.sendall(b"PICKLE" * 10), "crash", "begins with b'PICK'"),
    "promises too much": (lambda c: c.sendall(HEAD.pack(b"FRHW", 10, 2**60)), "crash", "at most 268435456 are taken"),
    "says hello again": (lambda c: c.sendall(message(HELLO)), "crash", "hello: expected an answer"),
    "answers too often": (lambda c: c.sendall(answer(predictions=GOOD["predictions"] * 2)), "crash", "1 predictions"),
    "answers with words": (lambda c: c.sendall(answer(predictions="yes")), "crash", "expected an answer"),
    "gives no objects": (lambda c: c.sendall(answer(predictions=[7])), "crash", "a prediction 7"),
    "has further fields": (lambda c: c.sendall(one_prediction(trust="me")), "crash", "a prediction"),
    "invents a reason": (lambda c: c.sendall(one_prediction(failure="bored")), "crash", "failure bored"),
    "fails with a list": (lambda c: c.sendall(one_prediction(failure=["x"])), "crash", "failure ['x']"),
    "has a strange flag": (lambda c: c.sendall(one_prediction(in_world_frame=1)), "crash", "in_world_frame: 1"),
    "has a strange unit": (lambda c: c.sendall(one_prediction(source_unit="ell")), "bad_mesh", "source_unit: 'ell'"),
    "raises strangely": (lambda c: c.sendall(message({"kind": "raised", "reason": 3})), "crash", "failure 3"),
    "escapes": (lambda c: c.sendall(one_prediction(failure="no_face", detail="\x1b[2J")), "no_face", "?[2J"),
    "answers for another": (
        lambda c: c.sendall(
            message({**GOOD, "arrays": [{"name": "7/vertices", "dtype": "uint8", "shape": [1], "offset": 0}]}, b"\0")
        ),
        "crash",
        "belongs to none",
    ),
    "beats without end": (lambda c: c.sendall(message({"kind": "alive"}) * 5000), "crash", "signs of life"),
}


@pytest.fixture(autouse=True)
def short_goodbye(monkeypatch):
    monkeypatch.setattr(remote, "CLOSE_LIMIT_S", 0.5)


def fake_worker(tmp_path, launcher, timeout_s=1.0):
    spec = MethodSpec("fake", f"{ADAPTERS}:Honest")
    return RemoteWorker(spec, "cpu", 0, timeout_s, launcher, tmp_path / "log", 30.0)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_costs_its_sample_and_the_worker(tmp_path, lie):
    act, reason, words = LIES[lie]
    launcher = FakeLauncher(act)
    worker = fake_worker(tmp_path, launcher)
    first, second, third = (worker.predict([sample])[0] for sample in samples(3))
    worker.close()
    assert (first.failure, third.failure) == ("no_face", "no_face")
    assert second.failure == reason
    assert words in second.detail and second.detail.isprintable()
    assert launcher.started == (1 if reason in ("bad_mesh", "no_face") else 2)


def test_signs_of_life_are_not_the_answer(tmp_path):
    launcher = FakeLauncher(lambda c: c.sendall(message({"kind": "alive"}) * 3 + answer()))
    worker = fake_worker(tmp_path, launcher)
    assert [worker.predict([sample])[0].failure for sample in samples(3)] == ["no_face"] * 3
    assert launcher.started == 1
    worker.close()


def test_a_killed_batch_is_repeated_one_by_one(tmp_path):
    launcher = FakeLauncher(lambda c: c.close())
    launcher.calls.append(0.0)  # the first call is the one that goes wrong
    answers = fake_worker(tmp_path, launcher).predict(samples(3))
    assert [a.failure for a in answers] == ["no_face"] * 3
    assert launcher.started == 2 and len(launcher.calls) == 5


@pytest.mark.parametrize(
    ("hello", "loaded", "words"),
    [
        ({"kind": "hello", "wire": 99}, None, "speaks wire format 99, the harness 1"),
        ({"kind": "alive"}, {"kind": "alive"}, "no answer within|connection"),
        (HELLO, {"kind": "error", "detail": "no \x1b weights"}, r"fake: no \? weights"),
        (HELLO, {"kind": "loaded", "unit": "inch"}, "'inch', expected one of m, cm, mm"),
        (HELLO, {"kind": "answer"}, "expected one of m, cm, mm"),
    ],
)
def test_a_worker_that_does_not_load_ends_the_run(tmp_path, monkeypatch, hello, loaded, words):
    monkeypatch.setattr(remote, "START_LIMIT_S", 1.0)
    monkeypatch.setattr(remote, "LOAD_LIMIT_S", 1.0)
    with pytest.raises(HarnessError, match=words):
        fake_worker(tmp_path, FakeLauncher(hello=hello, loaded=loaded)).predict(samples(1))


def test_a_worker_that_never_comes_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "START_LIMIT_S", 0.5)

    class Silent(FakeLauncher):
        def start(self, path, log):
            log.write(b"I am busy\n")
            fake = Fake.__new__(Fake)
            fake.killed, fake.connection, fake.thread = False, socket.socket(), threading.main_thread()
            return fake

    with pytest.raises(HarnessError, match="no answer within 0.5 s in load.*I am busy"):
        fake_worker(tmp_path, Silent()).predict(samples(1))


def test_a_long_temporary_folder_says_what_to_do(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(remote.tempfile, "tempdir", str(long))
    with pytest.raises(HarnessError, match="set TMPDIR to a shorter path"):
        fake_worker(tmp_path, FakeLauncher()).predict(samples(1))
    assert not list(long.iterdir())


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    place = tmp_path / "t"
    place.mkdir()
    monkeypatch.setattr(remote.tempfile, "tempdir", str(place))
    worker = fake_worker(tmp_path, FakeLauncher(lambda c: c.close()))
    for sample in samples(3):
        worker.predict([sample])
        assert all(oct(folder.stat().st_mode)[-3:] == "700" for folder in place.iterdir())
    worker.close()
    assert not list(place.iterdir())
