"""Methods that run in an environment of their own: one that behaves, and one for each way not to.

Run in workers, so only the public names of `harness` and numpy are imported here.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from harness import ContractError, DataError, MethodAdapter, Prediction

FACES = np.array([[0, 1, 2], [0, 2, 3]])


class Honest(MethodAdapter):
    """Its answer depends on everything in the sample and on both random states."""

    unit = "cm"
    paper = "A paper"
    family = "toy"

    def __init__(self, size=4, weights=None):
        self.size, self.weights = size, weights

    def load(self, device):
        self.offset = float(Path(self.weights).read_text()) if self.weights else 0.0
        self.device = device.type

    def predict(self, samples):
        return [self.answer(sample) for sample in samples]

    def answer(self, sample):
        import random

        view = sample.views[0]
        sums = [float(v.read_image().sum()) for v in sample.views]
        sums += [float(v.read_mask().sum()) for v in sample.views if v.read_mask() is not None]
        noise = np.random.random((self.size, 3))  # noqa: NPY002 - the state that the harness seeds
        vertices = noise + 100 * np.eye(self.size, 3) + np.mean(sums) / 1e6 + self.offset + random.random()
        camera = view.camera
        return Prediction(
            vertices,
            FACES,
            landmarks=np.full((68, 3), np.nan, np.float32),
            parameters={"shape": np.arange(3.0), "camera": np.array([0.0]) if camera is None else camera.centre},
            landmarks_2d=view.landmarks,
            label_map=None if view.mask is None else np.asarray(view.read_mask(), np.uint8),
            projection=None if camera is None else camera.projection,
            in_world_frame=camera is not None,
            detail=f"{sample.id} {sample.subject} {sample.group} {dict(sample.condition)} {self.device} {view.box}",
        )


class Hostile(Honest):
    """Does the one thing that `attack` names at the sample s0001, and answers all others.

    What an attack brought, or which error it met, is the answer's `detail`. `target` is what it aims at; an "@" before
    a path hides it from the harness, which opens the files that options name.
    """

    def __init__(self, attack, target=""):
        super().__init__()
        self.attack, self.target = attack, target.lstrip("@")

    def answer(self, sample):
        answer = super().answer(sample)
        if sample.id != "s0001":
            return answer
        try:
            told = getattr(self, self.attack)()
        except (OSError, RuntimeError) as error:
            told = f"{type(error).__name__}: {error}"
        return told if isinstance(told, Prediction) else Prediction(answer.vertices, FACES, detail=str(told))

    def exits(self):
        sys.exit(3)

    def exits_at_once(self):
        os._exit(7)

    def ends_itself(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def segfaults(self):
        ctypes.string_at(0)

    def aborts(self):
        os.abort()

    def sleeps(self):
        time.sleep(3600)

    def stops(self):
        os.kill(os.getpid(), signal.SIGSTOP)

    def spins(self):
        sys.setswitchinterval(1e9)  # the thread that shows signs of life gets no turn
        while True:
            pass

    def floods(self):
        line = b"x" * 2**20
        for _ in range(int(self.target)):
            sys.stdout.buffer.write(line)

    def escapes(self):
        sys.stderr.write("\x1b]0;title\x07\x1b[2J")
        return "\x1b[31mred\x00"

    def raises(self):
        raise ValueError("deliberate \x1b[31m")

    def bad_input(self):
        raise DataError("cannot be read")

    def bad_contract(self):
        raise ContractError("vertices: bad")

    def allocates(self):
        blocks = []
        while True:
            blocks.append(np.ones(2**24))

    def answers_hugely(self):
        return Prediction(np.zeros((12_000_000, 3)), FACES)

    def answers_nan(self):
        return Prediction(np.full((4, 3), np.nan), FACES)

    def answers_bad_faces(self):
        return Prediction(np.eye(4, 3), FACES + 5)

    def answers_text(self):
        return Prediction(np.array([["a", "b", "c"]] * 4), FACES)

    def answers_objects(self):
        return Prediction(np.array([[object()] * 3] * 4), FACES)

    def answers_strange_names(self):
        return Prediction(np.eye(4, 3), FACES, parameters={"../../x": np.zeros(3)})

    def forks(self):
        """Leaves a process behind that has left its group and holds the connection."""
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                name = ctypes.create_string_buffer(self.target.encode())
                ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
                time.sleep(3600)
            os._exit(0)
        return "left one behind"

    def forks_and_dies(self):
        self.forks()
        os._exit(5)

    def forks_much(self):
        made = 0
        try:
            while made < 300:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                made += 1
        except OSError as error:
            return f"{type(error).__name__} after {made}"
        return f"made {made}"

    def opens_internet(self):
        socket.socket(socket.AF_INET).connect(("127.0.0.1", int(self.target)))
        return "connected"

    def opens_unix(self):
        socket.socket(socket.AF_UNIX).connect(self.target)
        return "connected"

    def writes(self):
        Path(self.target).write_text("was here")
        return "written"

    def writes_own(self):
        Path("mine").write_text("mine")
        return Path("mine").read_text()

    def fills(self):
        with Path("much").open("wb") as file:
            for _ in range(64):
                file.write(bytes(2**20))
        return "filled"

    def reads(self):
        return f"read {len(Path(self.target).read_bytes())}"

    def lists(self):
        return f"listed {len(list(Path(self.target).iterdir()))}"

    def signals(self):
        os.kill(int(self.target), 0)
        return "may signal"

    def sees_variable(self):
        return os.environ.get(self.target, "not there")

    def starts_programs(self):
        return subprocess.run(["/bin/sh", "-c", "echo started"], capture_output=True, text=True).stdout.strip()


class OneMesh(MethodAdapter):
    """A mesh of the size of a face model, whatever the image; and as many products of matrices per view as are asked.

    Args:
        vertices: of the mesh.
        gigaflops: of work per view, on its pixels; 1.8 is what a ResNet-18 does on a crop of 224x224.
    """

    unit = "mm"

    def __init__(self, vertices=5000, gigaflops=0.0):
        self.count, self.columns = vertices, round(gigaflops * 1e9 / (2 * 1024 * 1024))

    def load(self, device):
        chance = np.random.default_rng(0)
        self.vertices = 100 * chance.standard_normal((self.count, 3))
        self.faces = chance.integers(0, self.count, (2 * self.count, 3))
        self.weights = chance.standard_normal((1024, 1024)).astype(np.float32)

    def predict(self, samples):
        return [self.answer(sample) for sample in samples]

    def answer(self, sample):
        seen = [self.look(view.read_image()) for view in sample.views]
        return Prediction(self.vertices + sum(seen), self.faces, self.vertices[:68])

    def look(self, image):
        if not self.columns:
            return float(image[::64, ::64].mean())
        pixels = image.reshape(-1)[: 1024 * self.columns].astype(np.float32).reshape(1024, -1) / 255
        while pixels.shape[1] < self.columns:
            pixels = np.concatenate([pixels, pixels], axis=1)[:, : self.columns]
        return float((self.weights @ pixels).mean())
