"""What stands beside a table of times: throughput, memory, size, and how far the measurement can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.protocols.timing import early_stopping
from harness.samples import Array
from harness.timing.loop import TimingSettings

ASKED_CALLS = 1000  # a full measurement of a method in one condition has so many calls ...
ASKED_SECONDS = 60.0  # ... or takes so long
ASKED_PROCESSES = 3
BUSY = 0.5  # load per core before the measurement, from which on others' work disturbs


def derived(here: Mapping[str, Any], times: Mapping[int, Array]) -> dict[str, Any]:
    """Figures of one condition that follow from what was recorded.

    Args:
        here: the condition's part of `timing.json`.
        times: process -> (N,) milliseconds of its calls, end to end.

    Returns:
        Number and total seconds of the calls, each process's median, MLPerf's bounds of the 90th and 99th percentile
        (None with too few calls), and throughput in samples per second at the best batch size.
    """
    together = np.concatenate([*times.values(), np.empty(0)])
    batches: Mapping[int, float] = here.get("batches", {})
    best = min(batches, key=lambda size: batches[size], default=None)
    return {
        "calls": len(together),
        "seconds": float(together.sum()) / 1000,
        "process_medians_ms": [float(np.median(calls)) for calls in times.values() if len(calls)],
        "p90_bound_ms": early_stopping(together, 0.90),
        "p99_bound_ms": early_stopping(together, 0.99),
        "best_batch": best,
        "samples_per_second": None if best is None else 1 / batches[best],
    }


def notes(record: Mapping[str, Any], settings: TimingSettings) -> list[str]:
    """Lines for the reader of the table; `record` is `timing.json`, its conditions with `derived`."""
    lines = [_method(record["facts"])] if record["facts"] else []
    lines += [_condition(name, here) for name, here in record["conditions"].items() if here.get("calls")]
    return [*lines, *_cautions(record, settings)]


def _method(facts: Mapping[str, Any]) -> str:
    parts = [
        "parameters unknown" if facts["parameters"] is None else f"{facts['parameters'] / 1e6:.3g} million parameters",
        f"{facts['iterations']} iterations" if facts["iterations"] is not None else "",
        " and ".join(facts["parameter_types"]),
        f"float32 products at {facts['float32_matmul']} precision",
        "TF32 convolutions" if facts["tf32_convolutions"] else "",
        f"{facts['threads']} CPU thread{'' if facts['threads'] == 1 else 's'}",
    ]
    return ", ".join(filter(None, parts))


def _condition(name: str, here: Mapping[str, Any]) -> str:
    medians = ", ".join(_number(value) for value in here["process_medians_ms"])
    parts = [
        f"{here['calls']} call{'' if here['calls'] == 1 else 's'} in {here['seconds']:.3g} s, medians of the "
        f"processes {medians} ms",
        *(
            f"with 99 % confidence {share} of calls take at most {_number(here[key])} ms"
            for share, key in (("90 %", "p90_bound_ms"), ("99 %", "p99_bound_ms"))
            if here[key] is not None
        ),
    ]
    if here["best_batch"] is not None:
        parts.append(f"{_number(here['samples_per_second'])} samples/s at batch {here['best_batch']}")
    if here.get("gpu_peak_mib") is not None:
        parts.append(f"at most {here['gpu_peak_mib']:.0f} MiB of GPU memory")
    if here.get("resident_growth_mib") is not None:
        parts.append(f"resident memory grew by {here['resident_growth_mib']:.0f} MiB")
    return f"{name}: {'; '.join(parts)}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _cautions(record: Mapping[str, Any], settings: TimingSettings) -> list[str]:
    conditions: Mapping[str, Mapping[str, Any]] = record["conditions"]
    few = [n for n, c in conditions.items() if 0 < c["calls"] < ASKED_CALLS and c["seconds"] < ASKED_SECONDS]
    lines = []
    if few:
        lines.append(
            f"SHORT MEASUREMENT ({', '.join(few)}): fewer than {ASKED_CALLS} calls and less than {ASKED_SECONDS:g} s; "
            f"the quantiles are rough. bench.seconds={ASKED_SECONDS:g} measures in full"
        )
    if settings.processes < ASKED_PROCESSES:
        count = f"{settings.processes} process{'' if settings.processes == 1 else 'es'}"
        lines.append(f"{count} only: a full measurement has {ASKED_PROCESSES}, since a process can be lucky as a whole")
    restless = [n for n, c in conditions.items() if not all(w["settled"] for w in c.get("warm_up", ()))]
    if restless:
        lines.append(f"The median had not settled within the warm-up ({', '.join(restless)})")
    if after := record.get("interrupted_after"):
        counts = " and ".join(str(count) for count in after)
        lines.append(f"Interrupted after {counts} of {settings.processes} processes, and gone on with later")
    loads = [c["before"]["load_average"] for c in record.get("clocks", ())][:1]
    if loads and loads[0] is not None and loads[0] > BUSY * record["cores"]:
        lines.append(f"The machine was busy before: load {loads[0]:g} on {record['cores']} cores")
    return lines
