"""A new method by following the README alone, in an empty folder: its row shows after at most 15 lines of code."""

import os
import re
import subprocess
import sys
import tokenize
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 15
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # where tests.toys is


def section() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own method")[2].partition("\n## ")[0]


def code() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", section(), re.DOTALL)
    return block


def command(word: str) -> list[str]:
    (line,) = [line for line in section().splitlines() if re.match(rf"    python -m ({word})\b", line)]
    return line.partition("#")[0].split()


def lines_of_code(text: str) -> int:
    """Lines that hold anything but comments and docstrings."""
    lines, before = set(), tokenize.NEWLINE
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        docstring = token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT)
        if token.string.strip() and not docstring and token.type != tokenize.ENDMARKER:
            lines |= set(range(token.start[0], token.end[0] + 1))
        before = token.type
    return len(lines)


def follow(words: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)


def test_lines_are_counted_without_comments_and_docstrings():
    assert lines_of_code('"""Doc."""\n\n# note\nx = 1  # one\ny = """a\nb"""\n') == 3


def test_the_method_of_the_readme_is_short():
    assert 5 < lines_of_code(code()) <= MOST_LINES


def test_the_method_of_the_readme_runs_as_it_stands(tmp_path):
    (tmp_path / "my_method.py").write_text(code(), encoding="utf-8")
    words = command("harness run")
    words[words.index("bench=h3ds")] = "bench=toy"  # without files; the next test runs the true command
    result = follow([*words, "--config-dir", str(ROOT / "tests" / "configs")], tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"MyMethod .*12/12", result.stdout), result.stdout


@pytest.mark.slow
def test_everything_that_the_readme_says_in_an_empty_folder(tmp_path):
    (tmp_path / "my_method.py").write_text(code(), encoding="utf-8")
    row = follow(command("harness run"), tmp_path)
    assert row.returncode == 0, row.stderr
    assert re.search(r"MyMethod .*24/24", row.stdout), row.stdout
    doctor = follow(command("harness doctor"), tmp_path)
    assert doctor.returncode == 0, doctor.stdout
    words = command("pytest")
    conformance = follow([*words[:3], "-p", "harness.conformance.plugin", *words[3:]], tmp_path)
    assert conformance.returncode == 0, conformance.stdout
