"""A run written as a submission: read back it is the same, and what is left out is said."""

from dataclasses import replace

import numpy as np
import pytest

from harness import HarnessError, MethodAdapter, Prediction
from harness.benchmark import Benchmark
from harness.datasets.now import Now
from harness.export import ExportOptions, export
from harness.isolation import calls
from harness.method import MethodSpec
from harness.protocols.now import NowMetrical
from harness.protocols.scores import SampleScore
from harness.runner import RunOptions, run
from harness.stored_predictions import stored_method
from tests.datasets.now_layout import FACE, PHOTOS, write_now
from tests.test_cli import harness
from tests.toys import ToyDataset, ToyProtocol

IDS = [36, 39, 42, 45, 33, 48, 54]
FACES = np.array([[0, 1, 4], [2, 3, 4], [4, 5, 6]])


class Smiling(MethodAdapter):
    """Has a neutral face too, which is 1 % larger."""

    unit = "cm"

    def __init__(self, neutral: bool = True, knows_landmarks: bool = True) -> None:
        self.neutral, self.knows_landmarks = neutral, knows_landmarks

    def load(self, device):
        pass

    def predict(self, samples):
        return [self.answer(sample) for sample in samples]

    def answer(self, sample):
        if "selfie" in sample.id:
            return Prediction.failed("no_face", "too near")
        landmarks = np.random.default_rng(1).normal(0, 4, (68, 3))
        landmarks[IDS] = FACE / 10
        if not self.knows_landmarks:
            landmarks[33] = np.nan
        answer = Prediction(FACE / 10, FACES, landmarks)
        if not self.neutral:
            return answer
        return replace(answer, neutral_vertices=FACE / 10 * 1.01, neutral_landmarks=landmarks * 1.01)


def bench(root, split="test"):
    return Benchmark("now", Now("real", root, split=split), (ToyProtocol(),))


class InThisProcess:
    """Stands in for the worker process, which takes seconds to start."""

    def __init__(self, method, device, seed, timeout_s):
        self.adapter = method.build()

    def predict(self, samples):
        return calls.predict(self.adapter, samples, 0)

    def close(self):
        pass


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.runner.WorkerProcess", InThisProcess)
    write_now(tmp_path, split="test", truth=False)
    return tmp_path


def predicted(root, **options):
    spec = MethodSpec("smiling", "tests.test_export:Smiling", options)
    return run(bench(root), spec, {}, RunOptions(root=root / "runs"))


@pytest.mark.parametrize("unit", ["m", "mm"])
@pytest.mark.parametrize("form", ["obj", "ply"])
def test_what_is_written_reads_back_as_the_neutral_face(root, unit, form, caplog):
    caplog.set_level("INFO")
    folder = predicted(root)
    assert not folder.is_complete() and folder.has_prediction(bench(root).samples()[0].id)
    export(folder, bench(root), ExportOptions(root / "out", unit, form))
    files = sorted(str(p.relative_to(root / "out")) for p in (root / "out").rglob("*") if p.is_file())
    assert files == sorted(f"{photo}.{suffix}" for photo in (PHOTOS[0], PHOTOS[2]) for suffix in (form, "npy"))
    assert np.load(root / f"out/{PHOTOS[0]}.npy").shape == (7, 3)
    factor = {"m": 1000, "mm": 1}[unit]
    assert np.allclose(np.load(root / f"out/{PHOTOS[0]}.npy") * factor, FACE * 1.01, rtol=1e-12)
    back, missing, _ = stored_method("out", root / "out", unit, bench(root)).build().predict(bench(root).samples())
    assert np.allclose(back.vertices * factor, FACE * 1.01, rtol=1e-12) and np.array_equal(back.faces, FACES)
    assert missing.failure == "missing"
    assert f"{PHOTOS[1].replace('/', '__')}: not written, no_face: too near" in caplog.text
    assert f"2 of 3 samples written to {root / 'out'}" in caplog.text and f"Their unit is {unit}" in caplog.text
    assert "Samples without an answer: 1" in caplog.text and "expression" not in caplog.text


def test_an_expressive_mesh_is_said(root, caplog):
    export(predicted(root, neutral=False), bench(root), ExportOptions(root / "out"))
    assert "Meshes with expression and pose: 2" in caplog.text


def test_a_landmark_that_the_method_does_not_know(root, caplog):
    export(predicted(root, knows_landmarks=False), bench(root), ExportOptions(root / "out"))
    assert "not written, one of the landmarks [36, 39, 42, 45, 33, 48, 54] is unknown" in caplog.text


def test_mistakes_are_named(root):
    folder = predicted(root)
    options = ExportOptions(root / "out")
    write_now(root)
    with pytest.raises(HarnessError, match=r"another|other than the 3|has 3 samples of real data") as error:
        export(folder, Benchmark("now", Now("real", root, challenge="selfie"), (ToyProtocol(),)), options)
    assert "has 3 samples of real data, other than the 1 of real data asked for" in str(error.value)
    with pytest.raises(HarnessError, match="is a run of bench=now, not of toy"):
        export(folder, Benchmark("toy", ToyDataset(3), (ToyProtocol(),)), options)
    with pytest.raises(HarnessError, match="there is no run"):
        export(type(folder)(root / "nowhere"), bench(root), options)
    (folder.path / "predictions" / f"{bench(root).samples()[0].id}.npz").unlink()
    with pytest.raises(HarnessError, match=r"1 of 3 samples are not predicted yet \(a__multiview_neutral__IMG_0001"):
        export(folder, bench(root), options)
    with pytest.raises(HarnessError, match="unit=inch: expected m, cm, mm"):
        ExportOptions(root / "out", unit="inch")
    with pytest.raises(HarnessError, match="format=stl: expected obj or ply"):
        ExportOptions(root / "out", format="stl")


def test_files_are_never_mixed_with_others(root):
    folder = predicted(root)
    (root / "out").mkdir()
    (root / "out/old.obj").write_text("")
    with pytest.raises(HarnessError, match="already holds something; name a new folder"):
        export(folder, bench(root), ExportOptions(root / "out"))


def test_command_line_from_run_to_submission(root):
    """The run on the hidden split says the command that exports it; that command, as said, works."""
    common = ["bench=toy_now", "--config-dir", "tests/configs", "data=real", f"data_root={root}"]
    ran = harness("run", "method=tests.test_export:Smiling", "bench.split=test", f"runs={root}/runs", *common)
    assert ran.returncode == 0, ran.stderr
    assert "The ground truth of these samples is hidden" in " ".join(ran.stderr.split())
    command = ran.stdout.strip().replace("out=DIR", f"out={root}/out").split()
    assert command[:6] == ["python", "-m", "harness", "export", "bench=toy_now", "bench.split=test"]
    result = harness(*command[3:], "--config-dir", "tests/configs")
    assert result.returncode == 0, result.stderr
    assert (root / f"out/{PHOTOS[0]}.obj").is_file() and np.load(root / f"out/{PHOTOS[0]}.npy").shape == (7, 3)
    refused = harness("evaluate", "bench.split=test", f"predictions={root}/out", "unit=m", *common)
    assert refused.returncode == 2 and "hidden; they cannot be scored" in " ".join(refused.stderr.split())


def test_official_files_of_a_scored_run(tmp_path):
    names = {"1": "a/selfie/IMG_1", "2": "a/multiview_neutral/IMG_2", "3": "b/selfie/IMG_3", "4": "b/selfie/IMG_4"}
    distances = {i: np.random.default_rng(int(i)).gamma(2.0, 1.0, 100 + int(i)).astype(np.float32) for i in names}

    def row(i):
        if i == "3":
            return SampleScore(i, "b", {}, None, failure="no_face")
        values = dict.fromkeys(("median", "mean", "std"), 1.0)
        return SampleScore(i, "a", {}, values, arrays={"face/distances": distances[i]}.get)

    rows = [row(i) for i in names]
    files = NowMetrical().write_official_files(tmp_path, "me", rows, names)
    stem = "me_metrical_computed_distances"
    expected = {"": (["1", "2", "4"], 1), "_multiview_neutral": (["2"], 3), "_selfie": (["1", "4"], 2)}
    assert {p.name for p in files} == {f"{stem}{c}.npy{s}" for c in expected for s in ("", ".meanmedian")}
    for challenge, (ids, missing) in expected.items():
        stored = np.load(tmp_path / f"{stem}{challenge}.npy", allow_pickle=True, encoding="latin1").item()
        assert stored["num_missing_files"] == missing
        assert stored["input_files"].tolist() == [f"{names[i]}.jpg" for i in ids]
        assert all(map(np.array_equal, stored["computed_distances"], [distances[i] for i in ids]))
        pooled = np.concatenate([distances[i] for i in ids]).astype(np.float64)
        lines = (tmp_path / f"{stem}{challenge}.npy.meanmedian").read_text().splitlines()
        assert list(map(float, lines)) == [np.median(pooled), pooled.mean()]


def test_official_files_need_scores(root):
    with pytest.raises(HarnessError, match="is not scored"):
        export(predicted(root), bench(root), ExportOptions(root / "out", official_files=True))
