"""Many jobs, in this process or several."""

import json
import os

import pytest

from harness.synthesis.batch import ALIKE, write_all


def note(folder, name):
    (folder / name).write_text(str(os.getpid()))


def note_environment(folder):
    (folder / "environment").write_text(json.dumps({name: os.environ.get(name) for name in ALIKE}))


def fail(folder, name):
    raise ValueError(name)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_once(tmp_path, workers):
    shares = []
    write_all(note, [(tmp_path, f"job{i}") for i in range(4)], workers, shares.append)
    assert shares == [0.25, 0.5, 0.75, 1]
    processes = {(tmp_path / f"job{i}").read_text() for i in range(4)}
    assert (processes == {str(os.getpid())}) == (workers == 1)


def test_processes_round_alike_and_this_one_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    before = dict(os.environ)
    write_all(note_environment, [(tmp_path,)], workers=2)
    assert json.loads((tmp_path / "environment").read_text()) == ALIKE
    assert dict(os.environ) == before


def test_a_failing_job_is_not_silent(tmp_path):
    with pytest.raises(ValueError, match="job0"):
        write_all(fail, [(tmp_path, "job0")], 1)
