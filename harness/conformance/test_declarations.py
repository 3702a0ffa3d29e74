"""What the class says of itself."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable

from harness.adapter import MethodAdapter
from harness.errors import HarnessError
from harness.method import MethodSpec
from harness.samples import MILLIMETRES_PER


def test_is_a_method_adapter(method: MethodSpec) -> None:
    """A subclass that defines load(device) and predict(samples)."""
    try:
        cls = method.adapter_class()
    except HarnessError as error:
        raise AssertionError(str(error)) from None
    for name, arguments in (("load", ["self", "device"]), ("predict", ["self", "samples"])):
        found = list(inspect.signature(getattr(cls, name)).parameters)
        assert len(found) == len(arguments), f"{cls.__name__}.{name}{tuple(found)}: expected {tuple(arguments)}"


def test_declares_the_unit(adapter: MethodAdapter) -> None:
    """Lengths are never guessed."""
    unit = getattr(adapter, "unit", None)
    assert unit in MILLIMETRES_PER, f"{type(adapter).__name__}.unit is {unit!r}, expected m, cm or mm"


def test_describes_itself(adapter: MethodAdapter) -> None:
    """`paper` and `family` are words for the leaderboard."""
    for name in ("paper", "family"):
        value = getattr(adapter, name)
        assert isinstance(value, str), f"{type(adapter).__name__}.{name} is a {type(value).__name__}, expected a text"


def test_lists_files_that_exist(adapter: MethodAdapter) -> None:
    """A run's identity covers them: weights that change make another run."""
    missing = [str(path) for path in adapter.files() if not path.exists()]
    assert not missing, f"{type(adapter).__name__}.files() names files that are not there: {', '.join(missing)}"


def test_options_are_plain_values(method: MethodSpec) -> None:
    """They travel to other processes and into the manifest as JSON."""
    assert json.loads(json.dumps(dict(method.options))) == dict(method.options)


def test_can_be_loaded_again(fresh: Callable[[], MethodAdapter], adapter: MethodAdapter) -> None:
    """Each of several processes loads an adapter of its own."""
    assert fresh() is not adapter
