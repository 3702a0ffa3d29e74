"""Whom to test, and what to ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from harness import catalogue
from harness.adapter import MethodAdapter
from harness.conformance.asking import Asking
from harness.doctor.exam import Form, Question, exam
from harness.errors import HarnessError
from harness.isolation import calls
from harness.method import MethodSpec


@pytest.fixture(scope="session")
def method(pytestconfig: pytest.Config) -> MethodSpec:
    """The method of the command line."""
    if not hasattr(pytestconfig.option, "method"):
        pytest.skip("run as: pytest --pyargs harness.conformance --method path/to/file.py:Class")
    reference: str = pytestconfig.option.method
    options = dict(_pair(text) for text in pytestconfig.option.option)
    if ":" in reference:
        return MethodSpec(reference.rpartition(":")[2], reference, options)
    folder = pytestconfig.option.config_dir
    try:
        catalogue.check("method", reference, folder)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None
    return _named(reference, folder, options)


def _named(name: str, folder: str | None, options: dict[str, object]) -> MethodSpec:
    values = yaml.safe_load(catalogue.file_of("method", name, folder).read_text(encoding="utf-8"))
    return MethodSpec(name, values["adapter"], {**(values.get("options") or {}), **options})


def _pair(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise pytest.UsageError(f"--option {text}: expected KEY=VALUE")
    return key, yaml.safe_load(value)


@pytest.fixture(scope="session")
def fresh(method: MethodSpec, pytestconfig: pytest.Config) -> Callable[[], MethodAdapter]:
    """Makes and loads another adapter."""

    def make() -> MethodAdapter:
        try:
            adapter = method.build()
            calls.load(adapter, pytestconfig.option.device)
        except HarnessError as error:
            pytest.fail(str(error), pytrace=False)
        return adapter

    return make


@pytest.fixture(scope="session")
def adapter(fresh: Callable[[], MethodAdapter]) -> MethodAdapter:
    """One loaded adapter for all tests that do not need one of their own."""
    return fresh()


@pytest.fixture(scope="session")
def asking(adapter: MethodAdapter) -> Asking:
    """Asks that adapter."""
    return Asking(adapter)


@pytest.fixture(scope="session")
def questions() -> list[Question]:
    """Two people, neutral and with an open mouth; their views have all that a view can have."""
    return exam(people=2)


@pytest.fixture(scope="session")
def three_views() -> Question:
    """One person from three sides."""
    return exam(Form(views=3), people=1)[0]
