"""`harness new`: what it writes runs at once, says that it is a template, and overwrites nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import HarnessError
from harness.cli import main
from harness.method import MethodSpec
from harness.templates.command import class_name, write_method

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # where tests.toys is


def test_it_runs_at_once_and_its_test_passes(tmp_path):
    def python(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT
        )

    made = python("harness", "new", "my_method")
    assert made.returncode == 0, made.stderr
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "my_method/README.md",
        "my_method/adapter.py",
        "my_method/method/my_method.yaml",
        "my_method/test_my_method.py",
    ]
    (tmp_path / "my_method" / "bench").mkdir()
    (tmp_path / "my_method" / "bench" / "toy.yaml").write_text((ROOT / "tests/configs/bench/toy.yaml").read_text())
    run = python("harness", "run", "method=my_method", "bench=toy", "bench.count=2", "--config-dir", "my_method")
    assert run.returncode == 0, run.stderr
    assert re.search(r"my_method .*0/2", run.stdout), run.stdout  # the pictures are black: no face
    tested = python("pytest", "-q", "my_method")
    assert tested.returncode == 0, tested.stdout
    again = python("harness", "new", "my_method")
    assert again.returncode == 2 and "is there already" in " ".join(again.stderr.split())


def test_it_says_that_it_is_a_template(tmp_path):
    files = write_method("my_2nd_method", tmp_path)
    for path in files:
        text = path.read_text()
        assert "$" not in text, path
        assert path.name.startswith("test_") or "TEMPLATE" in text, path
    adapter = MethodSpec("my_2nd_method", f"{files[0]}:My2ndMethod").build()
    assert "TEMPLATE" in type(adapter).__doc__ and adapter.family == "baseline"


@pytest.mark.parametrize("name", ["", "My", "my-method", "1st", "class", "a/b", "..", "x" * 41, "méthode", "_x", "a b"])
def test_a_bad_name_is_refused(name, tmp_path):
    with pytest.raises(HarnessError, match="expected a name"):
        write_method(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_method_or_folder_that_is_there_is_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(HarnessError, match="glvd: there is a method"):
        write_method("glvd", tmp_path)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["new", "mine"])
    assert ended.value.code == 2
    assert list((tmp_path / "mine").iterdir()) == []


def test_names_of_classes():
    assert [class_name(n) for n in ("x", "my_method", "deca2_v1")] == ["X", "MyMethod", "Deca2V1"]
