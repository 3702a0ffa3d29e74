"""An adapter in a process of its own: one that dies or hangs costs its sample, never the run."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from harness.adapter import MethodAdapter
from harness.errors import HarnessError
from harness.isolation import calls
from harness.method import MethodSpec
from harness.samples import Prediction, Sample

log = logging.getLogger(__name__)

LOAD_LIMIT_S = 1800.0  # only where a time limit is asked for at all: large weights on a slow disk take their time


class WorkerProcess:
    """Runs one method's adapter in a child process, which is started on first use and again after a death.

    The child ends by itself when this process is gone, however it went.
    """

    def __init__(self, method: MethodSpec, device: str, seed: int, timeout_s: float | None) -> None:
        self._method, self._device, self._seed, self._timeout_s = method, device, seed, timeout_s
        self._process: Any = None
        self._pipe: Connection | None = None

    @staticmethod
    def serve(pipe: Connection, method: MethodSpec, device: str, seed: int) -> None:
        """What the child process does."""
        adapter = loaded(pipe, method, device)
        while adapter is not None:
            try:
                samples = pipe.recv()
            except (EOFError, OSError):
                return
            pipe.send(calls.predict(adapter, samples, seed))

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One Prediction per sample, in millimetres. A batch that kills the worker is repeated sample by sample.

        Raises:
            HarnessError: the adapter cannot be loaded.
        """
        predictions: list[Prediction] | None = self._ask(list(samples))
        if predictions is not None:
            return predictions
        log.warning("%s; starting it anew", self._last_failure.detail)
        if len(samples) > 1:
            return [p for sample in samples for p in self.predict([sample])]
        return [self._last_failure]

    def close(self) -> None:
        """Ends the worker."""
        if self._process is not None:
            assert self._pipe is not None
            self._pipe.close()
            self._process.join(5)
            self._stop()

    def _ask(self, request: Any) -> Any | None:
        """The child's answer; None where it died or gave none in time, with `_last_failure` saying so."""
        pipe = self._pipe if self._pipe is not None else self._start()
        try:
            pipe.send(request)
            if not pipe.poll(self._timeout_s):
                self._stop()
                self._last_failure = Prediction.failed("timeout", f"no answer within {self._timeout_s:g} s")
                return None
            answer = pipe.recv()
        except (EOFError, OSError):
            self._last_failure = Prediction.failed("crash", f"the method's process {self._cause_of_death()}")
            return None
        return answer

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self.serve, args=(theirs, self._method, self._device, self._seed))
        self._process.start()
        theirs.close()
        try:
            if self._timeout_s is not None and not self._pipe.poll(max(LOAD_LIMIT_S, self._timeout_s)):
                self._stop()
                raise HarnessError(f"method {self._method.name}: load() did not end within {LOAD_LIMIT_S:g} s")
            trouble = self._pipe.recv()
        except EOFError:
            raise HarnessError(f"method {self._method.name}: its process {self._cause_of_death()} in load()") from None
        if trouble is not None:
            self._stop()
            raise HarnessError(trouble)
        return self._pipe

    def _cause_of_death(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        self._stop()
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def _stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._process, self._pipe = None, None


def loaded(pipe: Connection, method: MethodSpec, device: str) -> MethodAdapter | None:
    """In the child: the adapter, ready to be asked; or None, after telling the parent why there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    try:
        adapter = method.build()
        calls.load(adapter, device)
    except HarnessError as error:
        pipe.send(f"method {method.name}: {error}")
        return None
    except Exception as error:  # the author's code may raise anything
        log.debug("load() failed", exc_info=True)
        pipe.send(f"method {method.name}: load() raised {type(error).__name__}: {error}")
        return None
    pipe.send(None)
    return adapter
