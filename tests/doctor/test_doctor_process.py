"""The doctor as a command: processes of their own, exit codes, JSON; methods that connect, write, die."""

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.doctor import command
from harness.doctor.command import diagnose, json_option
from harness.doctor.exam import exam
from harness.doctor.findings import Verdict
from harness.errors import HarnessError
from harness.method import MethodSpec

PLACE = "tests.doctor.wrong_adapters"


@pytest.fixture(autouse=True)
def two_people(monkeypatch):
    monkeypatch.setattr(command, "exam", lambda form: exam(form, 2))


def spec(name: str) -> MethodSpec:
    return MethodSpec(name, f"{PLACE}:{name}")


def test_what_a_method_does_besides_answering_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {finding.name: finding for finding in diagnose(spec("Busy")).findings}
    network, files, programs = (found[name] for name in ("network access", "write access", "other programs"))
    assert network.verdict is files.verdict is Verdict.WRONG
    assert programs.verdict is Verdict.WARNING
    assert "127.0.0.1:9 in load()" in network.evidence
    assert files.evidence.startswith("debug.txt in predict()") and "debug.bin" in files.evidence
    assert "true in load()" in programs.evidence
    lines = Path(__file__).with_name("wrong_adapters.py").read_text().splitlines()
    line = int(network.evidence.rpartition("wrong_adapters.py:")[2].split()[0])
    assert "connect_ex" in lines[line - 1]


def test_a_method_that_dies_is_a_finding_and_the_doctor_goes_on():
    diagnosis = diagnose(spec("Dies"))
    (crash,) = diagnosis.wrong
    assert crash.name == "crash or invalid answer" and "exit code 7" in crash.evidence
    assert all(finding.verdict is Verdict.UNDECIDED for finding in diagnosis.findings if finding is not crash
               and finding.name not in ("network access", "write access", "other programs"))  # fmt: skip


def test_a_method_that_does_not_load_is_a_finding():
    diagnosis = diagnose(spec("DoesNotLoad"))
    (crash,) = diagnosis.wrong
    assert "weights are gone" in crash.evidence and "load()" in crash.remedy


@pytest.mark.usefixtures("in_process")
def test_the_command_ends_with_0_or_1_and_writes_json(tmp_path, capsys):
    main(["doctor", f"method={PLACE}:Truthful", "device=cpu", "--json", str(tmp_path / "good.json")])
    good = json.loads((tmp_path / "good.json").read_text())
    assert {finding["verdict"] for finding in good["findings"]} == {"ok", "undecided"}
    assert "Nothing to mend" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["doctor", f"method={PLACE}:SidesSwapped", "device=cpu", f"--json={tmp_path}/bad.json"])
    assert ended.value.code == 1
    bad = json.loads((tmp_path / "bad.json").read_text())
    assert [f["name"] for f in bad["findings"] if f["verdict"] == "wrong"] == ["left/right swap"]
    assert "To mend: left/right swap" in " ".join(capsys.readouterr().out.split())


def test_mistakes_on_the_command_line_are_messages(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "method=mean_fac"])
    assert ended.value.code == 2
    with pytest.raises(HarnessError, match="expected a file"):
        json_option(["method=lvd", "--json"])
