"""An adapter in another environment: asked over the wire, given up when it dies, hangs, floods or lies."""

from __future__ import annotations

import logging
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError, HarnessError
from harness.isolation import exchange
from harness.isolation.bounded_log import BoundedLog
from harness.isolation.exchange import Question
from harness.isolation.launchers import Launched, Launcher
from harness.isolation.process import LOAD_LIMIT_S
from harness.isolation.source import AdapterSource
from harness.isolation.wire import MAX_BODY, SLICE_MS, Closed, Connection, Message, WireError, shown
from harness.isolation.worker import WIRE
from harness.method import MethodSpec
from harness.samples import MILLIMETRES_PER, Prediction, Sample

log = logging.getLogger(__name__)

START_LIMIT_S = 60.0
CLOSE_LIMIT_S = 5.0
FLOOD = 64 * 2**20
"""Bytes of output during one call after which a worker is stopped."""
BEATS_PER_S = 10
"""Signs of life that are still no flood; a worker sends one a second."""


class GivenUp(Exception):
    """The worker is no longer waited for.

    Attributes:
        reason: one of FAILURE_REASONS.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RemoteWorker:
    """Runs one method's adapter behind a launcher, from the first use on and again after a death.

    Args:
        method: what to run; its adapter is never imported here.
        device: torch's name of the device.
        seed: of the method's random numbers.
        timeout_s: after which a call is given up; None waits as long as the worker shows that it lives.
        launcher: starts the workers.
        log_file: takes what the workers write, up to a limit.
        silence_s: seconds without a sign of life after which a worker counts as dead.
    """

    def __init__(
        self,
        method: MethodSpec,
        device: str,
        seed: int,
        timeout_s: float | None,
        launcher: Launcher,
        log_file: Path,
        silence_s: float = 60.0,
    ) -> None:
        self._method, self._device, self._seed, self._timeout_s = method, device, seed, timeout_s
        self._launcher, self._silence_s = launcher, silence_s
        self._log = BoundedLog(log_file)
        self._worker: _Worker | None = None

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One Prediction per sample, in millimetres. A batch that fails as a whole is repeated sample by sample.

        Raises:
            HarnessError: the worker cannot be started, or the adapter cannot be loaded.
        """
        questions: dict[int, Question] = {}
        found: dict[int, Prediction] = {}
        for number, sample in enumerate(samples):
            try:
                questions[number] = Question.of(sample)
            except DataError as error:
                found[number] = Prediction.failed("bad_input", str(error))
        if questions:
            found |= dict(zip(questions, self._batch(list(questions.values())), strict=True))
        return [found[number] for number in range(len(samples))]

    def close(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.close()
        self._worker = None
        self._log.close()

    def _batch(self, questions: Sequence[Question]) -> list[Prediction]:
        predictions = self._ask(questions)
        if len(questions) > 1 and all(p.failure in ("crash", "out_of_memory", "timeout") for p in predictions):
            log.warning("A batch of %d samples failed; trying them one by one", len(questions))
            return [p for question in questions for p in self._ask([question])]
        return predictions

    def _ask(self, questions: Sequence[Question]) -> list[Prediction]:
        if self._worker is None:
            self._worker = self._started()
        try:
            return self._worker.predict(questions, self._seed, self._timeout_s)
        except GivenUp as trouble:
            log.warning("The worker of method %s: %s; starting it anew", self._method.name, trouble)
            self._worker.kill()
            self._worker = None
            return [Prediction.failed(trouble.reason, f"the method's worker: {trouble}")] * len(questions)

    def _started(self) -> _Worker:
        worker = _Worker(self._launcher, self._log, self._silence_s)
        try:
            limit = None if self._timeout_s is None else max(LOAD_LIMIT_S, self._timeout_s)
            worker.load(self._method, self._device, limit)
        except GivenUp as trouble:
            worker.kill()
            said = self._log.tail()
            last = f". Its last output ({self._log.path}): {said}" if said else ""
            raise HarnessError(f"method {self._method.name}: its worker {trouble} in load(){last}") from None
        except BaseException:
            worker.kill()
            raise
        return worker


class _Worker:
    """One worker from its start to its end; what goes wrong with it is raised as GivenUp."""

    def __init__(self, launcher: Launcher, output: BoundedLog, silence_s: float) -> None:
        self._launcher, self._output, self._silence_s = launcher, output, silence_s
        self._folder = Path(tempfile.mkdtemp(prefix="harness-"))  # none but its owner may enter it
        self._process: Launched | None = None
        self._wire: Connection | None = None
        self._unit = ""
        self._busy = True
        self._begin(None)
        self._born, self._beats = time.monotonic(), 0

    def load(self, method: MethodSpec, device: str, limit_s: float | None) -> None:
        """Starts the process and has it load the adapter.

        Raises:
            HarnessError: it could not be started, or the adapter could not be loaded.
        """
        self._connect()
        hello = self._receive(START_LIMIT_S)
        if hello.kind != "hello" or hello.header.get("wire") != WIRE:
            raise HarnessError(
                f"method {method.name}: its worker speaks wire format {shown(hello.header.get('wire'))}, the harness "
                f"{WIRE}; build its environment anew"
            )
        source = AdapterSource.of(method)
        request = {
            "kind": "load",
            "file": self._launcher.inside(source.file),
            "module": source.module,
            "class": source.name,
            "options": exchange.options_inside(method.options, self._launcher.inside),
            "device": device,
            "limit": MAX_BODY,
        }
        answer = self._request(request, {}, limit_s)
        if answer.kind == "error":
            raise HarnessError(f"method {method.name}: {shown(answer.header.get('detail'), 2000)}")
        self._unit = shown(answer.header.get("unit"))
        if answer.kind != "loaded" or self._unit not in MILLIMETRES_PER:
            known = ", ".join(MILLIMETRES_PER)
            raise HarnessError(f"{source.name}.unit: {self._unit!r}, expected one of {known}")
        self._busy = False

    def predict(self, questions: Sequence[Question], seed: int, limit_s: float | None) -> list[Prediction]:
        """The answer to one batch, in millimetres."""
        self._busy = True
        header, arrays = exchange.request_of(questions, seed)
        answer = self._request(header, arrays, limit_s)
        try:
            predictions = exchange.predictions_of(answer, len(questions), self._unit)
        except WireError as error:
            raise GivenUp("crash", f"broke the wire format: {error}") from None
        self._busy = False
        return predictions

    def close(self) -> None:
        """Lets it end by itself where it waits for a request, and ends it where it does not."""
        if self._wire is not None and not self._busy:
            self._wire.close()
            deadline = time.monotonic() + CLOSE_LIMIT_S
            while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
        self.kill()

    def kill(self) -> None:
        """Ends it and all that it started, and removes its folder."""
        if self._wire is not None:
            self._wire.close()
        if self._process is not None:
            self._process.kill()
            self._process.close()
        self._process = self._wire = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> None:
        """Starts the process and waits until it has connected."""
        path = self._folder / "worker.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            try:
                listener.bind(str(path))
            except OSError as error:
                raise HarnessError(f"{path}: cannot be a socket ({error}); set TMPDIR to a shorter path") from None
            path.chmod(0o777)  # a container's user is another one; the folder keeps all others out
            listener.listen(1)
            listener.settimeout(SLICE_MS / 1000)
            self._begin(START_LIMIT_S)
            self._process = self._launcher.start(path, self._output)
            while True:
                try:
                    connection, _ = listener.accept()
                    break
                except TimeoutError:
                    self._check()
        path.unlink(missing_ok=True)
        self._wire = Connection(connection, self._check)

    def _request(self, header: dict[str, Any], arrays: dict[str, Any], limit_s: float | None) -> Message:
        assert self._wire is not None
        self._begin(limit_s)
        wire = self._wire
        self._guarded(lambda: wire.send(header, arrays))
        return self._receive(limit_s)

    def _begin(self, limit_s: float | None) -> None:
        """A new call: its clocks and counters start."""
        now = time.monotonic()
        self._limit_s, self._deadline = limit_s, None if limit_s is None else now + limit_s
        self._heard, self._output_before = now, self._output.written

    def _receive(self, limit_s: float | None) -> Message:
        """The next message that is no sign of life."""
        assert self._wire is not None
        while True:
            message: Message = self._guarded(self._wire.receive)
            self._heard = time.monotonic()
            self._check_limits()
            if message.kind != "alive":
                return message
            self._beats += 1
            if self._beats > 100 + BEATS_PER_S * (self._heard - self._born):
                raise GivenUp("crash", "floods the connection with signs of life")

    def _guarded(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except (Closed, OSError):
            raise self._death() from None
        except WireError as error:
            raise GivenUp("crash", f"broke the wire format: {error}") from None

    def _death(self) -> GivenUp:
        """Why the connection ended: the process did, or else it closed the connection."""
        assert self._process is not None
        deadline = time.monotonic() + CLOSE_LIMIT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._process.poll() is None:
            return GivenUp("crash", "closed the connection")
        return GivenUp("out_of_memory" if self._process.out_of_memory() else "crash", self._process.cause_of_death())

    def _check(self) -> None:
        """Called while waiting. Raises GivenUp when there is nothing to wait for."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise self._death()
        if time.monotonic() - self._heard > self._silence_s:
            raise GivenUp("timeout", f"gave no sign of life for {self._silence_s:g} s")
        self._check_limits()

    def _check_limits(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise GivenUp("timeout", f"no answer within {self._limit_s:g} s")
        if self._output.written - self._output_before > FLOOD:
            raise GivenUp("crash", f"wrote more than {FLOOD // 2**20} MiB of output during one call")
