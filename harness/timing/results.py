"""From the times of calls to a run on disk: scores that keep every call, a table, and what stands beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from harness import provenance
from harness.benchmark import Benchmark, DataKind
from harness.errors import HarnessError
from harness.files import write_json
from harness.protocols.scores import Score
from harness.protocols.timing import Timing
from harness.run_folder import RunFolder, in_words
from harness.runner import now, score_table, summarise
from harness.samples import Array, Sample
from harness.timing.loop import TimingSettings
from harness.timing.notes import derived, notes
from harness.timing.process import END_TO_END, Call

LABELS = {
    DataKind.MIRROR: "measured times; the pictures are the open MIRROR's, synthetic",
    DataKind.REAL: "measured times; the pictures are the real data set's",
}


@dataclass
class Measured:
    """What was measured of one method; `record` becomes `timing.json`."""

    calls: dict[str, list[tuple[int, int, Call]]] = field(default_factory=lambda: defaultdict(list))
    failure: tuple[str, str] | None = None
    error: HarnessError | None = None
    record: dict[str, Any] = field(default_factory=lambda: {"conditions": {}, "facts": {}})


def keep(
    run: RunFolder, benchmark: Benchmark, settings: TimingSettings, samples: Sequence[Sample], result: Measured
) -> None:
    """Writes a finished measurement: every call's time, the table, the summary and what else was found."""
    scores = {sample.id: sample_scores(benchmark, sample, result) for sample in samples}
    seen = {name for by_name in scores.values() for name in by_name}
    known = tuple(p for p in benchmark.protocols if p.name in seen)
    bench = replace(benchmark, protocols=known)
    for sample in samples:
        failed = next((s for s in scores[sample.id].values() if s.failure is not None), None)
        filled = {p.name: failed or scores[sample.id].get(p.name) or _unmarked() for p in known}
        run.keep_score(sample, filled, {})
    record = finished_record(settings, samples, result)
    write_json(run.path / "timing.json", record)
    records = {sample.id: run.score(sample.id)["protocols"] for sample in samples}
    write_json(run.path / "finished.json", {"finished": now()})
    table = [row for row in score_table(records, samples, bench) if row["failure"] or row["value"] is not None]
    further = {"data_label": LABELS[benchmark.dataset.kind], "notes": notes(record, settings)}
    run.finish(table, {**summarise(run, records, samples, bench), **further})


def finished_record(settings: TimingSettings, samples: Sequence[Sample], result: Measured) -> dict[str, Any]:
    """What `timing.json` holds: everything but the single calls' times, which stand with the scores."""
    record = {**result.record, "cores": provenance.cores(), "settings": asdict(settings)}
    for condition, members in by_condition(samples).items():
        here = record["conditions"].setdefault(condition, {})
        record["conditions"][condition] = {**here, **derived(here, by_process(members, result))}
    return record


def sample_scores(bench: Benchmark, sample: Sample, result: Measured) -> dict[str, Score]:
    """Protocol name -> one sample's score; only the first protocol's where the method marks no stages."""
    calls = result.calls.get(sample.id, [])
    failure = result.failure or next((call.failure for _, _, call in calls if call.failure is not None), None)
    if failure is not None:
        return {bench.protocols[0].name: Score.failed(*failure)}
    names = dict.fromkeys(name for _, _, call in calls for name in call.seconds)
    whole = [(process, order) for process, order, call in calls if END_TO_END in call.seconds]
    times = {name: _milliseconds(calls, name) for name in names}
    times |= {"process": np.array([p for p, _ in whole], np.int32), "order": np.array([o for _, o in whole], np.int32)}
    scores = {p.name: p.sample_score(times) for p in bench.protocols if isinstance(p, Timing)}
    return {name: score for name, score in scores.items() if score is not None}


def _unmarked() -> Score:
    return Score.failed("missing", "the method marked its stages for other samples, not for this one")


def _milliseconds(calls: Sequence[tuple[int, int, Call]], name: str) -> Array:
    return np.array([1000 * call.seconds[name] for _, _, call in calls if name in call.seconds])


def by_process(members: Sequence[Sample], result: Measured) -> dict[int, Array]:
    """Process -> (N,) milliseconds end to end of its calls in one condition."""
    calls = [entry for sample in members for entry in result.calls.get(sample.id, ())]
    processes = sorted({process for process, _, _ in calls})
    return {p: _milliseconds([entry for entry in calls if entry[0] == p], END_TO_END) for p in processes}


def by_condition(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Samples by their condition in words."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(in_words(dict(sample.condition)) or "all", []).append(sample)
    return groups
