"""Asks a method the exam's questions, alone and together, in processes of its own, and keeps all that comes back."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.doctor.exam import Question
from harness.doctor.watch import Event, Watch
from harness.errors import HarnessError
from harness.isolation import calls
from harness.isolation.process import WorkerProcess, loaded
from harness.method import MethodSpec
from harness.protocols.base import Protocol
from harness.samples import Prediction, Sample

log = logging.getLogger(__name__)
TOGETHER = 3  # questions in the batch


@dataclass
class Evidence:
    """Everything that a method answered. Lengths are millimetres: `unit` has been applied.

    Attributes:
        unit: that the adapter declares.
        questions: what was asked.
        bench: in whose form; empty for none.
        protocols: of that benchmark.
        answers: one per question, each asked alone.
        seconds: of the calls for single questions, in the order in which they were made.
        again, after: the first question once more, at once and after another one.
        fresh: the first question in another process.
        fresh_seconds: that this took.
        batch: the first TOGETHER questions in one call, in that other process.
        own: samples of the bench's mirror and what was answered.
        events: connections, writes, programs.
        refused: why the adapter could not be loaded; then there is no answer at all.
    """

    unit: str
    questions: Sequence[Question]
    bench: str = ""
    protocols: Sequence[Protocol] = ()
    answers: list[Prediction] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    again: Prediction | None = None
    after: Prediction | None = None
    fresh: Prediction | None = None
    fresh_seconds: float = 0.0
    batch: list[Prediction] = field(default_factory=list)
    own: list[tuple[Sample, Prediction]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    refused: str = ""


class Patient(WorkerProcess):
    """A method in a process of its own, whose calls are timed and watched."""

    dead = False

    def ask(self, samples: Sequence[Sample]) -> tuple[list[Prediction], float, list[Event]]:
        """The answers, in millimetres, the seconds that they took, and what happened meanwhile.

        A process that dies or takes too long gives failures; it is not asked again.

        Raises:
            HarnessError: the adapter cannot be loaded.
        """
        answer: Any = None if self.dead else self._ask(list(samples))
        if answer is None:
            self.dead = True
            return [self._last_failure] * len(samples), 0.0, []
        return answer

    @staticmethod
    def serve(pipe: Connection, method: MethodSpec, device: str, seed: int) -> None:
        """What the child process does."""
        watch = Watch()
        sys.addaudithook(watch)
        adapter = loaded(pipe, method, device)
        watch.phase = "predict"
        while adapter is not None:
            try:
                samples = pipe.recv()
            except (EOFError, OSError):
                return
            start = time.perf_counter()
            predictions = calls.predict(adapter, samples, seed)
            seconds = time.perf_counter() - start
            pipe.send((predictions, seconds, list(watch.events)))
            watch.events.clear()


def examine(method: MethodSpec, device: str, evidence: Evidence, own: Sequence[Sample], timeout_s: float) -> Evidence:
    """Fills `evidence`.

    Args:
        method: whom.
        device: torch's name of the device.
        evidence: has the questions.
        own: samples of the benchmark itself.
        timeout_s: after which a call is given up.
    """
    try:
        _alone(Patient(method, device, 0, timeout_s), evidence, own)
        _anew(Patient(method, device, 0, timeout_s), evidence)
    except HarnessError as error:
        evidence.refused = str(error)
    return evidence


def _alone(patient: Patient, evidence: Evidence, own: Sequence[Sample]) -> None:
    """The first question thrice (the third time after another one), the others once."""
    first, second, *others = [question.sample for question in evidence.questions]

    def ask(sample: Sample) -> Prediction:
        (answer,), seconds, events = patient.ask([sample])
        evidence.events += events
        if answer.failure is None:
            evidence.seconds.append(seconds)
        return answer

    try:
        evidence.answers.append(ask(first))
        evidence.again = ask(first)
        evidence.answers.append(ask(second))
        evidence.after = ask(first)
        evidence.answers += [ask(sample) for sample in others]
        evidence.own += [(sample, patient.ask([sample])[0][0]) for sample in own]
    finally:
        patient.close()


def _anew(patient: Patient, evidence: Evidence) -> None:
    samples = [question.sample for question in evidence.questions[:TOGETHER]]
    try:
        (evidence.fresh,), evidence.fresh_seconds, _ = patient.ask(samples[:1])
        evidence.batch, _, events = patient.ask(samples)
        evidence.events += events
    finally:
        patient.close()


def short(path: str) -> str:
    """A path below the working folder, or a place in such a file, without that folder."""
    return path.removeprefix(f"{Path.cwd()}{os.sep}")
