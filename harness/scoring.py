"""Scores what has been predicted, in several processes where that pays; each score is on disk as soon as it exists."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.benchmark import Benchmark
from harness.environment import environment
from harness.errors import HarnessError
from harness.geometry.backend import Backend, chosen, using
from harness.protocols.base import Protocol
from harness.protocols.scores import Score
from harness.run_folder import RunFolder
from harness.samples import Prediction, Sample

log = logging.getLogger(__name__)

LEAST_FOR_PROCESSES = 16  # samples; a process takes seconds to start
TOGETHER_ON_GPU = 16  # samples
LARGEST_CHUNK = 8  # samples that a process gets at once
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def score_samples(
    folder: RunFolder, samples: Sequence[Sample], benchmark: Benchmark, workers: int
) -> Iterator[list[Sample]]:
    """Scores samples under every protocol of the benchmark; yields those that are done.

    Args:
        folder: has the predictions, gets the scores.
        samples: what to score.
        benchmark: truth and protocols.
        workers: processes; with 1, or few samples, this one does the work.

    Raises:
        HarnessError: a truth cannot be read, the disk is full, or a process died.
    """
    on_gpu = any(protocol.device != "cpu" for protocol in benchmark.protocols)
    if on_gpu or workers <= 1 or len(samples) < LEAST_FOR_PROCESSES:
        size = TOGETHER_ON_GPU if on_gpu else 1
        for i in range(0, len(samples), size):
            score_together(folder, samples[i : i + size], benchmark)
            yield list(samples[i : i + size])
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start_process, (benchmark, folder.path, chosen()))
    try:
        with environment(dict.fromkeys(THREADS, "1")), pool:  # the processes share the cores already
            futures = {pool.submit(_score_chunk, chunk): chunk for chunk in chunks(samples)}
            try:
                for future in as_completed(futures):
                    future.result()
                    yield futures[future]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise HarnessError(
            "a scoring process was ended from outside, perhaps for lack of memory. Scores on disk are kept; give the "
            "command again, with workers=1 if memory is short"
        ) from None


def chunks(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Consecutive samples of one subject, so that a process reads their truth once."""
    groups = [list(members) for _, members in groupby(samples, key=lambda sample: sample.subject)]
    return [group[i : i + LARGEST_CHUNK] for group in groups for i in range(0, len(group), LARGEST_CHUNK)]


def score_together(folder: RunFolder, samples: Sequence[Sample], benchmark: Benchmark) -> None:
    """Scores some predictions, and what stands in for those where a protocol that has such a thing failed."""
    predictions = [folder.prediction(sample.id) for sample in samples]
    truths = [benchmark.truth(sample) for sample in samples]
    scores: list[dict[str, Score]] = [{} for _ in samples]
    fallbacks: list[dict[str, Score]] = [{} for _ in samples]
    for protocol in benchmark.protocols:
        for mine, found in zip(scores, score_all(protocol, predictions, truths), strict=True):
            mine[protocol.name] = found
        failed = [i for i, mine in enumerate(scores) if mine[protocol.name].failure is not None]
        if failed and protocol.fallback != "none":
            stand_ins = [protocol.stand_in(truths[i]) for i in failed]
            found_instead = score_all(protocol, stand_ins, [truths[i] for i in failed])
            for i, instead in zip(failed, found_instead, strict=True):
                fallbacks[i][protocol.name] = instead
    for sample, mine, instead_of_failed in zip(samples, scores, fallbacks, strict=True):
        folder.keep_score(sample, mine, instead_of_failed)


def score_all(protocol: Protocol, predictions: Sequence[Prediction], truths: Sequence[Any]) -> list[Score]:
    """The scores of several predictions, each as `score` gives it."""
    worked = [(p, truth) for p, truth in zip(predictions, truths, strict=True) if p.failure is None]
    try:
        found = protocol.score_together(worked)
    except Exception:  # one of them must not keep the others from their scores
        if len(worked) > 1:
            log.warning("%s: scores %d samples one by one", protocol.name, len(worked), exc_info=True)
        found = [score(protocol, *case) for case in worked]
    scores = iter(found)
    return [Score.failed(p.failure, p.detail) if p.failure is not None else next(scores) for p in predictions]


def score(protocol: Protocol, prediction: Prediction, truth: Any) -> Score:
    """Scores one prediction; a failed one gives a failed score, and so does one that no protocol foresaw."""
    if prediction.failure is not None:
        return Score.failed(prediction.failure, prediction.detail)
    try:
        return protocol.score(prediction, truth)
    except Exception as error:  # whatever it is, it must not keep the other samples from their scores
        log.exception("%s could not score a prediction", protocol.name)
        return Score.failed("crash", f"{protocol.name} raised {type(error).__name__}: {error}")


_work: tuple[RunFolder, Benchmark, Backend] | None = None  # of a scoring process


def _start_process(benchmark: Benchmark, path: Path, backend: Backend) -> None:
    global _work
    _work = (RunFolder(path), benchmark, backend)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()  # a killed run leaves no process behind


def _score_chunk(samples: Sequence[Sample]) -> None:
    assert _work is not None
    folder, benchmark, backend = _work
    with using(backend):
        for sample in samples:
            score_together(folder, [sample], benchmark)
