"""A method as configured: which adapter class, with which options. Builds it, and says what it was built from."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.adapter import MethodAdapter
from harness.errors import HarnessError
from harness.files import digest_files
from harness.isolation.options import IsolationOptions
from harness.isolation.source import AdapterSource


@dataclass(frozen=True)
class MethodSpec:
    """What a method's YAML says; plain values, so that it travels to other processes.

    Attributes:
        name: unique among the methods of a leaderboard.
        adapter: "package.module:Class" or "path/to/file.py:Class".
        options: keyword arguments of the class.
        training: "package.module:function" that trains it; empty where the harness cannot.
        isolation: where its adapter runs. Only with kind "none" is any of its code run in this process.
    """

    name: str
    adapter: str
    options: Mapping[str, Any] = field(default_factory=dict)
    training: str = ""
    isolation: IsolationOptions = field(default_factory=IsolationOptions)

    def adapter_class(self) -> type[MethodAdapter]:
        """Imports the class. Raises HarnessError that says which part of `adapter` is wrong."""
        cls = load_object(self.adapter)
        if not (inspect.isclass(cls) and issubclass(cls, MethodAdapter)):
            raise HarnessError(f"{self.adapter}: is not a subclass of harness.MethodAdapter")
        missing = sorted(cls.__abstractmethods__)
        if missing:
            raise HarnessError(f"{self.adapter}: does not define {' and '.join(missing)}")
        return cls

    def declared(self) -> dict[str, str]:
        """What the class says of itself: `paper` and `family`. Raises HarnessError where there is no such class."""
        if self.isolation.kind != "none":
            return AdapterSource.of(self).declared()
        cls = self.adapter_class()
        return {"paper": cls.paper, "family": cls.family}

    def build(self) -> MethodAdapter:
        """An adapter, not yet loaded. Raises HarnessError where the class refuses the options."""
        cls = self.adapter_class()
        try:
            return cls(**self.options)
        except TypeError as error:
            raise HarnessError(
                f"method {self.name}: {self.adapter} does not take options {dict(self.options)}: {error}"
            ) from None

    def digests(self) -> dict[str, str]:
        """What the answers depend on: digests of the adapter's source file and of each file that it declares.

        Of an isolated method, which cannot be asked here: of its folder, and of each file that an option names.
        """
        if self.isolation.kind != "none":
            return AdapterSource.of(self).digests(self)
        adapter = self.build()
        source = Path(inspect.getfile(type(adapter))).resolve()
        declared = {str(path): digest_files([path], path.parent) for path in adapter.files() if path.is_file()}
        return {"source": digest_files([source], source.parent), **declared}


def load_object(reference: str) -> Any:
    """Imports "package.module:name" or "path/to/file.py:name"; raises HarnessError where a part is wrong."""
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise HarnessError(f"{reference!r}: expected package.module:Name or path/to/file.py:Name")
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    if not hasattr(module, name):
        classes = [n for n, v in vars(module).items() if inspect.isclass(v) and v.__module__ == module.__name__]
        raise HarnessError(f"{place}: has no {name}; it defines {', '.join(classes) or 'no class'}")
    return getattr(module, name)


def _load_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise HarnessError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))  # so that the file can import its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the author's file may raise anything
        raise HarnessError(f"{path}: importing it raised {type(error).__name__}: {error}") from error
    return module


def _load_module(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise HarnessError(f"{name}: cannot be imported ({error}); is it installed, or in this folder?") from error
