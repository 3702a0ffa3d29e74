"""Writing many people at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import torch

from harness.environment import environment

ALIKE = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
}
"""Environment in which numpy, OpenBLAS, torch and MKL round alike on every x86-64 processor that has AVX2.

The features of AVX-512 that numpy has to leave alone go by its old and its new names. MKL is asked for the code that it
runs on processors of other makers, since its own for AVX2 rounds otherwise on Intel's.
"""


def write_all(
    write: Callable[..., None],
    jobs: Sequence[tuple[Any, ...]],
    workers: int,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Calls `write(*job)` for every job; several processes write the same bytes on every x86-64 processor with AVX2.

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
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,))
    with environment(ALIKE if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") else {}), pool:
        futures = [pool.submit(write, *job) for job in jobs]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            report(done / len(jobs))
