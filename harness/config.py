"""What the configurations of `run`, `evaluate` and `train` may hold: every key, its type, its meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, OmegaConf

from harness.benchmark import Benchmark
from harness.errors import HarnessError
from harness.method import MethodSpec
from harness.runner import RunOptions


@dataclass
class ScoringConfig:
    """Keys that `run` and `evaluate` share.

    Attributes:
        bench: a name from configs/bench, or of a user's folder given by --config-dir.
        data: "real", "mirror" (the synthetic stand-in) or "auto" (real where it is there).
        data_root: folder with one sub-folder per data set.
        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1", ...
        seed: of every method's random numbers.
        runs: folder of all runs.
        output: this run's folder, instead of one below `runs`.
        timeout_s: seconds after which a call of `predict` is given up.
        batch_size: samples per call of `predict`.
    """

    bench: Any = MISSING
    data: str = "auto"
    data_root: str = "${oc.env:HARNESS_DATA,data}"
    device: str = "auto"
    seed: int = 0
    runs: str = "runs"
    output: str | None = None
    timeout_s: float | None = None
    batch_size: int = 1


@dataclass
class RunConfig(ScoringConfig):
    """`run`. method: a name from configs/method, `package.module:Class` or `path/to/file.py:Class`."""

    method: Any = MISSING


@dataclass
class EvaluateConfig(ScoringConfig):
    """`evaluate`.

    Attributes:
        predictions: folder with `<sample>.ply`, `.obj` or `.npz` per sample; beside a mesh, its landmarks as
            `<sample>.npy` or `.txt` (68 rows), without which it must stand in the scan's frame.
        unit: "m", "cm" or "mm": of these files.
        name: what the method is called; the folder's name by default.
    """

    predictions: str = MISSING
    unit: str = MISSING
    name: str | None = None


@dataclass
class TrainConfig:
    """`train`.

    Attributes:
        method: a name from configs/method.
        folder: checkpoints and weights; `training/<method>` by default.
        device: as in `run`.
        settings: fields of the method's training settings, e.g. +settings.steps=1000.
    """

    method: Any = MISSING
    folder: str | None = None
    device: str = "auto"
    settings: dict[str, Any] = field(default_factory=dict)


def register() -> None:
    """Makes the schemas known to Hydra; a configuration with an unknown key or a wrong type is then refused."""
    store = ConfigStore.instance()
    store.store("schema_run", RunConfig)
    store.store("schema_evaluate", EvaluateConfig)
    store.store("schema_train", TrainConfig)


def method_spec(config: DictConfig) -> MethodSpec:
    """The `method` part, checked."""
    values = plain(config.method)
    try:
        return MethodSpec(**values)
    except TypeError as error:
        known = "name, adapter, options, training"
        raise HarnessError(f"method {values.get('name', '')}: {error}; known keys: {known}") from None


def benchmark(config: DictConfig) -> Benchmark:
    """Builds the `bench` part: opens the data set (or its mirror) and its protocols.

    Raises:
        HarnessError: as the data set raises it, or the configuration cannot be instantiated.
    """
    node = OmegaConf.create({"bench": config.bench, "data": config.data, "data_root": config.data_root})
    OmegaConf.resolve(node)
    target = node.bench
    arguments = {key: target[key] for key in ("_target_", "name", "dataset", "protocols")}
    try:
        built: Benchmark = instantiate(arguments, _convert_="all")
    except Exception as error:  # Hydra wraps whatever the target raised
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, HarnessError):
            cause = cause.__cause__
        raise (cause if cause is not None else HarnessError(f"bench: {error}")) from None
    return built


def run_options(config: DictConfig) -> RunOptions:
    """Where and how to run."""
    return RunOptions(
        root=Path(config.runs),
        output=Path(config.output) if config.output else None,
        device=resolve_device(config.device),
        seed=config.seed,
        batch_size=config.batch_size,
        timeout_s=config.timeout_s,
    )


def resolve_device(device: str) -> str:
    """Turns "auto" into "cuda" where there is one, else "cpu"."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def plain(config: Any) -> Any:
    """A configuration as plain, resolved Python values."""
    return OmegaConf.to_container(config, resolve=True)
