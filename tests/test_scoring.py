"""Scoring several samples at once gives what scoring each alone gives, whatever happens to one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.benchmark import Benchmark
from harness.method import MethodSpec
from harness.protocols.now import Now, NowMetrical
from harness.protocols.now_strict import NowStrict
from harness.runner import RunOptions, run
from harness.samples import Prediction
from harness.scoring import score, score_all, score_samples
from tests.protocols import now_heads
from tests.toys import ToyDataset, ToyProtocol


def cases():
    """Good ones, one without landmarks, one whose landmarks lie on a line, one that failed, one mirrored."""
    good = now_heads.prediction()
    return [
        good,
        Prediction(good.vertices, good.faces),
        now_heads.changed(good, 1.1, (0.1, 0, 0.2), (3, 2, 1)),
        now_heads.with_landmarks(good, np.outer(np.arange(7.0), [1, 2, 3])),
        Prediction.failed("no_face", "nobody there"),
        now_heads.mirrored(good),
        replace(now_heads.prediction(3.0, 2, seed=5)),
    ]


@pytest.mark.parametrize("protocol", [Now(), NowMetrical(), NowStrict()], ids=lambda p: p.name)
def test_several_at_once_score_as_each_alone(protocol):
    predictions, truth = cases(), now_heads.truth()
    found = score_all(protocol, predictions, [truth] * len(predictions))
    assert [s.failure for s in found].count(None) >= 4 and {"no_face", "no_landmarks"} <= {s.failure for s in found}
    for prediction, mine in zip(predictions, found, strict=True):
        alone = score(protocol, prediction, truth)
        assert (mine.values, mine.failure, mine.detail) == (alone.values, alone.failure, alone.detail)
        assert mine.diagnostics == alone.diagnostics and mine.warnings == alone.warnings
        if alone.failure is None:
            assert np.array_equal(mine.per_point["face"][1], alone.per_point["face"][1])


def test_one_that_nobody_foresaw_leaves_the_others_their_scores():
    class Fragile(ToyProtocol):
        def score(self, prediction, truth):
            if truth is None:
                raise ZeroDivisionError("surprise")
            return super().score(prediction, truth)

    good = now_heads.prediction()
    found = score_all(Fragile(), [good, good, good], [1.0, None, 1.0])
    assert [s.failure for s in found] == [None, "crash", None] and "surprise" in found[1].detail


def test_a_gpus_way_to_score_keeps_the_same_records(tmp_path):
    """Several samples at once, failures and their fall-backs among them; the toy protocol computes wherever asked."""
    bench = Benchmark("toy", ToyDataset(40), (ToyProtocol(), ToyProtocol("other")))
    folder = run(bench, MethodSpec("Bad", "tests.toys:Bad"), {}, RunOptions(root=tmp_path))
    samples = bench.samples()
    records = [folder.score(sample.id) for sample in samples]
    assert len({r["protocols"]["other"]["failure"] for r in records}) > 2
    for file in (folder.path / "scores").iterdir():
        file.unlink()
    done = list(score_samples(folder, samples, bench.on("cuda"), workers=1))
    assert [len(chunk) for chunk in done] == [16, 16, 8]
    assert [folder.score(sample.id) for sample in samples] == records
