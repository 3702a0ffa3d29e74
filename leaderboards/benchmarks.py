"""Which benchmarks there are, measured or not, and how their data is had."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import yaml

from harness import catalogue
from harness.benchmark import Access
from harness.errors import HarnessError

NEEDS = {
    Access.OPEN: "open data",
    Access.CLICK_THROUGH: "needs a registration",
    Access.SIGNED_FORM: "needs a signed form",
    Access.HIDDEN_GROUND_TRUTH: "only its owners can score",
}


@dataclass(frozen=True)
class KnownBench:
    """A benchmark of the configurations.

    Attributes:
        name: as in `bench=NAME`.
        about: one line.
        access: what one has to do for the data.
        needs: the same in words.
        place, hint: the address to ask at, and further words.
    """

    name: str
    about: str
    access: Access
    needs: str
    place: str
    hint: str


@lru_cache(maxsize=1)
def known_benchmarks() -> dict[str, KnownBench]:
    """Name -> what is known, of every benchmark that the harness comes with."""
    found = {}
    for name, about in catalogue.entries("bench").items():
        config = yaml.safe_load((catalogue.CONFIGS / "bench" / f"{name}.yaml").read_text())
        facts = class_constants(config["dataset"]["_target_"])
        access, ask_at = Access[facts["access"]], facts["ask_at"]
        address = re.search(r"https?://[^\s)]+", ask_at)
        place = address.group() if address else ""
        found[name] = KnownBench(name, about, access, NEEDS[access], place, ask_at.replace(place, "").strip())
    return found


def class_constants(target: str) -> dict[str, str]:
    """Constants of a class, from its source: importing a data set's reader takes seconds and much memory.

    Args:
        target: "package.module.Class".

    Returns:
        Name -> string, or the last part of a dotted name (`Access.OPEN` gives "OPEN"), of what is assigned in the
        class itself or in those bases that stand in the same module.

    Raises:
        HarnessError: there is no such module or class.
    """
    module, _, name = target.rpartition(".")
    spec = find_spec(module)
    tree = ast.parse(Path(spec.origin).read_text() if spec and spec.origin else "")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        raise HarnessError(f"{target}: there is no such class")
    found: dict[str, str] = {}
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found |= class_constants(f"{module}.{base.id}")
    for node in classes[name].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if isinstance(node.value, ast.Constant):
                found[node.target.id] = str(node.value.value)
            elif isinstance(node.value, ast.Attribute):
                found[node.target.id] = node.value.attr
    return found
