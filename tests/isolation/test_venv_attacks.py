"""Hostile methods in isolation=venv: what each attack comes to. docs/isolation.md tables what is asserted here."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.isolation.conftest import method, samples

ROOT = os.getuid() == 0


def attacked(started, attack, target="", **limits):
    """The answers to three samples, asked one by one, the second of which is attacked with; and the worker's log."""
    worker = started(method("Hostile", {"attack": attack, "target": str(target)}), **limits)
    answers = [worker.predict([sample])[0] for sample in samples()]
    log = worker._log.path
    worker.close()
    assert [answers[0].failure, answers[2].failure] == [None, None], "the run did not go on"
    return answers[1], log.read_text()


def needs(log, *what):
    """Skips where the kernel does not offer what a test is about."""
    first = log.splitlines()[0]
    if first.startswith("[not confined"):
        missing = [name for name in what if name in first]
        if missing:
            pytest.skip(f"this kernel confines no {missing[0]}: {first}")


def processes_called(name):
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() == name:
                found.append(comm.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("exits", "ended with exit code 3"),
        ("exits_at_once", "ended with exit code 7"),
        ("ends_itself", "was killed by SIGKILL"),
        ("segfaults", "was killed by SIGSEGV"),
        ("aborts", "was killed by SIGABRT"),
    ],
)
def test_a_worker_that_ends_costs_its_sample(started, attack, words):
    answer, _ = attacked(started, attack)
    assert answer.failure == "crash"
    assert words in answer.detail


@pytest.mark.parametrize(
    ("attack", "limits", "words"),
    [
        ("sleeps", {"timeout_s": 2.0}, "no answer within 2 s"),
        ("stops", {"silence_s": 3.0}, "no sign of life for 3 s"),
        ("spins", {"silence_s": 3.0}, "no sign of life for 3 s"),
    ],
)
def test_a_worker_that_hangs_costs_its_sample(started, attack, limits, words):
    answer, _ = attacked(started, attack, **limits)
    assert answer.failure == "timeout"
    assert words in answer.detail


def test_a_flood_of_output_costs_its_sample_and_little_disk(started, small_flood):
    answer, log = attacked(started, "floods", 64)
    assert answer.failure == "crash"
    assert "wrote more than 4 MiB of output" in answer.detail
    assert len(log) < 9 * 2**20


@pytest.mark.slow
def test_a_gigabyte_of_output(started):
    answer, log = attacked(started, "floods", 1024)
    assert answer.failure == "crash"
    assert "wrote more than 64 MiB of output" in answer.detail
    assert 8 * 2**20 < len(log) < 9 * 2**20
    assert "what came after this was dropped" in log[-100:]


def test_output_within_the_bound_is_no_failure(started):
    answer, log = attacked(started, "floods", 3)
    assert answer.failure is None
    assert len(log) > 3 * 2**20


def test_control_characters_reach_no_terminal(started):
    answer, log = attacked(started, "escapes")
    assert "red" in answer.detail and "\x1b" not in answer.detail + log and "\x00" not in answer.detail
    answer, _ = attacked(started, "raises")
    assert answer.failure == "crash" and "deliberate ?[31m (raises, line" in answer.detail


def test_memory_without_bound_is_refused(started):
    answer, _ = attacked(started, "allocates", memory_mb=1024)
    assert answer.failure == "out_of_memory"


@pytest.mark.parametrize(
    ("attack", "reason", "words"),
    [
        ("answers_hugely", "crash", "at most 268435456 are taken"),
        ("answers_nan", "non_finite", "prediction.vertices"),
        ("answers_bad_faces", "bad_mesh", "prediction.faces: index 5..8 outside 0..3"),
        ("answers_text", "bad_mesh", "prediction.vertices: not an array of numbers"),
        ("answers_objects", "bad_mesh", "prediction.vertices: not an array of numbers (dtype object)"),
        ("answers_strange_names", "crash", "an array parameters/../../x, which is none of its fields"),
        ("bad_input", "bad_input", "cannot be read"),
        ("bad_contract", "bad_mesh", "vertices: bad"),
    ],
)
def test_a_wrong_answer_is_named(started, attack, reason, words):
    answer, _ = attacked(started, attack)
    assert answer.failure == reason
    assert words in answer.detail


@pytest.mark.parametrize("attack", ["forks", "forks_and_dies"])
def test_a_process_that_is_left_behind_ends_with_its_worker(started, attack):
    name = f"left-{os.getpid()}-{attack[-4:]}"[:15]
    answer, log = attacked(started, attack, name)
    try:
        needs(log, "processes")
        assert answer.failure == (None if attack == "forks" else "crash")
        deadline = time.monotonic() + 5
        while processes_called(name) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not processes_called(name)
    finally:
        for process in processes_called(name):
            os.kill(int(process), 9)


def test_the_number_of_processes_is_bounded_except_for_root(started):
    answer, log = attacked(started, "forks_much", pids=40)
    needs(log, "processes")
    if ROOT:  # the kernel counts no processes of the superuser; a container bounds them
        assert answer.detail == "made 300"
    else:
        made = int(answer.detail.rpartition(" ")[2])
        assert answer.detail.startswith("BlockingIOError") and made < 40


def test_no_network(started):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer, log = attacked(started, "opens_internet", server.getsockname()[1])
    if "sockets" in log.splitlines()[0].partition("not confined")[2]:
        needs(log, "network")
        assert answer.detail.startswith("OSError") or "refused" in answer.detail
    else:
        assert answer.detail == "PermissionError: [Errno 13] Permission denied"


def test_no_other_programs_sockets(started, tmp_path):
    """Such as a Docker engine's, which would be a way out."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        answer, log = attacked(started, "opens_unix", f"@{tmp_path / 's'}")
    needs(log, "sockets")
    assert answer.detail.startswith("PermissionError")


def test_nothing_outside_is_written(started, tmp_path):
    target = tmp_path / "outside"
    for place in (target, Path(__file__).with_name("outside"), Path("/tmp") / f"outside-{os.getpid()}"):
        answer, log = attacked(started, "writes", place)
        needs(log, "files")
        assert answer.detail.startswith("PermissionError") and not place.exists()


def test_its_own_folder_is_its_own_and_goes_with_it(started):
    worker = started(method("Hostile", {"attack": "writes_own"}))
    answers = [worker.predict([sample])[0] for sample in samples()]
    folder = worker._worker._folder
    assert answers[1].detail == "mine" and (folder / "work" / "mine").read_text() == "mine"
    worker.close()
    assert not folder.exists()


def test_the_size_of_a_file_is_bounded(started):
    answer, _ = attacked(started, "fills", file_mb=8)
    assert answer.detail.startswith("OSError: [Errno 27]")


def test_no_file_of_the_user_or_another_is_read(started, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for target in (secret, Path("/etc/shadow"), Path(f"/proc/{os.getpid()}/environ")):
        answer, log = attacked(started, "reads", f"@{target}")
        needs(log, "files")
        assert answer.detail.startswith("PermissionError"), target
    answer, _ = attacked(started, "lists", f"@{Path.home()}")
    assert answer.detail.startswith("PermissionError")


def test_files_that_options_name_are_readable(started, tmp_path):
    weights = tmp_path / "weights.txt"
    weights.write_text("5.5")
    first, second = (
        started(method("Honest", options)).predict(samples(1))[0] for options in ({}, {"weights": str(weights)})
    )
    assert (second.vertices - first.vertices == pytest.approx(55.0)) and second.source_unit == "cm"


def test_other_processes_are_out_of_reach(started):
    answer, log = attacked(started, "signals", os.getpid())
    needs(log, "processes")
    assert answer.detail.startswith("ProcessLookupError")


def test_variables_of_the_harness_stay_here(started, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "1234")
    answer, _ = attacked(started, "sees_variable", "SECRET_TOKEN")
    assert answer.detail == "not there"


def test_without_namespaces_the_rest_is_still_taken_away(environments, tmp_path):
    """In a user namespace that allows no further ones."""
    program = (
        "from pathlib import Path; from harness.isolation.options import IsolationOptions\n"
        "from harness.isolation.remote import RemoteWorker; from harness.isolation.venv import VenvLauncher\n"
        "from tests.isolation.conftest import method, samples\n"
        "spec = method('Hostile', {'attack': 'reads', 'target': '@/etc/shadow'})\n"
        "launcher = VenvLauncher(spec, IsolationOptions('venv'), 'cpu')\n"
        f"worker = RemoteWorker(spec, 'cpu', 0, 30.0, launcher, Path({str(tmp_path / 'log')!r}))\n"
        "print([p.failure or p.detail for p in worker.predict(samples(2))][1]); worker.close()\n"
    )
    shell = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    try:
        done = subprocess.run(
            ["unshare", "-r", "sh", "-c", shell, sys.executable, program],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=120,
        )
    except FileNotFoundError:
        pytest.skip("no program unshare")
    if "max_user_namespaces" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr}")
    log = (tmp_path / "log").read_text()
    assert log.startswith("[not confined: processes and network of its own (unshare: ")
    needs(log, "files")
    assert done.stdout.startswith("PermissionError"), done.stderr


def test_programs_of_the_system_can_be_started(started):
    assert attacked(started, "starts_programs")[0].detail == "started"
