"""The options of the conformance suite. They exist only in a run of it, so that they stand in nobody's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SUITE = "harness.conformance"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Adds the options where the suite, or a file of it, is what is asked for."""
    del early_config
    if not any(is_suite(argument) for argument in args):
        return
    group = parser.getgroup("harness", "conformance of a method's adapter")
    group.addoption("--method", metavar="PLACE:CLASS", help="path/to/file.py:Class, package.module:Class, or a name")
    group.addoption("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    group.addoption("--option", action="append", default=[], metavar="KEY=VALUE", help="keyword argument of the class")
    group.addoption("--config-dir", metavar="DIR", help="a folder of your own with method/*.yaml, for a name")


def is_suite(argument: str) -> bool:
    """Whether a word of the command line names this package, a module of it or its folder."""
    name = argument.partition("::")[0]
    if name.startswith("-") or name == __name__:  # which is what -p takes
        return False
    here = Path(__file__).parent
    return name == SUITE or name.startswith(f"{SUITE}.") or Path(name).absolute().is_relative_to(here)


def pytest_configure(config: Any) -> None:
    """Refuses a run of the suite that is not told whom to test."""
    if hasattr(config.option, "method") and hasattr(config.option, "option") and not config.option.method:
        raise pytest.UsageError("harness.conformance: --method path/to/file.py:Class is missing")
