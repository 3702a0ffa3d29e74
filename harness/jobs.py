"""The commands that Hydra configures: run, evaluate, export, train, doctor."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import hydra
import torch
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness import catalogue, config
from harness.doctor.findings import Diagnosis
from harness.errors import HarnessError
from harness.export import ExportOptions, export
from harness.files import digest
from harness.isolation.options import KINDS
from harness.method import load_object
from harness.report import print_runs
from harness.run_folder import RunFolder
from harness.runner import run
from harness.stored_predictions import stored_method
from harness.timing.together import Contestant, TimingBenchmark, time_together

log = logging.getLogger(__name__)


def start(command: str, arguments: list[str]) -> list[Diagnosis]:
    """Hands the command to Hydra: overrides, multirun (`-m`), `--config-dir`, `--help` and all.

    Returns:
        What the doctor found, in the order of the jobs; empty for other commands.

    Raises:
        HarnessError: from the job; in a multirun after the other jobs are done, with what failed.
    """
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(config.help_text(command))
        return []
    config.register()
    arguments = prepare(arguments)
    require_choices(command, arguments)
    finished: list[RunFolder] = []
    failed: list[HarnessError] = []
    to_time: list[Contestant] = []
    diagnoses: list[Diagnosis] = []

    def job(configuration: DictConfig) -> None:
        try:
            check_complete(configuration)
            outcome = JOBS[command](configuration)
        except HarnessError as error:
            failed.append(error)
            return
        if isinstance(outcome, Contestant):
            to_time.append(outcome)
        elif isinstance(outcome, Diagnosis):
            diagnoses.append(outcome)
        elif outcome is not None:
            finished.append(outcome)

    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints its errors and ends the process by itself
    with tempfile.TemporaryDirectory() as scratch:  # Hydra notes each multirun's configuration
        sys.argv = [f"python -m harness {command}", *arguments, f"hydra.sweep.dir={scratch}"]
        try:
            hydra.main(version_base="1.3", config_path=str(catalogue.CONFIGS), config_name=command)(job)()
        except (HydraException, OmegaConfBaseException) as error:
            failed.append(HarnessError(f"{error}. See python -m harness {command} --help"))
    timed, troubles = time_together(to_time)  # methods take turns, so that all of them must be known first
    finished += timed
    failed += troubles
    if finished:
        print_runs(finished)
    if failed:
        raise HarnessError("\n".join(str(error) for error in failed))
    return diagnoses


def prepare(arguments: list[str]) -> list[str]:
    """Checks the names of methods and benchmarks, and registers classes that are given by their place.

    `method=my_file.py:MyMethod` becomes a configuration called MyMethod, so that Hydra can select it, also as one
    of several in a multirun. Options come out before overrides: Hydra's parser refuses them mixed.
    """
    config_dir = _option(arguments, ("--config-dir", "-cd"))
    if config_dir is not None and not Path(config_dir).is_dir():
        raise HarnessError(f"--config-dir {config_dir}: no such folder")
    prepared = []
    several = any(argument.startswith("method=") and "," in argument for argument in arguments)
    for argument in arguments:
        group, equals, value = argument.partition("=")
        if equals and group in catalogue.GROUPS and value and value[0] not in "${[":
            value = ",".join(_choice(group, name, config_dir) for name in value.split(","))
        if group == "isolation" and value not in (*KINDS, "auto"):
            raise HarnessError(f"isolation={value}: expected auto, {', '.join(KINDS)}")
        if group.startswith("method.") and several:
            group = f"++{group}"  # Hydra looks for the key before it knows the methods; their classes check it
        prepared.append(f"{group}{equals}{value}")
    return sorted(prepared, key=_is_override)


def _is_override(argument: str) -> bool:
    return argument.startswith(("+", "~")) or (not argument.startswith("-") and "=" in argument)


def check_complete(configuration: DictConfig) -> None:
    """Raises HarnessError that names the keys which need a value and have none."""
    missing = [str(key) for key in OmegaConf.missing_keys(configuration)]
    if missing:
        raise HarnessError(f"{', '.join(f'{key}=VALUE' for key in sorted(missing))}: required, see --help")


def require_choices(command: str, arguments: list[str]) -> None:
    """Raises HarnessError that lists the names if the command needs a method or a bench and none is given."""
    needed = {key.name for key in fields(config.SCHEMAS[command]) if key.default is MISSING} & set(catalogue.GROUPS)
    for group in sorted(needed - {argument.partition("=")[0].lstrip("+") for argument in arguments}):
        names = ", ".join(catalogue.entries(group, _option(arguments, ("--config-dir", "-cd"))))
        raise HarnessError(f"{command} needs {group}=NAME. There are: {names}")


def _choice(group: str, name: str, config_dir: str | None) -> str:
    if group == "method" and ":" in name:
        place, _, short = name.rpartition(":")
        if short in catalogue.entries("method", config_dir):
            raise HarnessError(f"{name}: there is a method {short} already; give the class another name")
        adapter = f"{Path(place).resolve()}:{short}" if place.endswith(".py") else name
        key = f"{short}_{digest(adapter)}"
        ConfigStore.instance().store(key, {"name": short, "adapter": adapter, "options": {}}, group="method")
        return key
    catalogue.check(group, name, config_dir)
    return name


def _option(arguments: list[str], names: tuple[str, ...]) -> str | None:
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            return value if equals else next(iter(arguments[position + 1 :]), None)
    return None


def _run(configuration: DictConfig) -> RunFolder | Contestant | None:
    method = config.method_spec(configuration)
    method.declared()  # a wrong class is refused before any data is touched
    options = config.run_options(configuration)
    if config.times(configuration) and method.isolation.kind != "none":
        raise HarnessError(
            f"bench {configuration.bench.name}: times methods in the harness's own interpreter only; method "
            f"{method.name} runs with isolation={method.isolation.kind}. Install what it needs here, and choose "
            "isolation=none"
        )
    bench = config.benchmark(configuration).on(options.device)
    if isinstance(bench, TimingBenchmark):
        return Contestant(bench, method, config.plain(configuration), options)
    folder = run(bench, method, config.plain(configuration), options)
    if bench.dataset.hidden_truth:
        log.info(
            "Everything is predicted: %s. The ground truth of these samples is hidden, only the organisers of %s can "
            "score them. This command writes what to send them:",
            folder.path,
            bench.name,
        )
        sys.stdout.write(f"{export_command(folder, configuration)}\n")  # in one line, to be copied
        return None
    return folder


def export_command(folder: RunFolder, configuration: DictConfig) -> str:
    """What exports a run of this configuration, ready for a shell."""
    bench = config.plain(configuration.bench)
    chosen = {key: value for key, value in bench.items() if key not in config.BENCHMARK_KEYS}
    words = [f"bench={bench['name']}", *(f"bench.{key}={value}" for key, value in chosen.items())]
    words += [f"data={configuration.data}", f"data_root={configuration.data_root}", f"run={folder.path}", "out=DIR"]
    return f"python -m harness export {shlex.join(words)}"


def _evaluate(configuration: DictConfig) -> RunFolder:
    folder = Path(configuration.predictions).resolve()
    bench = config.benchmark(configuration)
    if isinstance(bench, TimingBenchmark):
        raise HarnessError(f"bench {bench.name}: stored predictions take no time; `run` times a method at work")
    if bench.dataset.hidden_truth:
        raise HarnessError(f"bench {bench.name}: the ground truth of these samples is hidden; they cannot be scored")
    method = stored_method(configuration.name or folder.name, folder, configuration.unit, bench)
    options = config.run_options(configuration)
    return run(bench.on(options.device), method, config.plain(configuration), options)


def _export(configuration: DictConfig) -> None:
    if configuration.split:
        if "split" not in configuration.bench:
            raise HarnessError(f"split={configuration.split}: bench {configuration.bench.name} has no splits")
        configuration.bench.split = configuration.split
    options = ExportOptions(
        Path(configuration.out), configuration.unit, configuration.format, configuration.official_files
    )
    export(RunFolder(Path(configuration.run)), config.benchmark(configuration), options)


def _train(configuration: DictConfig) -> None:
    method = config.method_spec(configuration)
    if not method.training:
        raise HarnessError(f"method {method.name}: cannot be trained here (its configuration has no `training`)")
    folder = Path(configuration.folder or Path("training") / method.name)
    train = load_object(method.training)
    settings = config.training_settings(train, configuration.settings)
    weights = train(settings, folder, torch.device(config.resolve_device(configuration.device)))
    log.info("Weights: %s. Try them with method.options.weights=%s", weights, weights)


def _doctor(configuration: DictConfig) -> Diagnosis:
    from harness.doctor.command import doctor  # imports the synthesis, which the other commands need not wait for

    return doctor(configuration)


JOBS: dict[str, Callable[[DictConfig], RunFolder | Contestant | Diagnosis | None]] = {
    "run": _run,
    "evaluate": _evaluate,
    "export": _export,
    "train": _train,
    "doctor": _doctor,
}
