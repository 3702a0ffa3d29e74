"""Which protocols of a manifest this version of the harness has, and how to get at the code of the others."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from harness.errors import HarnessError
from harness.protocols.base import Protocol


def protocols_at_hand(manifest: Mapping[str, Any]) -> dict[str, Protocol]:
    """Id -> protocol, of those of a manifest that are exactly this version's."""
    ids = {record["id"]: known_protocol(record["canonical"]) for record in manifest["protocols"].values()}
    return {identity: protocol for identity, protocol in ids.items() if protocol is not None}


def unknown_protocols(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Name -> id, of those of a manifest that this version does not have, not even with fewer fields."""
    records = manifest["protocols"].items()
    return {name: record["id"] for name, record in records if not is_known(record["canonical"])}


def configured_protocols(manifest: Mapping[str, Any]) -> dict[str, Protocol]:
    """Id -> protocol, built as the manifest's configuration says; only for a run of one's own, since it imports code.

    Raises:
        HarnessError: the configuration names anything but protocols.
    """
    from hydra.utils import get_class, instantiate

    from harness.inspection import check_targets

    bench = manifest["config"].get("bench")
    nodes = bench.get("protocols") if isinstance(bench, dict) else None
    found = {}
    for node in nodes or ():
        check_targets(node)
        if not issubclass(get_class(node["_target_"]), Protocol):
            raise HarnessError(f"manifest.json: {node['_target_']} is no protocol")
        built = instantiate(node, _convert_="all")
        found[built.id] = built
    return found


@cache
def known_protocol(canonical: str) -> Protocol | None:
    """The protocol of this version with exactly this canonical JSON, ready to summarise; None if there is none."""
    built, exact = _built(canonical)
    return built if exact else None


@cache
def is_known(canonical: str) -> bool:
    """Whether this version has the protocol, perhaps with fields that were not there when the JSON was written."""
    return _built(canonical)[0] is not None


@cache
def _built(canonical: str) -> tuple[Protocol | None, bool]:
    """A protocol of the harness's own with the values of a canonical JSON, and whether it has exactly that JSON."""
    try:
        values = json.loads(canonical)
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
    except (ValueError, AttributeError, RecursionError):
        return None, False
    own = [cls for cls in _protocol_classes() if given.keys() <= {f.name for f in fields(cls) if f.compare}]
    for cls in sorted(own, key=lambda cls: _default_name(cls) != given.get("name")):
        try:
            built = cls(**given)
        except (HarnessError, TypeError, ValueError):
            continue
        if built.canonical_json() == canonical:
            return built, built.version == _default_version(cls)
        if _default_name(cls) == given.get("name"):
            return built, False
    return None, False


@cache
def _protocol_classes() -> tuple[type[Protocol], ...]:
    import harness.protocols

    found: dict[type[Protocol], None] = {}
    for module in pkgutil.iter_modules(harness.protocols.__path__, "harness.protocols."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, Protocol) and not inspect.isabstract(cls) and cls.__module__ == module.name:
                found[cls] = None
    return tuple(found)


def _default_name(cls: type[Protocol]) -> Any:
    return next(f.default for f in fields(cls) if f.name == "name")


def _default_version(cls: type[Protocol]) -> Any:
    return next(f.default for f in fields(cls) if f.name == "version")
