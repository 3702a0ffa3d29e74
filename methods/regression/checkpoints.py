"""The official checkpoints of the regressors: checked entry by entry, and handed over as a network's state dict."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.methods.regression.containers import read_container
from harness.methods.regression.layouts import LAYOUTS, TRAINING, WRAPPER, Layout, Shapes, expected, recognise

SHOWN = 5  # keys that a message names
_WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:module|_orig_mod)\.")
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


@dataclass(frozen=True)
class LoadReport:
    """What was found in an official checkpoint; `str()` of it is for people.

    Attributes:
        path: the file that was read.
        title: the method's name.
        entries: tensors taken over, statistics of normalisations included.
        parameters: taken over, per part of the network.
        specified: what these numbers are in the method's specification.
        cast: tensors by the type they had, where that was not float32.
        stripped: wrappers whose prefix was removed from keys (`module.`, `_orig_mod.`).
        ignored: tensors and other entries that were not used, by kind.
        leftovers: classes of the training program that the file names and of which nothing was made.
    """

    path: Path
    title: str
    entries: int
    parameters: Mapping[str, int]
    specified: Mapping[str, int]
    cast: Mapping[str, int]
    stripped: tuple[str, ...]
    ignored: Mapping[str, int]
    leftovers: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.title} from {self.path}: {self.entries} tensors"]
        for part, count in self.parameters.items():
            verdict = "as specified" if count == self.specified[part] else f"specified: {self.specified[part]:,}"
            lines.append(f"  {part}: {count:,} parameters, {verdict}")
        if self.cast:
            lines.append(f"  cast to float32: {_counts(self.cast)}")
        if self.stripped:
            lines.append(f"  prefixes removed: {', '.join(self.stripped)}")
        if self.ignored:
            lines.append(f"  not used: {_counts(self.ignored)}")
        if self.leftovers:
            lines.append(f"  not made, only skipped: {', '.join(self.leftovers)}")
        return "\n".join(lines)


def read_checkpoint(path: Path, method: str, generator: bool = False) -> tuple[dict[str, Tensor], LoadReport]:
    """The state dict of a method's network at published size, from the official file.

    Args:
        path: the file; for EMOCA also the model's folder, of which the detail stage's best checkpoint is taken.
        method: deca, emoca, smirk, mica or teaser.
        generator: also hand over the generator of SMIRK or TEASER, which only training needs.

    Returns:
        Tensors on the CPU by the network's own names (they may still lie in the file), and the report.

    Raises:
        HarnessError: the file cannot be read, is of another method or version, is incomplete, or holds what the
            official one does not.
    """
    if method == "emoca":
        path = best_checkpoint(path)
    content, leftovers = read_container(path)
    return interpret(content, method, path, leftovers, generator)


def official_network(path: Path, method: str, generator: bool = False) -> tuple[nn.Module, LoadReport]:
    """The network at published size with the official weights, in evaluation mode on the CPU; see `read_checkpoint`."""
    state, report = read_checkpoint(path, method, generator)
    return network_of(state, method, generator), report


def network_of(state: Mapping[str, Tensor], method: str, generator: bool = False) -> nn.Module:
    """The network that a state dict of `read_checkpoint` belongs to, with these weights."""
    layout = LAYOUTS[method]
    shapes = {layout.official(key): tuple(value.shape) for key, value in state.items()}
    with torch.device("meta"):
        net = layout.network(layout.variant(shapes), generator)
    net.load_state_dict({key: value.clone() for key, value in state.items()}, assign=True)
    return net.eval()


def interpret(
    content: Mapping[Any, Any], method: str, path: Path, leftovers: tuple[str, ...] = (), generator: bool = False
) -> tuple[dict[str, Tensor], LoadReport]:
    """The second half of `read_checkpoint`: of what `torch.save` put into the file at `path`."""

    def wanted(variant: int) -> Mapping[str, Tensor]:
        return expected(method, variant, generator)

    return interpret_as(LAYOUTS[method], wanted, content, path, leftovers, generator)


def interpret_as(
    layout: Layout,
    expects: Callable[[int], Mapping[str, Tensor]],
    content: Mapping[Any, Any],
    path: Path,
    leftovers: tuple[str, ...] = (),
    generator: bool = False,
) -> tuple[dict[str, Tensor], LoadReport]:
    """As `interpret`, of a layout that need not be one of `LAYOUTS`.

    Args:
        layout: how the file is built.
        expects: gives the network's state dict, without values, for the file's variant.
        content: what the file holds.
        path: of the file, for messages.
        leftovers: names in the file of which nothing was made.
        generator: see `read_checkpoint`.
    """
    entries, ignored = _flat(content, layout, path)
    entries, stripped = _unwrapped(entries, path)
    shapes = {key: tuple(value.shape) for key, value in entries.items()}
    wanted = expects(layout.variant(shapes))
    _check_method(shapes, [layout.official(key) for key in wanted], layout, path)
    state, unexpected = {}, []
    for key, value in entries.items():
        ours, kind = layout.renamed(key), layout.kind(key)
        if layout.generator and not generator and key.startswith(layout.generator):
            kind = "generator (for training only)"
        if ours in wanted:
            state[ours] = value
        elif kind is not None:
            ignored[kind] += 1
        else:
            unexpected.append(key)
    _check_keys([layout.official(key) for key in wanted if key not in state], unexpected, layout, path)
    cast = Counter[str]()
    for key, value in state.items():
        state[key] = _checked(value, wanted[key], layout.official(key), path, cast)
    report = _report(state, layout, path, cast, stripped, ignored, leftovers)
    return state, report


def best_checkpoint(path: Path) -> Path:
    """EMOCA's choice among the files of a model's folder: of the detail stage, with the smallest loss in its name.

    A file is returned as it is. Files called "last" are left out, as in the official program.

    Raises:
        HarnessError: the folder holds no checkpoint, or several without a loss in their names.
    """
    if not path.is_dir():
        return path
    roots = [root for root in (path / "detail" / "checkpoints", path / "checkpoints", path) if root.is_dir()]
    files = [file for file in sorted(roots[0].rglob("*.ckpt")) if "last" not in file.stem]
    losses = {file: loss for file in files if (loss := _loss(file)) is not None}
    if losses:
        return min(losses, key=lambda file: losses[file])
    if len(files) == 1:
        return files[0]
    found = f"{len(files)} of them, none with a loss in its name" if files else "none"
    raise HarnessError(
        f"{path}: expected a checkpoint detail/checkpoints/*.ckpt, found {found} in {roots[0]}. "
        "Unpack the official archive and name its folder, or name the file itself"
    )


def _loss(file: Path) -> float | None:
    try:
        value = float(file.stem.rpartition("=")[2])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _flat(content: Mapping[Any, Any], layout: Layout, path: Path) -> tuple[dict[str, Tensor], Counter[str]]:
    """Every tensor by its levels and its key joined by dots, and how many other entries there are, by kind."""
    entries: dict[str, Any] = {}
    ignored = Counter[str]()
    for name, value in content.items():
        if name in TRAINING:
            ignored["state of the training"] += 1
        elif isinstance(value, Mapping):
            level = "" if name == WRAPPER else f"{name}."
            entries |= {f"{level}{key}": part for key, part in value.items()}
        elif isinstance(value, Tensor):
            entries[str(name)] = value
        else:
            ignored[f"{name} ({type(value).__name__})"] += 1
    for key, value in entries.items():
        if not isinstance(value, Tensor):
            raise HarnessError(f"{path}: {key} holds a {type(value).__name__}, expected a tensor; {_official(layout)}")
    return entries, ignored


def _unwrapped(entries: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The entries without the prefixes of PyTorch's own wrappers, and which of these there were."""
    plain = {key: _WRAPPERS.sub("", key) for key in entries}
    if len(set(plain.values())) < len(plain):
        twice = next(key for key, count in Counter(plain.values()).items() if count > 1)
        raise HarnessError(f"{path}: holds {twice} twice, with and without the prefix of a wrapper; keep one of them")
    found = sorted({prefix for key in entries for prefix in _WRAPPERS.findall(key)})
    return {plain[key]: value for key, value in entries.items()}, tuple(found)


def _check_method(shapes: Shapes, official: Iterable[str], layout: Layout, path: Path) -> None:
    title = recognise(shapes)
    if title is None:
        found = ", ".join(list(shapes)[:SHOWN]) or "no tensor at all"
        raise HarnessError(f"{path}: is no checkpoint of {layout.title}: it holds {found}; {_official(layout)}")
    if title != layout.title:
        raise HarnessError(
            f"{path}: is a checkpoint of {title}, not of {layout.title}; {_official(layout)}. Name the one that "
            "belongs to the method, or the method that belongs to it"
        )
    official = set(official)
    if official.isdisjoint(shapes):
        prefixes = {key.removesuffix(end) for key in shapes for end in _ends(key) if end in official}
        if prefixes:
            raise HarnessError(
                f"{path}: its keys begin with {' or '.join(map(repr, sorted(prefixes)))}, which the official file's do "
                f"not; {_official(layout)}. Save it again without the prefix"
            )


def _ends(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[i:]) for i in range(1, len(parts))]


def _check_keys(missing: list[str], unexpected: list[str], layout: Layout, path: Path) -> None:
    if missing or unexpected:
        parts = [f"lacks {_named(missing)}"] if missing else []
        parts += [f"holds {_named(unexpected)}, which the official file does not"] if unexpected else []
        raise HarnessError(f"{path}: as a checkpoint of {layout.title} it {' and '.join(parts)}; {_official(layout)}")


def _checked(value: Tensor, meant: Tensor, key: str, path: Path, cast: Counter[str]) -> Tensor:
    """The tensor as float32 (integers as they are expected); counts what was of another type."""
    if value.shape != meant.shape:
        raise HarnessError(
            f"{path}: {key} has shape {tuple(value.shape)}, expected {tuple(meant.shape)}: it is of another version "
            "of the method"
        )
    plain = value.layout is torch.strided and not value.is_quantized
    if not plain or value.dtype.is_floating_point != meant.dtype.is_floating_point:
        kind = str(value.dtype if plain else value.layout).removeprefix("torch.")
        raise HarnessError(f"{path}: {key} is of type {kind}, expected {meant.dtype}; use the published file")
    if value.is_floating_point() and value.dtype != meant.dtype:
        cast[str(value.dtype).removeprefix("torch.")] += 1
    value = value.to(meant.dtype)
    if not value.sum().isfinite() and not value.isfinite().all():
        raise HarnessError(f"{path}: {key} holds NaN or infinity; the file is damaged, fetch it again")
    return value


def _report(
    state: Mapping[str, Tensor],
    layout: Layout,
    path: Path,
    cast: Mapping[str, int],
    stripped: tuple[str, ...],
    ignored: Mapping[str, int],
    leftovers: tuple[str, ...],
) -> LoadReport:
    counts = Counter[str]()
    for key, value in state.items():
        if not key.endswith(_STATISTICS):
            counts[key.partition(".")[0]] += value.numel()
    parts = {part: numbers for part, numbers in layout.parameters.items() if part in counts}
    found = {part: counts[part] for part in parts}
    specified = {part: found[part] if found[part] in numbers else numbers[0] for part, numbers in parts.items()}
    return LoadReport(path, layout.title, len(state), found, specified, cast, stripped, ignored, leftovers)


def _official(layout: Layout) -> str:
    return f"the official one is {layout.file}"


def _named(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(keys[:SHOWN]) + more


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
