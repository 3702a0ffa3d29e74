"""What the configurations of `run`, `evaluate` and `train` may hold: every key, its type, its meaning."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import MISSING as MISSING_TYPE
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.benchmark import Benchmark
from harness.errors import HarnessError
from harness.isolation.options import IsolationOptions
from harness.method import MethodSpec
from harness.runner import RunOptions


def _key(default: Any, meaning: str) -> Any:
    """A configuration key with its default and what `--help` says of it."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass
class ScoringConfig:
    """Keys that `run` and `evaluate` share."""

    bench: Any = _key(MISSING, "a name from `harness list`, or of your own folder given by --config-dir")
    data: str = _key(
        "auto", "real; mirror (synthetic), mirror-ict (of ICT-FaceKit heads); auto: real where it is there"
    )
    data_root: str = _key("${oc.env:HARNESS_DATA,data}", "folder with one sub-folder per data set")
    device: str = _key("auto", "cpu, cuda, cuda:1, ...; auto: CUDA where there is one")
    seed: int = _key(0, "of every method's random numbers")
    runs: str = _key("runs", "folder of all runs")
    output: str | None = _key(None, "this run's folder, instead of one below `runs`")
    timeout_s: float | None = _key(None, "seconds after which one call of a method is given up")
    batch_size: int = _key(1, "samples per call of a method")
    geometry: str = _key("warp", "warp or pytorch3d (where you have it): finds closest points; NoW's fits keep warp")
    workers: int = _key(0, "processes that score; 0: one per core, or 1 on a CUDA device")


@dataclass
class HeadConfig:
    """The user's head model."""

    path: str | None = None


@dataclass
class IsolationConfig:
    """Where the adapter runs; what is null is as the method says, or the default of IsolationOptions."""

    kind: str = "auto"
    python: str | None = None
    memory_mb: int | None = None
    pids: int | None = None
    file_mb: int | None = None
    silence_s: float | None = None
    gpu: bool | None = None
    image: str | None = None


@dataclass
class RunConfig(ScoringConfig):
    """Scores one method on one benchmark, or several with -m."""

    method: Any = _key(MISSING, "a name from `harness list`, package.module:Class or path/to/file.py:Class")
    isolation: IsolationConfig = field(
        default_factory=IsolationConfig,
        metadata={
            "meaning": "none; venv (an environment of its own); docker; auto: as the method says. "
            "isolation.python=python3.9, isolation.memory_mb=4096, ..."
        },
    )
    head: HeadConfig = field(
        default_factory=HeadConfig, metadata={"meaning": "head.path=PATH: the file of method.head, e.g. FLAME's pickle"}
    )


@dataclass
class EvaluateConfig(ScoringConfig):
    """Scores predictions made elsewhere.

    The folder holds `<sample>.obj`, `.ply` or `.npz` per sample; beside a mesh, its 68 landmarks as `<sample>.npy`
    or `.txt`, without which the mesh must already stand in the scan's frame. Or it has the layout of the
    benchmark's own submissions (NoW: `<subject>/<category>/IMG_xxxx.obj` with seven landmarks).
    """

    predictions: str = _key(MISSING, "folder of the files")
    unit: str = _key(MISSING, "m, cm or mm: of these files")
    name: str | None = _key(None, "what the method is called; the folder's name by default")


@dataclass
class ExportConfig:
    """Writes a run's predictions as the benchmark's own submissions are: a mesh and its landmarks per sample.

    Meshes with neutral expression where the benchmark asks for these. Give the same bench and data as the run had.
    """

    bench: Any = _key(MISSING, "of the run")
    run: str = _key(MISSING, "the run's folder")
    out: str = _key(MISSING, "new folder to write to")
    split: str | None = _key(None, "short for bench.split")
    data: str = _key("auto", "as for the run")
    data_root: str = _key("${oc.env:HARNESS_DATA,data}", "as for the run")
    unit: str = _key("m", "m, cm or mm: of the files; m is what NoW's official program expects unless told")
    format: str = _key("obj", "obj or ply")
    official_files: bool = _key(False, "also the files that the official program would write of a scored run")


@dataclass
class TrainConfig:
    """Trains one method's mini size on synthesis; goes on where it was stopped."""

    method: Any = _key(MISSING, "a name from `harness list`")
    folder: str | None = _key(None, "checkpoints and weights; training/<method> by default")
    device: str = _key("auto", "cpu, cuda, ...; auto: CUDA where there is one")
    settings: dict[str, Any] = field(
        default_factory=dict, metadata={"meaning": "fields of the method's settings: +settings.steps=1000"}
    )


@dataclass
class DoctorConfig:
    """Asks a method for faces whose truth is known, and names its mistakes, with evidence and remedy.

    Ends with 1 if something is wrong. The samples have what those of the bench have (camera, mask, box, number of
    views); without a bench, everything. Two samples of the bench's own mirror are asked for too.
    """

    method: Any = _key(MISSING, "a name from `harness list`, package.module:Class or path/to/file.py:Class")
    bench: Any = _key(None, "in whose form to ask, e.g. h3ds or now")
    device: str = _key("auto", "cpu, cuda, cuda:1, ...; auto: CUDA where there is one")
    timeout_s: float = _key(300.0, "seconds after which one call is given up")
    json: str | None = _key(None, "also write the findings to this file; the same as --json FILE")
    data: str = _key("mirror", "the mirror is used, whatever real data there is")
    data_root: str = _key("${oc.env:HARNESS_DATA,data}", "folder with one sub-folder per data set")
    head: HeadConfig = field(
        default_factory=HeadConfig, metadata={"meaning": "head.path=PATH: the file of method.head, e.g. FLAME's pickle"}
    )


SCHEMAS: dict[str, type] = {
    "run": RunConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "train": TrainConfig,
    "doctor": DoctorConfig,
}


BENCHMARK_KEYS = ("_target_", "name", "dataset", "protocols")
"""What a bench's YAML must have; its other keys are there for the command line."""


def help_text(command: str) -> str:
    """What `COMMAND --help` prints."""
    schema = SCHEMAS[command]
    lines = [f"python -m harness {command} KEY=VALUE ... [-m] [--config-dir DIR] [--cfg job]", ""]
    lines += [inspect.cleandoc(schema.__doc__ or ""), ""]
    for key in fields(schema):
        required = " (required)" if key.default is MISSING else ""
        default = "" if required or key.default in (None, MISSING_TYPE) else f" [{key.default}]"
        lines.append(f"  {key.name:<14} {key.metadata['meaning']}{required}{default}")
    lines += [
        "",
        "  bench.KEY and method.options.KEY reach into a benchmark's or method's own configuration;",
        "  -m runs every combination of values given as lists: -m method=glvd,lvd;",
        "  --cfg job prints the whole configuration and stops.",
    ]
    return "\n".join(lines) + "\n"


def register() -> None:
    """Makes the schemas known to Hydra; a configuration with an unknown key or a wrong type is then refused."""
    store = ConfigStore.instance()
    for command, schema in SCHEMAS.items():
        store.store(f"schema_{command}", schema)


def method_spec(config: DictConfig) -> MethodSpec:
    """The `method` part, checked. `checkpoint` and `head`, where it has them, and `head.path` become options."""
    values = plain(config.method)
    values["isolation"] = isolation_options(values.get("isolation"), OmegaConf.select(config, "isolation"))
    options = values.get("options") or {}
    shortcuts = {key: values.pop(key) for key in ("checkpoint", "head") if key in values}
    path = OmegaConf.select(config, "head.path")
    if path and "head" not in shortcuts:
        raise HarnessError(f"head.path={path}: method {values.get('name', '')} takes no head model; leave it out")
    if "head" in shortcuts:
        shortcuts["head_path"] = path
    try:
        return MethodSpec(**{**values, "options": {**options, **shortcuts}})
    except TypeError as error:
        known = "name, adapter, options, training, isolation, checkpoint, head"
        raise HarnessError(f"method {values.get('name', '')}: {error}; known keys: {known}") from None


def isolation_options(of_method: Any, chosen: DictConfig | None) -> IsolationOptions:
    """Where a method's adapter runs: as the user chose, else as the method's YAML says (a kind, or keys and values).

    Raises:
        HarnessError: an unknown kind or key.
    """
    own = {"kind": of_method} if isinstance(of_method, str) else dict(of_method or {})
    wanted = {} if chosen is None else {k: v for k, v in plain(chosen).items() if v is not None and v != "auto"}
    if wanted.get("kind", own.get("kind")) != own.get("kind"):
        own = {}  # its other keys are of another kind
    try:
        return IsolationOptions(**{**own, **wanted})
    except TypeError as error:
        known = ", ".join(key.name for key in fields(IsolationOptions))
        raise HarnessError(f"method.isolation: {error}; known keys: {known}") from None


def benchmark(config: DictConfig) -> Benchmark:
    """Builds the `bench` part: opens the data set (or its mirror) and its protocols.

    Raises:
        HarnessError: as the data set raises it, or the configuration cannot be instantiated.
    """
    try:
        target = plain(config)["bench"]
        arguments = {key: target[key] for key in BENCHMARK_KEYS}
        arguments |= {key: target[key] for key in ("settings",) if key in target}
        built: Benchmark = instantiate(arguments, _convert_="all")
    except KeyError as error:
        raise HarnessError(f"bench: its configuration lacks {error}") from None
    except Exception as error:  # Hydra wraps whatever the target raised
        cause: BaseException = error
        while not isinstance(cause, HarnessError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, HarnessError):
            raise cause from None
        raise HarnessError(f"bench: {type(cause).__name__}: {cause}") from error
    return built


def times(config: DictConfig) -> bool:
    """Whether the `bench` part is for timing; opens no data set."""
    return str(config.bench.get("_target_", "")).rpartition(".")[2] == "TimingBenchmark"


def training_settings(train: Callable[..., Any], chosen: DictConfig) -> Any:
    """The settings dataclass that a method's `train` function takes first, with the user's choices put in.

    Raises:
        HarnessError: a key that the settings do not have, or a value of the wrong type.
    """
    kind = next(iter(get_type_hints(train).values()))
    settings = OmegaConf.structured(kind)
    OmegaConf.set_readonly(settings, False)
    try:
        return OmegaConf.to_object(_merged(settings, chosen))
    except OmegaConfBaseException as error:
        raise HarnessError(f"settings: {error}".partition("\n")[0]) from None


def _merged(settings: DictConfig, chosen: DictConfig) -> DictConfig:
    """Merges key by key: OmegaConf keeps frozen dataclasses read-only, each on its own."""
    for key, value in chosen.items():
        if OmegaConf.is_dict(value):
            OmegaConf.set_readonly(settings[key], False)
            _merged(settings[key], value)
        else:
            settings[key] = value
    return settings


def run_options(config: DictConfig) -> RunOptions:
    """Where and how to run."""
    return RunOptions(
        root=Path(config.runs),
        output=Path(config.output) if config.output else None,
        device=resolve_device(config.device),
        seed=config.seed,
        batch_size=config.batch_size,
        timeout_s=config.timeout_s,
        geometry=config.geometry,
        workers=resolve_workers(config.workers, resolve_device(config.device)),
    )


def resolve_workers(workers: int, device: str) -> int:
    """Turns 0 into the number of cores this process may use, or into 1 where a CUDA device does the work."""
    if workers < 0:
        raise HarnessError(f"workers={workers}: expected 0 (one per core) or a positive number")
    if workers > 0:
        return workers
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_device(device: str) -> str:
    """Turns "auto" into "cuda" where there is one, else "cpu"."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def plain(config: Any) -> Any:
    """A configuration as plain, resolved Python values."""
    return OmegaConf.to_container(config, resolve=True)
