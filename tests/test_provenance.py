"""What a GPU says of itself: asked by its own name, and silence is no error."""

import subprocess
from types import SimpleNamespace

import pytest
import torch

from harness import provenance


@pytest.fixture
def card(monkeypatch):
    """A CUDA device that is not there; returns what nvidia-smi was asked."""
    properties = SimpleNamespace(name="Some GPU", total_memory=2**34, multi_processor_count=100, uuid="1234-5678")
    answers = {"power.limit": "300.00 W", "driver_version": "999.1", "clocks.applications.graphics": "[N/A]"}
    asked = []

    def run(command, **_):
        asked.append(command)
        query = command[1].partition("=")[2]
        if query not in answers:
            raise subprocess.CalledProcessError(2, command)
        return SimpleNamespace(stdout=answers[query] + "\n")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(subprocess, "run", run)
    provenance.gpu_record.cache_clear()
    yield asked
    provenance.gpu_record.cache_clear()


def test_a_gpu_is_asked_by_its_own_name_and_may_keep_silent(card):
    record = provenance.gpu_record("cuda:1")
    assert (record["name"], record["memory_mib"], record["multiprocessors"]) == ("Some GPU", 16384, 100)
    assert (record["power_limit"], record["driver"]) == ("300.00 W", "999.1")
    assert record["application_clock"] is None
    assert record["highest_sm_clock"] is None
    assert all(command[-2:] == ["-i", "GPU-1234-5678"] for command in card)


def test_the_hardware_of_a_gpu_run_names_gpu_and_processor(card):
    name = provenance.hardware("cuda")
    assert name.startswith(f"Some GPU with {provenance.cpu_name()}, ")
    assert "thread" not in name
    assert provenance.hardware("cpu") != name


def test_clocks_of_a_gpu_are_read_now(card):
    now = provenance.clocks("cuda")
    assert {"load_average", "cpu_khz", "sm_clock", "memory_clock", "temperature"} == set(now)


def test_without_cuda_there_is_no_gpu_and_no_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert provenance.hardware_record("cuda")["gpu"] is None
    assert "load_average" in provenance.clocks("cpu")
