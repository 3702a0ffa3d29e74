"""What a watched process does is noted, with the line that did it, and nothing else is."""

import json
import subprocess
import sys
from pathlib import Path

WATCHED = """
import json, os, socket, subprocess, sys, tempfile
from dataclasses import asdict
from pathlib import Path
from harness.doctor.watch import Watch
watch = Watch()
sys.addaudithook(watch)
watch.phase = "predict"
{body}
watch._busy = True
print(json.dumps([asdict(event) for event in watch.events]))
"""


def events(tmp_path: Path, body: str, **environment: str) -> list[dict[str, str]]:
    script = tmp_path / "script.py"
    script.write_text(WATCHED.format(body=body))
    (tmp_path / "here").mkdir(exist_ok=True)
    result = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path / "here",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def test_everything_that_a_run_should_not_do_is_noted(tmp_path):
    body = """
open("a.txt", "w").close()
open("a.txt", "r+").close()
os.close(os.open("b.bin", os.O_WRONLY | os.O_CREAT))
Path("made").mkdir()
os.rename("a.txt", "c.txt")
subprocess.run(["true"])
with socket.socket() as s:
    s.settimeout(0.1)
    s.connect_ex(("127.0.0.1", 9))
try:
    socket.getaddrinfo("name.invalid", 443)
except OSError:
    pass
Path(os.environ["HOME"], ".cache", "mine").mkdir(parents=True)
"""
    found = events(tmp_path, body)
    here = str(tmp_path / "here")
    noted = {(event["kind"], event["what"]) for event in found}
    assert {
        ("write", f"{here}/a.txt"),
        ("write", f"{here}/b.bin"),
        ("write", f"{here}/made"),
        ("write", f"{here}/c.txt"),
        ("program", "true"),
        ("network", "127.0.0.1:9"),
        ("network", "name.invalid:443"),
        ("cache", f"{tmp_path}/.cache/mine"),
    } <= noted
    assert {event["phase"] for event in found} == {"predict"}
    written = next(event for event in found if event["what"].endswith("b.bin"))
    place, _, line = written["place"].rpartition(":")
    assert "b.bin" in Path(place).read_text().splitlines()[int(line) - 1]


def test_reading_and_scratch_files_are_nobodys_concern(tmp_path):
    body = """
open(__file__).read()
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "scratch.txt").write_text("x")
open(os.devnull, "w").close()
import colorsys
with socket.socket(socket.AF_UNIX) as s:
    s.connect_ex("nowhere.sock")
"""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert events(tmp_path, body, TMPDIR=str(scratch)) == []
