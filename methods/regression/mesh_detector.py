"""The face detector of `track=mediapipe`: MediaPipe's Face Mesh, asked in an environment of its own.

SMIRK's and TEASER's own programs find faces with it. Its package needs an older numpy than the harness, so it runs as
the method `mediapipe` does, through `isolation=venv`; the environment is built on the first use.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.errors import HarnessError
from harness.isolation.launchers import launcher_for
from harness.isolation.options import IsolationOptions
from harness.isolation.remote import RemoteWorker
from harness.method import MethodSpec
from harness.methods.regression.resampling import Image8
from harness.samples import Array, Sample, View

METHOD = MethodSpec("mediapipe", "harness.methods.mediapipe.adapter:MediaPipe", {"track": "own"})


class MeshDetector:
    """Finds the face of an image; a worker stays open for the next one.

    Raises:
        HarnessError: when made, if the environment cannot be built.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="harness-detector-")
        launcher = launcher_for(METHOD, IsolationOptions("venv"), "cpu")
        assert launcher is not None
        launcher.record()
        self._worker = RemoteWorker(METHOD, "cpu", 0, None, launcher, Path(self._folder.name) / "worker.log")

    def __call__(self, image: Image8) -> Array | None:
        """(68, 2) the landmarks of the face in (H, W, 3) uint8 RGB; None where there is none.

        Raises:
            HarnessError: the worker died or broke its format.
        """
        (found,) = self._worker.predict([Sample("image", "image", (View(image),))])
        if found.failure == "no_face":
            return None
        if found.failure is not None or found.landmarks_2d is None:
            raise HarnessError(f"track=mediapipe: {found.failure}: {found.detail}")
        return found.landmarks_2d

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()
        self._folder.cleanup()
