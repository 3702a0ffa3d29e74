"""An adapter's source as text: where it is and what it declares, read without running any of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.files import digest_files

if TYPE_CHECKING:
    from harness.method import MethodSpec

NOT_CODE = {"__pycache__"}


@dataclass(frozen=True)
class AdapterSource:
    """The class that `MethodSpec.adapter` names.

    Attributes:
        file: its module's file, resolved.
        module: the module's name: "package.module", or the file's stem where the adapter is given by its path.
        name: of the class.
    """

    file: Path
    module: str
    name: str

    @classmethod
    def of(cls, method: MethodSpec) -> AdapterSource:
        """Finds the file. Raises HarnessError that says which part of `adapter` is wrong."""
        place, _, name = method.adapter.rpartition(":")
        if not place or not name:
            raise HarnessError(f"{method.adapter!r}: expected package.module:Name or path/to/file.py:Name")
        if place.endswith(".py"):
            file, module = Path(place).expanduser().resolve(), Path(place).stem
        else:
            file, module = _file_of(place), place
        if not file.is_file():
            raise HarnessError(f"{file}: no such file")
        return cls(file, module, name)

    @property
    def folder(self) -> Path:
        """Where a method keeps its requirements.txt and Dockerfile."""
        return self.file.parent

    @property
    def is_packaged(self) -> bool:
        """Whether the whole folder is the method's; a file given by its path may lie anywhere."""
        return "." in self.module

    def declared(self) -> dict[str, str]:
        """`paper` and `family` where the class gives them as plain strings.

        Raises:
            HarnessError: the file is no Python, or has no such class.
        """
        try:
            tree = ast.parse(self.file.read_bytes(), filename=str(self.file))
        except (SyntaxError, ValueError, RecursionError) as error:
            raise HarnessError(f"{self.file}: is not Python ({error})") from None
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        imported = {alias.asname or alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names}
        if self.name in imported:
            return {"paper": "", "family": "other"}
        if self.name not in classes:
            raise HarnessError(f"{self.file}: has no {self.name}; it defines {', '.join(classes) or 'no class'}")
        found = {"paper": "", "family": "other"}
        for node in classes[self.name].body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found |= {t.id: value.value for t in targets if isinstance(t, ast.Name) and t.id in found}
        return found

    def digests(self, method: MethodSpec) -> dict[str, str]:
        """Of the method's code, and of each file or folder that an option names."""
        files = [self.file]
        if self.is_packaged:
            files = [path for path in files_in(self.folder) if not NOT_CODE & set(path.parts)]
        named = {str(path): digest_files(files_in(path), path.parent) for path in option_files(method)}
        return {"source": digest_files(files, self.folder), **named}


def files_in(path: Path) -> list[Path]:
    """A file itself; of a folder, all files in it at any depth."""
    return [path] if path.is_file() else [inner for inner in path.rglob("*") if inner.is_file()]


def option_files(method: MethodSpec) -> list[Path]:
    """Files and folders of this machine that options name by an absolute path, or by one from the current folder."""
    texts = [value for value in method.options.values() if isinstance(value, str) and "/" in value]
    return [path for path in map(Path, texts) if path.exists()]


def _file_of(module: str) -> Path:
    """Where a module's file is. Its packages are not imported either: their code may be the method's."""
    path: Sequence[str] | None = None
    found: ModuleSpec | None = None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        found = next((spec for spec in specs if spec is not None), None)
        if found is None:
            raise HarnessError(f"{module}: cannot be found (no {name}); is it installed, or in this folder?")
        path = found.submodule_search_locations or []
    if found is None or not found.origin:
        raise HarnessError(f"{module}: has no file; name the module that defines the class")
    return Path(found.origin).resolve()
