"""The command line: names, files and classes that are wrong give one helpful message and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import HarnessError, catalogue, jobs
from harness.cli import main
from harness.method import MethodSpec, load_object

ROOT = Path(__file__).resolve().parents[1]

AUTHOR = """
import numpy as np
from harness import MethodAdapter, Prediction

class MyMethod(MethodAdapter):
    \"\"\"Always the same triangle.\"\"\"
    unit = "m"

    def load(self, device):
        self.net = lambda sample: np.eye(3) * 0.1

    def predict(self, samples):
        return [Prediction(self.net(s), np.array([[0, 1, 2]]), np.zeros((68, 3))) for s in samples]
"""


def harness(*arguments, cwd=ROOT):
    return subprocess.run([sys.executable, "-m", "harness", *arguments], cwd=cwd, capture_output=True, text=True)


def test_an_authors_own_file_runs_without_touching_the_repository(tmp_path):
    (tmp_path / "mine.py").write_text(AUTHOR)
    result = harness(
        "run", "-m", f"method={tmp_path}/mine.py:MyMethod,tests.toys:Good", "bench=toy",
        "--config-dir", "tests/configs", f"runs={tmp_path}/runs",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "MyMethod" in result.stdout
    assert "Good" in result.stdout
    assert "MIRROR" in result.stdout
    assert len(list((tmp_path / "runs" / "toy-mirror").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runn"], "did you mean run"),
        (["run", "method=glvdd", "bench=h3ds"], "method=glvdd: unknown; did you mean glvd"),
        (["run", "method=glvd", "bench=h3d"], "bench=h3d: unknown; did you mean h3ds"),
        (["run", "method=nowhere.py:My", "bench=h3ds"], "nowhere.py: no such file"),
        (["run", "method=tests.toys:Godo", "bench=h3ds"], "has no Godo; it defines"),
        (["run", "method=tests.toys:ToyDataset", "bench=h3ds"], "not a subclass of harness.MethodAdapter"),
        (
            ["evaluate", "bench=toy", "--config-dir", "tests/configs", "predictions=nowhere", "unit=mm"],
            "no such folder",
        ),
        (["train", "method=mean_face"], "cannot be trained"),
    ],
)
def test_user_mistake_gives_a_message_and_no_traceback(arguments, words):
    result = harness(*arguments)
    message = " ".join(result.stderr.split())
    assert result.returncode == 2, message
    assert words in message
    assert "Traceback" not in message


def test_wrong_type_and_unknown_key_are_refused():
    toy = ("run", "method=tests.toys:Good", "bench=toy", "--config-dir", "tests/configs")
    for override, words in (("seed=many", "seed"), ("speed=9", "speed")):
        result = harness(*toy, override)
        assert result.returncode != 0
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_help_needs_no_heavy_import(capsys):
    main(["--help"])
    assert "leaderboard" in capsys.readouterr().out


def test_every_configured_method_names_an_adapter_and_what_it_is():
    for name, about in catalogue.entries("method").items():
        assert about, f"configs/method/{name}.yaml has no first line that says what it is"


def test_nearest_name():
    with pytest.raises(HarnessError, match="did you mean mean_face"):
        catalogue.check("method", "meanface")


def test_prepare_registers_classes_by_place():
    assert jobs.prepare(["method=tests.toys:Good,mean_face", "bench=h3ds", "seed=1"]) == [
        "method=Good,mean_face",
        "bench=h3ds",
        "seed=1",
    ]


@pytest.mark.parametrize("reference", ["nocolon", ":Name", "module:"])
def test_reference_without_both_parts_is_refused(reference):
    with pytest.raises(HarnessError, match="expected package.module:Name"):
        load_object(reference)


def test_source_digest_follows_the_file(tmp_path):
    file = tmp_path / "method_a.py"
    file.write_text(AUTHOR)
    before = MethodSpec("a", f"{file}:MyMethod").source_digest()
    file.write_text(AUTHOR.replace("0.1", "0.2"))
    assert MethodSpec("a", f"{file}:MyMethod").source_digest() != before
