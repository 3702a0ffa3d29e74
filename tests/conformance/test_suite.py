"""The conformance suite passes what keeps the contract, and says of what breaks it how."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance import breaches

PLUGIN = ["-p", "harness.conformance.plugin", "-p", "no:cacheprovider", "-q"]
SUITE = "harness.conformance"


class Outcomes:
    """Collects what a run of pytest inside this one says."""

    def __init__(self):
        self.passed, self.failed = [], {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.failed[name] = str(report.longrepr)
        elif report.when == "call" and report.passed:
            self.passed.append(name)


def run(reference: str, *arguments: str, part: str = SUITE) -> Outcomes:
    outcomes = Outcomes()
    pytest.main([*PLUGIN, "--pyargs", part, "--method", reference, *arguments], plugins=[outcomes])
    return outcomes


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "reference", ["mean_face", "tests.conformance.breaches:ByPicture", "harness.methods.deca.adapter:DecaAdapter"]
)
def test_passes_what_keeps_the_contract(reference):
    outcomes = run(reference)
    assert outcomes.failed == {}
    assert len(outcomes.passed) >= 35


# The breach, the test that finds it, words of its message. Only this test is run, to save time.
CASES = [
    (breaches.NoUnit, "declarations", "test_declares_the_unit", "'inch', expected one of m, cm, mm"),
    (breaches.FilesThatAreNot, "declarations", "test_lists_files_that_exist", "/nowhere/weights.safetensors"),
    (breaches.TakesOptions, "declarations", "test_declares_the_unit", "does not take options"),
    (breaches.WrongUnit, "answers", "test_declared_unit_is_plausible", "wrong unit"),
    (breaches.TooFew, "answers", "test_one_prediction_per_sample_in_order", "1 predictions for 2 samples"),
    (breaches.NotInOrder, "answers", "test_one_prediction_per_sample_in_order", "when the samples change places"),
    (breaches.Dictionary, "answers", "test_answers_a_plain_portrait", "returned a dict, expected a harness.Prediction"),
    (breaches.OtherTriangles, "answers", "test_topology_is_constant", "the vertex order changes"),
    (breaches.LandmarksElsewhere, "answers", "test_landmarks_lie_on_the_mesh", "another frame or unit"),
    (breaches.RaisesOnBlack, "inputs", "test_odd_picture[black]", "has to return Prediction.failed(reason)"),
    (breaches.NeedsAMask, "inputs", "test_view_without[mask]", "'NoneType' object has no attribute 'any'"),
    (breaches.OneViewOnly, "inputs", "test_several_views", "too many values to unpack"),
    (breaches.PaintsOnItsInput, "inputs", "test_leaves_its_inputs_alone", "changes its input view.image in place"),
    (breaches.Chance, "repeats", "test_is_deterministic", "non-determinism"),
    (breaches.Counts, "repeats", "test_keeps_no_state", "state between samples"),
    (breaches.Averages, "repeats", "test_does_not_depend_on_the_batch", "dependence on batch size"),
    (breaches.NestedStages, "stages", "test_stages_follow_one_another", "stages follow one another"),
]


@pytest.mark.parametrize(("adapter", "part", "test", "words"), CASES, ids=lambda v: getattr(v, "__name__", None))
def test_names_what_breaks_the_contract(adapter, part, test, words):
    reference = f"tests.conformance.breaches:{adapter.__name__}"
    outcomes = run(reference, part=f"{SUITE}.test_{part}::{test}")
    assert words in outcomes.failed.get(test, ""), outcomes.failed


def test_options_of_the_class_are_given():
    part = f"{SUITE}.test_declarations"
    outcomes = run("tests.conformance.breaches:TakesOptions", "--option", "steps=3", part=part)
    assert outcomes.failed == {} and len(outcomes.passed) == 6


def test_from_an_empty_folder_without_a_method_it_says_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "pytest", *PLUGIN, "--pyargs", SUITE]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 4
    assert "--method path/to/file.py:Class is missing" in result.stderr


def test_the_options_exist_in_no_other_run_of_pytest(tmp_path):
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "harness.conformance.plugin", "-q"]
    plain = subprocess.run([*command, "test_nothing.py"], cwd=tmp_path, capture_output=True, text=True)
    assert plain.returncode == 0
    other = subprocess.run([*command, "--method=x", "test_nothing.py"], cwd=tmp_path, capture_output=True, text=True)
    assert other.returncode == 4 and "--method" in other.stderr


def test_the_plugin_knows_the_suite_by_every_name(monkeypatch):
    from harness.conformance import plugin

    here = Path(plugin.__file__).parent
    assert plugin.is_suite("harness.conformance") and plugin.is_suite("harness.conformance.test_inputs::test_x")
    assert plugin.is_suite(str(here)) and plugin.is_suite(f"{here}/test_inputs.py::test_odd_picture")
    assert not plugin.is_suite("tests/conformance") and not plugin.is_suite("--pyargs")
    assert not plugin.is_suite("harness.conformances")
