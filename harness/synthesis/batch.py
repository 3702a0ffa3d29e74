"""Writing many people at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import torch


def write_all(
    write: Callable[..., None],
    jobs: Sequence[tuple[Any, ...]],
    workers: int,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Calls `write(*job)` for every job.

    Args:
        write: a module's function; jobs must be picklable, and their results must not depend on each other.
        jobs: arguments of each call.
        workers: processes; 1 works in this one.
        progress: called with the finished share, 0..1.
    """
    report = progress or (lambda share: None)
    if workers == 1:
        for done, job in enumerate(jobs, start=1):
            write(*job)
            report(done / len(jobs))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(write, *job) for job in jobs]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            report(done / len(jobs))
