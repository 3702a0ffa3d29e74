"""The command line: names, files and classes that are wrong give one helpful message and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import HarnessError, catalogue, jobs
from harness.cli import COMMANDS, main
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


TOY = ("run", "method=tests.toys:Good", "bench=toy", "--config-dir", "tests/configs")


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
        (["train", "method=lvd", "+settings.stepps=3"], "stepps"),
        (["evaluate", "bench=toy", "--config-dir", "tests/configs"], "predictions=VALUE, unit=VALUE: required"),
        (["evaluate", "bench=toy", "--config-dir", "tests/configs", "predictions=configs", "unit=mm"], "s0000.ply"),
        (["run", "method=tests.toys:Good", "bench=toy", "--config-dir", "nowhere"], "nowhere: no such folder"),
        (["run", "method=Good", "bench"], "unknown"),
        ([*TOY, "seed=many"], "seed"),
        ([*TOY, "speed=9"], "speed"),
        ([*TOY, "bench.views=[1"], "no viable alternative"),
        ([*TOY, "batch_size=0"], "batch_size=0: expected at least 1"),
        ([*TOY, "geometry=embree"], "geometry=embree: expected warp or pytorch3d"),
    ],
)
def test_user_mistake_gives_a_message_and_no_traceback(arguments, words):
    result = harness(*arguments)
    message = " ".join(result.stderr.split())
    assert result.returncode == 2, message
    assert words in message
    assert "Traceback" not in message


def test_one_failing_method_does_not_cost_the_others_their_table(tmp_path):
    methods = "method=tests.toys:BrokenLoad,tests.toys:Good"
    result = harness("run", "-m", methods, "bench=toy", "--config-dir", "tests/configs", f"runs={tmp_path}")
    assert result.returncode == 2
    assert "weights are gone" in result.stderr
    assert "Good" in result.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy-mirror"]


def test_class_named_as_a_method_is_refused(tmp_path):
    (tmp_path / "a.py").write_text(AUTHOR.replace("MyMethod", "glvd"))
    with pytest.raises(HarnessError, match="there is a method glvd already"):
        jobs.prepare([f"method={tmp_path}/a.py:glvd"])


def test_two_classes_of_one_name_both_run(tmp_path):
    for name, size in (("a", "0.1"), ("b", "0.2")):
        (tmp_path / f"{name}.py").write_text(AUTHOR.replace("0.1", size))
    methods = f"method={tmp_path}/a.py:MyMethod,{tmp_path}/b.py:MyMethod"
    result = harness("run", "-m", methods, "bench=toy", "--config-dir", "tests/configs", f"runs={tmp_path}/runs")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "runs/toy-mirror").iterdir())) == 2


def test_help_names_every_command(capsys):
    main(["--help"])
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)
    for command in ("run", "evaluate", "train"):
        main([command, "--help"])
        assert "device" in capsys.readouterr().out


def test_every_configured_method_names_an_adapter_and_what_it_is():
    for name, about in catalogue.entries("method").items():
        assert about, f"configs/method/{name}.yaml has no first line that says what it is"


def test_nearest_name():
    with pytest.raises(HarnessError, match="did you mean mean_face"):
        catalogue.check("method", "meanface")


def test_prepare_registers_classes_by_place():
    method, bench, seed = jobs.prepare(["method=tests.toys:Good,mean_face", "bench=h3ds", "seed=1"])
    assert method.startswith("method=Good_") and method.endswith(",mean_face")
    assert (bench, seed) == ("bench=h3ds", "seed=1")


@pytest.mark.parametrize("reference", ["nocolon", ":Name", "module:"])
def test_reference_without_both_parts_is_refused(reference):
    with pytest.raises(HarnessError, match="expected package.module:Name"):
        load_object(reference)


def test_digests_follow_the_source_and_the_declared_files(tmp_path):
    file, weights = tmp_path / "method_a.py", tmp_path / "weights.bin"
    declares = f"    def files(self):\n        from pathlib import Path\n        return [Path({str(weights)!r})]\n"
    versions = []
    for text, content in ((AUTHOR, "1"), (AUTHOR + declares, "1"), (AUTHOR + declares, "2")):
        file.write_text(text)
        weights.write_text(content)
        versions.append(MethodSpec("a", f"{file}:MyMethod").digests())
    assert len({str(version) for version in versions}) == 3


def test_failures_are_said_while_the_run_goes_on(tmp_path):
    result = harness("run", "method=tests.toys:Bad", "bench=toy", "--config-dir", "tests/configs", f"runs={tmp_path}")
    assert result.returncode == 0
    assert "s0003: no_face. nothing there" in result.stderr
    assert "2/12" in result.stdout
