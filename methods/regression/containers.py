"""Reading the files that `torch.save` wrote for others, without running what a pickle may ask for.

First PyTorch's own restricted reading is tried. Training programs leave objects of theirs beside the weights
(configurations, counters, callbacks), which it refuses; then the file is read again with an unpickler that makes
tensors, and of the classes in `LEFTOVERS` an empty stand-in. Any other name in the file ends the reading.
"""

from __future__ import annotations

import pickle
import re
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from harness.errors import HarnessError

_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
}

LEFTOVERS = re.compile(
    r"(omegaconf|yacs|easydict|pytorch_lightning|lightning|lightning_fabric|torchmetrics|torch\.optim|numpy|pathlib)\."
    r"|typing\.|enum\.|_codecs\.encode$|argparse\.Namespace$|collections\.(defaultdict|Counter|deque)$"
    r"|(copy_reg|copyreg)\._reconstructor$|torch\.(float|bfloat|int)\d+$"
    r"|(builtins|__builtin__)\.(dict|list|tuple|set|frozenset|int|long|float|complex|bool|str|unicode|bytes|object)$"
)
"""Names of which nothing is made: what training programs are known to leave beside the weights."""


class Leftover:
    """Stands for an object that was not made; takes whatever a pickle wants to put into it, and keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Leftover:
        """An empty one, whatever it is given."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None:
        """Forgets it."""

    def extend(self, _: Any) -> None:
        """Forgets them."""

    def add(self, _: Any) -> None:
        """Forgets it."""


class _UnknownName(pickle.UnpicklingError):
    """The file names something that is neither a tensor nor a known leftover."""


def read_container(path: Path) -> tuple[Mapping[Any, Any], tuple[str, ...]]:
    """What `torch.save` put into a file, and the names of the leftovers that were not made.

    Tensors of a file in the newer (zip) format stay in the file until they are used.

    Raises:
        HarnessError: there is no such file, it is none of `torch.save` or damaged, it names an object that weights
            do not need, or what it holds is not a dictionary.
    """
    _check_kind(path)
    skipped: set[str] = set()
    try:
        content = _read(path, skipped)
    except _UnknownName as error:
        raise HarnessError(
            f"{path}: it asks for {error}, which weights do not need, so it was not read. Use the file as its authors "
            "published it; if you trust this one, load it in a program of yours and save the state dictionaries alone"
        ) from None
    except Exception as error:  # a damaged pickle raises anything
        reason = str(error).split("\n")[0][:200] or type(error).__name__
        raise HarnessError(
            f"{path}: cannot be read as a file of torch.save ({reason}); it is truncated, damaged or of another kind. "
            "Compare its size with the published one and fetch it again"
        ) from None
    if not isinstance(content, Mapping):
        raise HarnessError(f"{path}: holds a {type(content).__name__}, expected a dictionary of tensors")
    return content, tuple(sorted(skipped))


def _read(path: Path, skipped: set[str]) -> Any:
    mapped = zipfile.is_zipfile(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        module: Any = _restricted(skipped)
        return torch.load(path, map_location="cpu", weights_only=False, mmap=mapped, pickle_module=module)


def _restricted(skipped: set[str]) -> SimpleNamespace:
    """What `torch.load` takes for the module `pickle`; names of leftovers are added to `skipped`."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in _ALLOWED:
                return _ALLOWED[module, name]
            full = f"{module}.{name}"
            if not LEFTOVERS.match(full):
                raise _UnknownName(full)
            skipped.add(full)
            return type(name, (Leftover,), {})

    def load(file: Any, **options: Any) -> Any:
        return Unpickler(file, **options).load()

    return SimpleNamespace(__name__="restricted", Unpickler=Unpickler, load=load)


def _check_kind(path: Path) -> None:
    if not path.exists():
        raise HarnessError(f"{path}: there is no such checkpoint; the method's README.md says where to ask for one")
    if path.is_dir():
        raise HarnessError(f"{path}: is a folder, expected the checkpoint's file")
    if path.suffix == ".safetensors":
        raise HarnessError(f"{path}: is a safetensors file, expected the official checkpoint, a file of torch.save")
    names = _names_in_zip(path)
    if names and not any(name.endswith("data.pkl") for name in names):
        raise HarnessError(
            f"{path}: is an archive of other files ({', '.join(names[:3])} ...), expected a checkpoint. "
            "Unpack it and name what is inside"
        )
    if not names and tarfile.is_tarfile(path):
        raise HarnessError(f"{path}: is a tar archive, expected a file of torch.save. Unpack it, name what is inside")


def _names_in_zip(path: Path) -> list[str]:
    """What a zip archive holds; nothing where the file is none or damaged (PyTorch says then how)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return []
