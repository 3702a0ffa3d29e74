"""Three small runs, made once: all samples scored, some failed, and one with scans."""

import shutil
import sys
from contextlib import contextmanager

import pytest
import streamlit

import harness.runner
from harness.benchmark import Benchmark
from harness.isolation import calls
from harness.method import MethodSpec
from harness.runner import RunOptions, run
from tests.leaderboards.balls import BallDataset, BallProtocol
from tests.leaderboards.browser import browsing
from tests.toys import ToyDataset, ToyProtocol


class InThisProcess:
    """Stands in for the worker process, which takes seconds to start; how runs are made is tested elsewhere."""

    def __init__(self, method, device, seed, timeout_s):
        self.adapter, self.seed = method.adapter_class()(**method.options), seed
        calls.load(self.adapter, device)

    def predict(self, samples):
        return calls.predict(self.adapter, samples, self.seed)

    def close(self):
        pass


@contextmanager
def in_this_process():
    """Runs that are made meanwhile start no process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.runner, "WorkerProcess", InThisProcess)
        yield


@pytest.fixture(scope="session")
def browser():
    """A page of the one browser: Playwright cannot be started twice in a process."""
    with browsing(accept_downloads=True) as page:
        yield page


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """Streamlit's AppTest leaves its script as `__main__`, which processes that are started later would run again."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(autouse=True)
def empty_caches():
    """What one test's pages keep, of data that other tests wrote elsewhere, is not shown in the next."""
    streamlit.cache_data.clear()
    streamlit.cache_resource.clear()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder of complete runs: treat as read-only."""
    with in_this_process():
        return make_runs(tmp_path_factory)


def make_runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    toy = Benchmark("toy", ToyDataset(6), (ToyProtocol(),))
    for name in ("Good", "Bad"):
        run(toy, MethodSpec(name, f"tests.toys:{name}"), {}, RunOptions(root=root))
    make_ball_run(root, tmp_path_factory.mktemp("data"), "LargerBall")
    return root


def make_ball_run(root, data_root, method):
    """Runs one of the methods of `tests.leaderboards.balls`, on scans that a page can open again."""
    (data_root / "ball").mkdir(exist_ok=True)
    (data_root / "ball" / "ball.txt").write_text("round")
    config = {
        "bench": {
            "_target_": "harness.benchmark.Benchmark",
            "name": "ball",
            "dataset": {"_target_": "tests.leaderboards.balls.BallDataset", "data": "auto", "data_root": "data"},
            "protocols": [{"_target_": "tests.leaderboards.balls.BallProtocol"}],
        },
        "data": "auto",
        "data_root": "data",
    }
    benchmark = Benchmark("ball", BallDataset("real", str(data_root)), (BallProtocol(),))
    run(benchmark, MethodSpec(method, f"tests.leaderboards.balls:{method}"), config, RunOptions(root=root))


@pytest.fixture(scope="session")
def ball_pair(tmp_path_factory):
    """A folder of two runs on the same scans: treat as read-only."""
    root, data_root = tmp_path_factory.mktemp("pair"), tmp_path_factory.mktemp("data")
    with in_this_process():
        for name in ("LargerBall", "SmallerBall"):
            make_ball_run(root, data_root, name)
    return root


@pytest.fixture
def runs_folder(finished, tmp_path):
    """A copy of the complete runs that a test may damage."""
    return shutil.copytree(finished, tmp_path / "runs")
