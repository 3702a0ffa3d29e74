"""`python -m harness doctor`: from a configuration to findings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from harness import config
from harness.doctor.checks import CHECKS
from harness.doctor.evidence import Evidence, examine
from harness.doctor.exam import Form, exam, form_of
from harness.doctor.findings import Diagnosis
from harness.doctor.reading import Reading
from harness.doctor.report import print_diagnosis
from harness.errors import HarnessError
from harness.files import write_json
from harness.method import MethodSpec
from harness.protocols.base import Protocol
from harness.samples import Sample

log = logging.getLogger(__name__)
OWN = 2  # samples of the bench's mirror


def json_option(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--json FILE` as the key `json=FILE`. Raises HarnessError if the file is missing."""
    words = list(arguments)
    for position, word in enumerate(words):
        if word == "--json":
            if position + 1 == len(words):
                raise HarnessError("--json: expected a file to write to")
            words[position : position + 2] = [f"json={words[position + 1]}"]
            break
        if word.startswith("--json="):
            words[position] = word[2:]
    return words


def doctor(configuration: DictConfig) -> Diagnosis:
    """Examines the configured method, prints the findings and writes them where asked.

    Raises:
        HarnessError: the method or the bench cannot be built.
    """
    method = config.method_spec(configuration)
    bench, protocols, own = _bench(configuration)
    device = config.resolve_device(configuration.device)
    log.info("Asking %s for synthetic faces whose truth is known (on %s)", method.name, device)
    diagnosis = diagnose(method, device, bench, protocols, own, configuration.timeout_s)
    print_diagnosis(diagnosis)
    if configuration.json:
        write_json(Path(configuration.json), diagnosis.as_json())
    return diagnosis


def diagnose(
    method: MethodSpec,
    device: str = "cpu",
    bench: str = "",
    protocols: Sequence[Protocol] = (),
    own: Sequence[Sample] = (),
    timeout_s: float = 300.0,
) -> Diagnosis:
    """All findings on a method.

    Args:
        method: whom; its class is imported here and loaded in processes of its own.
        device: torch's name of the device.
        bench: name of the benchmark in whose form to ask; empty for none.
        protocols: of that benchmark.
        own: some of its samples.
        timeout_s: after which a call is given up.

    Raises:
        HarnessError: there is no such class, or it refuses its options.
    """
    unit = str(getattr(method.build(), "unit", "none"))
    questions = exam(form_of(own) if own else Form())
    evidence = examine(method, device, Evidence(unit, questions, bench, protocols), own, timeout_s)
    reading = Reading(evidence)
    return Diagnosis(method.name, bench, device, len(questions) + len(own), [check(reading) for check in CHECKS])


def _bench(configuration: DictConfig) -> tuple[str, Sequence[Protocol], Sequence[Sample]]:
    """Name, protocols and first samples of the configured bench, on its mirror."""
    if configuration.bench is None:
        return "", (), ()
    values: Any = OmegaConf.to_container(configuration, resolve=False)
    if not str(values["data"]).startswith("mirror"):
        raise HarnessError(f"data={values['data']}: the doctor needs answers whose truth is known; leave it out")
    bench = config.benchmark(configuration)
    samples = bench.samples()
    return bench.name, bench.protocols, samples[:OWN]
