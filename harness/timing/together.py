"""bench=timing: how long methods take, measured side by side, each result a run like any other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import provenance
from harness.benchmark import Benchmark
from harness.errors import HarnessError
from harness.method import MethodSpec
from harness.protocols.timing import Timing
from harness.run_folder import RunFolder
from harness.runner import RunOptions, describe, folder_name
from harness.samples import Sample
from harness.timing.loop import TimingSettings, batch_times, take_turns, warm_up
from harness.timing.process import TimedProcess
from harness.timing.results import Measured, by_condition, by_process, keep
from harness.timing.rounds import FILE, Rounds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TimingBenchmark(Benchmark):
    """Pictures to time methods on. Its samples are the first few of the data set in each condition.

    Args:
        settings: a TimingSettings, or its fields as a configuration has them.
    """

    settings: TimingSettings | Mapping[str, Any] = field(default_factory=TimingSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.settings, TimingSettings):
            object.__setattr__(self, "settings", TimingSettings.of(self.settings))
        if not all(isinstance(protocol, Timing) for protocol in self.protocols):
            raise HarnessError(f"bench {self.name}: its protocols must be those of harness.protocols.timing")

    @property
    def how_long(self) -> TimingSettings:
        """The settings."""
        assert isinstance(self.settings, TimingSettings)
        return self.settings

    def samples(self) -> Sequence[Sample]:
        """The first `inputs` samples of each condition, in the data set's order."""
        groups = by_condition(super().samples())
        chosen = {s.id for members in groups.values() for s in members[: self.how_long.inputs]}
        return [sample for sample in super().samples() if sample.id in chosen]


@dataclass(frozen=True)
class Contestant:
    """One method that is to be timed, and what for: as `harness.runner.run` takes them."""

    benchmark: TimingBenchmark
    method: MethodSpec
    config: dict[str, Any]
    options: RunOptions

    def __post_init__(self) -> None:
        if self.options.batch_size != 1:
            raise HarnessError(
                f"batch_size={self.options.batch_size}: timing is of single samples; bench.batches lists "
                "the batch sizes among which the best throughput is looked for"
            )

    @property
    def group(self) -> str:
        """What methods must have in common to take turns."""
        options, bench = self.options, self.benchmark
        common = (options.device, options.seed, options.timeout_s, bench.name, str(bench.dataset.folder))
        return repr((*common, bench.how_long, [s.id for s in bench.samples()]))


def time_together(contestants: Sequence[Contestant]) -> tuple[list[RunFolder], list[HarnessError]]:
    """Times methods that have the same inputs in turns, the others one after the other.

    Returns:
        The runs, in the order of `contestants`, and what kept the other methods from being timed at all.
    """
    groups: dict[str, list[Contestant]] = {}
    for contestant in contestants:
        groups.setdefault(contestant.group, []).append(contestant)
    folders: list[RunFolder] = []
    errors: list[HarnessError] = []
    for group in groups.values():
        try:
            _time_group(group, folders, errors)
        except HarnessError as error:
            errors.append(error)
    return folders, errors


def _time_group(group: Sequence[Contestant], folders: list[RunFolder], errors: list[HarnessError]) -> None:
    bench = group[0].benchmark
    samples = bench.samples()
    with ExitStack() as locks:
        opened: list[tuple[Contestant, RunFolder]] = []
        for contestant in group:
            try:
                opened.append((contestant, _open(contestant, group, samples, locks)))
            except HarnessError as error:
                errors.append(error)
        if all(run.is_complete() for _, run in opened):
            folders += [run for _, run in opened]
            log.info("Already complete: %s", ", ".join(str(run.path) for _, run in opened) or "nothing")
            return
        rounds = Rounds(opened[0][1].path / FILE, tuple(run.manifest()["identity"] for _, run in opened))
        measured = measure([contestant for contestant, _ in opened], samples, rounds)
        for (contestant, run), result in zip(opened, measured, strict=True):
            if result.error is not None:
                errors.append(result.error)
                continue
            if not run.is_complete():
                keep(run, contestant.benchmark, contestant.benchmark.how_long, samples, result)
            folders.append(run)
        rounds.forget()


def _open(
    contestant: Contestant, group: Sequence[Contestant], samples: Sequence[Sample], locks: ExitStack
) -> RunFolder:
    path, manifest = manifest_of(contestant, group, samples)
    run = RunFolder(contestant.options.output or path)
    locks.enter_context(run.lock())
    run.create(manifest)
    return run


def manifest_of(
    contestant: Contestant, group: Sequence[Contestant], samples: Sequence[Sample]
) -> tuple[Path, dict[str, Any]]:
    """The run's folder and manifest. How long and whom it takes turns with is part of its identity."""
    partners = [other.method.name for other in group if other is not contestant]
    further = {"timing": asdict(contestant.benchmark.how_long), "together_with": partners}
    bench, method, options = contestant.benchmark, contestant.method, contestant.options
    manifest = describe(bench, method, contestant.config, options, samples, further)
    return options.root / folder_name(bench, method, manifest["identity"]), manifest


def measure(group: Sequence[Contestant], samples: Sequence[Sample], rounds: Rounds) -> list[Measured]:
    """Starts every method in several processes and times it in each condition; one result per contestant.

    Goes on after the rounds that are kept. A round in which a method could not be loaded is not kept.
    """
    settings, options = group[0].benchmark.how_long, group[0].options
    done, results = rounds.read()
    if 0 < done < settings.processes:
        log.info("Going on after %d of %d processes, which are kept", done, settings.processes)
        for result in results:
            result.record.setdefault("interrupted_after", []).append(done)
    conditions = {name: [decoded(s) for s in members] for name, members in by_condition(samples).items()}
    for process in range(done, settings.processes):
        before = provenance.clocks(options.device)
        players = {
            number: TimedProcess(c.method, options.device, options.seed, options.timeout_s)
            for number, c in enumerate(group)
            if results[number].failure is None and results[number].error is None
        }
        log.info("Timing %s: process %d of %d", _names(group, players), process + 1, settings.processes)
        try:
            for condition, members in conditions.items():
                _measure_condition(players, results, condition, members, settings, process)
            for condition, members in conditions.items() if process == 0 else ():
                for number, player in players.items():
                    single = by_process(members, results[number]).get(0, np.empty(0))
                    if len(single):
                        here = results[number].record["conditions"][condition]
                        here["batches"] = batch_times(player, members, settings, float(np.median(single)) / 1000)
        finally:
            for player in players.values():
                player.close()
        clocks = {"before": before, "after": provenance.clocks(options.device)}
        for number in players:
            results[number].record.setdefault("clocks", []).append(clocks)
        if all(result.error is None for result in results):
            rounds.keep(process + 1, results)
    return results


def _measure_condition(
    players: dict[int, TimedProcess],
    results: Sequence[Measured],
    condition: str,
    samples: Sequence[Sample],
    settings: TimingSettings,
    process: int,
) -> None:
    """One process's share of one condition. Methods that cannot go on leave `players`."""
    for number, player in list(players.items()):
        try:
            player.forget_peak()
            warmed = asdict(warm_up(player, samples, settings))
        except HarnessError as error:  # from loading
            results[number].error = error
            players.pop(number)
            continue
        height, width = samples[0].views[0].read_image().shape[:2]
        begun = {"warm_up": [], "first_picture": [width, height]}
        results[number].record["conditions"].setdefault(condition, begun)["warm_up"].append(warmed)
    for order, (number, sample, call) in enumerate(take_turns(players, samples, settings, process)):
        results[number].calls[sample.id].append((process, order, call))
        if call.dead:
            results[number].failure = call.failure
    for number, player in list(players.items()):
        if results[number].failure is not None:
            log.warning("%s", ": ".join(results[number].failure or ()))
            players.pop(number).close()
            continue
        facts = player.facts()
        here = results[number].record["conditions"][condition]
        memory = {name: facts.pop(name) for name in ("gpu_peak_mib", "resident_growth_mib") if name in facts}
        here |= {name: max(filter(None, (here.get(name), value)), default=None) for name, value in memory.items()}
        results[number].record["facts"] = facts


def decoded(sample: Sample) -> Sample:
    """The sample with its pictures and masks in memory. Raises DataError where one cannot be read."""
    views = tuple(replace(view, image=view.read_image(), mask=view.read_mask()) for view in sample.views)
    return replace(sample, views=views)


def _names(group: Sequence[Contestant], numbers: Mapping[int, Any]) -> str:
    return " and ".join(group[number].method.name for number in numbers) or "nothing"
