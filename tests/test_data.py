"""Where data is found: real, mirror, or neither; the mirror is written once, whole, and checked by its digest."""

import multiprocessing
import os
import signal
import time

import pytest

from harness import DataError, HarnessError
from harness.benchmark import DataKind
from harness.data import check_complete, ensure_mirror, locate, mirror_folder, mirror_is_intact
from tests.toys import ToyDataset


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class SlowMirror(ToyDataset):
    """Leaves a line for each time it is written."""

    @staticmethod
    def write_mirror(folder, progress):
        with (folder.parent / "times.log").open("a") as log:
            log.write("once\n")
        for i in range(10):
            (folder / f"part{i}.txt").write_text(str(i))
            progress((i + 1) / 10)
            time.sleep(0.05)


def test_auto_prefers_real_and_falls_back_to_the_mirror(tmp_path, caplog):
    assert locate(ToyDataset, "auto", tmp_path / "data").kind is DataKind.MIRROR
    assert "MIRROR" in caplog.text
    (tmp_path / "data/toy").mkdir(parents=True)
    assert locate(ToyDataset, "auto", tmp_path / "data").kind is DataKind.MIRROR  # an empty folder is no data set
    (tmp_path / "data/toy/file").write_text("x")
    assert locate(ToyDataset, "auto", tmp_path / "data").kind is DataKind.REAL
    assert locate(ToyDataset, "mirror", tmp_path / "data").kind is DataKind.MIRROR


def test_real_never_falls_back(tmp_path):
    with pytest.raises(DataError, match=r"data/toy: no real toy data .*nowhere.*data=mirror"):
        locate(ToyDataset, "real", tmp_path / "data")


def test_other_words_are_refused(tmp_path):
    with pytest.raises(HarnessError, match="data=fake: expected auto, real or mirror"):
        locate(ToyDataset, "fake", tmp_path)


def test_damaged_mirror_is_written_again():
    folder = ensure_mirror(ToyDataset)
    assert mirror_is_intact(ToyDataset)
    (folder / "truth.txt").write_text("2.0")
    assert not mirror_is_intact(ToyDataset)
    assert (ensure_mirror(ToyDataset) / "truth.txt").read_text() == "1.0"


def test_two_processes_write_it_once(cache):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=ensure_mirror, args=(SlowMirror,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (cache / "mirrors/times.log").read_text() == "once\n"
    assert mirror_is_intact(SlowMirror)


def test_killed_while_writing_leaves_no_half_mirror():
    context = multiprocessing.get_context("fork")
    process = context.Process(target=ensure_mirror, args=(SlowMirror,))
    process.start()
    time.sleep(0.25)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not mirror_folder(SlowMirror).exists()
    assert len(list(ensure_mirror(SlowMirror).glob("part*.txt"))) == 10


def test_missing_files_are_named_five_at_most(tmp_path):
    class Listed(ToyDataset):
        def files(self):
            return [self.folder / "there.txt", *(self.folder / f"deep/{i}.txt" for i in range(self.count))]

    dataset = Listed(1)
    dataset.folder, dataset.count = tmp_path, 0
    (tmp_path / "there.txt").write_text("x")
    check_complete(dataset)
    dataset.count = 1
    with pytest.raises(
        DataError, match=r"incomplete: deep/0\.txt missing\. Get it at nowhere \(open\), or use data=mirror$"
    ):
        check_complete(dataset)
    dataset.count = 7
    with pytest.raises(DataError, match=r"deep/0\.txt, .*deep/4\.txt and 2 more missing\. Ask a friend$"):
        check_complete(dataset, "Ask a friend")
