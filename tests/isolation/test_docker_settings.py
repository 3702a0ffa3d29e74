"""What a container is given, without an engine."""

from pathlib import Path

import pytest

from harness import HarnessError
from harness.isolation import docker, engine
from harness.isolation.options import IsolationOptions
from harness.method import MethodSpec


def launcher(tmp_path, **options):
    (tmp_path / "mine.py").write_text("")
    method = MethodSpec("mine", f"{tmp_path}/mine.py:Mine", options)
    return docker.DockerLauncher.of(
        method, IsolationOptions(kind="docker", memory_mb=100), options.pop("device", "cpu")
    )


def settings(tmp_path, **options):
    made = launcher(tmp_path, **options)
    made.__dict__["image_id"] = "sha256:0"
    return made._settings(tmp_path / "socket")


def test_everything_a_container_could_do_is_taken_away(tmp_path):
    given = settings(tmp_path)
    assert given["network_mode"] == "none"
    assert given["read_only"]
    assert given["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in given["security_opt"]
    assert given["user"] != "0:0"
    assert given["mem_limit"] == given["memswap_limit"] == "100m"
    assert given["pids_limit"] == 512
    assert "privileged" not in given
    assert given["device_requests"] is None


def test_only_the_needed_places_are_mounted_and_all_of_them_read_only(tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "a.pth").write_text("")
    folder = tmp_path / "method"
    folder.mkdir()
    mounts = settings(folder, checkpoint=str(weights / "a.pth"), own=f"{folder}/mine.py", size="a/b")["mounts"]
    assert all(mount["ReadOnly"] and mount["Type"] == "bind" for mount in mounts)
    wanted = {tmp_path / "method" / "socket", docker.WORKER, folder, weights / "a.pth"}
    assert {Path(mount["Source"]) for mount in mounts} == wanted


@pytest.mark.parametrize("place", [Path.home(), Path.home().parent, Path("/"), Path("/tmp"), Path("/etc")])
def test_a_folder_that_would_show_too_much_is_refused(place):
    with pytest.raises(HarnessError, match="put the adapter .* into a folder of its own"):
        docker.checked(place)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "docker", None)
    with pytest.raises(HarnessError, match=r"pip install 'face-recon-harness\[docker\]'"):
        engine.connect()
