"""Environments of methods: built once, found again, never half-made; and the log that keeps what workers write."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness import HarnessError
from harness.isolation import environments as module
from harness.isolation.bounded_log import BoundedLog, Pump
from harness.isolation.environments import Interpreter, environment
from harness.isolation.options import IsolationOptions
from harness.isolation.venv import VenvLauncher
from tests.isolation.conftest import method


def test_an_environment_is_built_once_and_found_again(environments, monkeypatch):
    monkeypatch.setattr(module, "_build", lambda *_: pytest.fail("built again"))
    built = environment("", None)
    assert built.contents["packages"]["numpy"] and built.contents["python"] == sys.version.split()[0]
    assert built.python.exists() and built.folder.parent == environments / "environments"


def test_its_scripts_name_the_place_where_it_stands(environments):
    built = environment("", None)
    listed = subprocess.run([built.folder / "bin" / "pip", "list"], capture_output=True, text=True)
    assert "numpy" in listed.stdout
    assert not [
        p for p in (built.folder / "bin").iterdir() if p.is_file() and b"/." + built.key.encode() in p.read_bytes()
    ]


def test_requirements_and_interpreter_make_another(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    made = []
    monkeypatch.setattr(module, "_build", lambda folder, *_: (folder.mkdir(), made.append(folder.name)))
    monkeypatch.setattr(module, "read_json", lambda path: {})
    versions = iter(["3.9.1", "3.9.1", "3.9.2"])
    monkeypatch.setattr(module.Interpreter, "of", lambda name: Interpreter("/usr/bin/python3", next(versions), "/usr"))
    keys = [environment(text, None).key for text in ("numpy", "numpy<2", "numpy")]
    assert len(set(keys)) == 3 and made == keys


@pytest.mark.slow
def test_what_pip_says_is_shown_with_the_remedy(environments):
    with pytest.raises(HarnessError) as caught:
        environment("./gone-1.0-py3-none-any.whl", None)
    assert "gone-1.0" in str(caught.value) and "Mend its requirements.txt" in str(caught.value)
    assert not list((environments / "environments").glob(".*"))


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_that_is_used(environments, tmp_path):
    text = f"# {tmp_path}"  # another key
    program = f"from harness.isolation.environments import environment; environment({text!r}, None)"
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, start_new_session=True)
    place = environments / "environments"
    deadline = time.monotonic() + 60
    while not list(place.glob(".*-*/bin/python*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    half = list(place.glob(".*-*"))
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert len(half) == 1 and half[0].exists()
    key = half[0].name[1:].partition("-")[0]
    assert not (place / key).exists()
    built = environment(text, None)
    assert built.key == key and built.contents["packages"]["numpy"]
    assert not list(place.glob(".*-*"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("python9.9", "no such program"), ("/etc/passwd", "no such program|no Python"), ("true", "no Python that starts")],
)
def test_an_interpreter_that_is_none_is_refused(name, words):
    with pytest.raises(HarnessError, match=words) as caught:
        Interpreter.of(name)
    assert "isolation.python=" in str(caught.value)


def test_an_old_interpreter_is_refused(tmp_path):
    old = tmp_path / "python3.6"
    old.write_text('#!/bin/sh\necho \'["3.6.15", "/usr", "/usr", "/usr/bin/python3.6"]\'\n')
    old.chmod(0o755)
    with pytest.raises(HarnessError, match=r"Python 3\.6\.15, workers need 3\.7 or newer"):
        Interpreter.of(str(old))


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file"))
    with pytest.raises(HarnessError, match="HARNESS_CACHE"):
        environment("", None)


@pytest.mark.parametrize("minor", [7, 13], ids=["oldest", "newest"])  # those between answered the same once
@pytest.mark.slow
def test_workers_run_in_old_and_new_pythons(started, tmp_path, monkeypatch, minor):
    name = next(Path("~/.pyenv/versions").expanduser().glob(f"3.{minor}.*/bin/python"), None)
    name = str(name) if name else f"python3.{minor}"
    try:
        Interpreter.of(name)
    except HarnessError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    from tests.isolation.conftest import samples
    from tests.isolation.test_remote import same

    here = started(method("Honest")).predict(samples(2))
    there = started(method("Honest"), python=name).predict(samples(2))
    for one, other in zip(here, there, strict=True):
        same(one, other)


def test_secrets_and_home_are_not_opened(environments, monkeypatch, tmp_path):
    """A method's file that lies in the user's home folder opens itself alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for place, opened in ((tmp_path / "mine.py", "mine.py"), (tmp_path / "work" / "mine.py", "work")):
        place.parent.mkdir(exist_ok=True)
        place.write_text("class A: pass")
        launcher = VenvLauncher(method("Honest").__class__("mine", f"{place}:A", {}), IsolationOptions("venv"), "cpu")
        readable = launcher._readable(environment("", None))
        assert str(tmp_path / opened) in readable and str(tmp_path) not in readable


@pytest.mark.parametrize(("key", "value"), [("kind", "cloud"), ("memory_mb", 0), ("pids", -1), ("silence_s", 0.0)])
def test_senseless_options_are_refused(key, value):
    with pytest.raises(HarnessError, match=r"isolation(\.\w+)?="):
        IsolationOptions(**{key: value})


# the log ----------------------------------------------------------------------------------------------------------


def test_a_log_takes_so_much_and_says_that_there_was_more(tmp_path):
    log = BoundedLog(tmp_path / "log", limit=10)
    for _ in range(5):
        log.write(b"abcd\n")
    log.close()
    text = (tmp_path / "log").read_text()
    assert text.startswith("abcd\nabcd\n\n[the log is full") and text.count("[") == 1 and log.written == 25
    again = BoundedLog(tmp_path / "log", limit=10)
    again.write(b"more")
    again.close()
    assert (tmp_path / "log").read_text() == text


def test_the_last_lines_are_shown_without_control_characters(tmp_path):
    log = BoundedLog(tmp_path / "log")
    log.write(b"one\ntwo\n\x1b[31mthree\x00\n\n")
    assert log.tail(1) == "?[31mthree?" and log.tail(2) == "two / ?[31mthree?"
    log.close()


def test_a_pump_ends_though_the_pipe_stays_open(tmp_path):
    log = BoundedLog(tmp_path / "log")
    out, into = os.pipe()
    pump = Pump(out, log)
    os.write(into, b"last words")
    stopper = threading.Thread(target=pump.stop)
    stopper.start()
    stopper.join(5)
    assert not stopper.is_alive()
    assert (tmp_path / "log").read_text() == "last words"
    os.close(into)
    log.close()
