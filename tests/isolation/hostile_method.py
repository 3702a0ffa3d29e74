"""An adapter that does, for each sample, what the sample's name says: the attacks of the tests of containers."""

import contextlib
import gc
import json
import os
import pickle
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

HEAD = struct.Struct("<4sIQ")


class Hostile(MethodAdapter):
    """Answers `good` and attacks at any other name; `target` is what the host shows it to reach for."""

    unit = "mm"

    def __init__(self, target=None):
        self.target = target or {}

    def load(self, device):
        self.loads = 0

    def predict(self, samples):
        found = [getattr(self, sample.id)() if sample.id != "good" else [] for sample in samples]
        return [self.answer(names) for names in found]

    @staticmethod
    def answer(names):
        """A mesh; what an attack got hold of is its reason to fail."""
        if names:
            return Prediction.failed("crash", "REACHED " + ", ".join(names))
        return Prediction(vertices=np.eye(3), faces=np.array([[0, 1, 2]]))

    # ends and silences

    def exits(self):
        os._exit(7)

    def crashes(self):
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(60)

    def sleeps(self):
        time.sleep(1e6)

    def stops(self):
        os.kill(os.getpid(), signal.SIGSTOP)

    # floods

    def prints(self):
        block = b"flood\x1b[2J" * 100_000
        for _ in range(1100):
            os.write(1, block)
        return []

    def allocates(self):
        kept = []
        while True:
            kept.append(bytearray(os.urandom(1)) * 2**24)

    def fills_tmp(self):
        for number in range(10_000):
            Path(f"/tmp/{number}").write_bytes(bytes(2**20))

    def forks(self):
        while True:
            with contextlib.suppress(OSError):
                os.fork()

    # lies on the wire

    @staticmethod
    def wire():
        return next(thing for thing in gc.get_objects() if type(thing) is socket.socket and thing.fileno() >= 0)

    def says(self, data):
        self.wire().sendall(data)
        time.sleep(60)

    def bad_magic(self):
        self.says(b"GET / HTTP/1.1\r\n\r\n")

    def truncated(self):
        self.wire().sendall(HEAD.pack(b"FRHW", 100, 0) + b'{"kind"')
        os._exit(0)

    def huge_header(self):
        self.says(HEAD.pack(b"FRHW", 2**32 - 1, 0))

    def huge_body(self):
        self.says(HEAD.pack(b"FRHW", 2, 2**63) + b"{}")

    def no_json(self):
        self.says(HEAD.pack(b"FRHW", 4, 0) + b"\xff{{{")

    def pickled(self):
        body = pickle.dumps({"kind": "answer"})
        self.says(HEAD.pack(b"FRHW", len(body), 0) + body)

    def objects(self):
        self.lies({"dtype": "object", "shape": [1], "offset": 0})

    def endless_shape(self):
        self.lies({"dtype": "float64", "shape": [2**40, 2**40], "offset": 0})

    def beyond_the_body(self):
        self.lies({"dtype": "float64", "shape": [100], "offset": 8})

    def lies(self, entry):
        header = {"kind": "answer", "predictions": [{}], "arrays": [{"name": "0/vertices", **entry}]}
        text = json.dumps(header).encode()
        self.says(HEAD.pack(b"FRHW", len(text), 8) + text + bytes(8))

    # reaching out

    def connects(self):
        reached = []
        for address in (
            ("127.0.0.1", self.target["port"]),
            ("1.1.1.1", 53),
            ("172.17.0.1", 22),
            ("169.254.169.254", 80),
        ):
            with contextlib.suppress(OSError):
                socket.create_connection(address, 1).close()
                reached.append(str(address))
        for path in ("/var/run/docker.sock", "/run/docker.sock", self.target["engine"]):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
                line.connect(path)
                reached.append(path)
        return reached

    def writes(self):
        here = Path(__file__)
        places = [
            "/",
            "/etc",
            "/usr/bin",
            "/root",
            "/run",
            "/var/tmp",
            "/proc/sys/kernel",
            "/sys",
            here.parent,
            self.target["folder"],
        ]
        files = [
            *(Path(place) / "written" for place in places),
            here,
            Path(sys.modules["__main__"].__file__),
            "/etc/passwd",
        ]
        reached = []
        for path in map(Path, files):
            with contextlib.suppress(OSError), path.open("ab") as file:
                file.write(b"x")
                reached.append(str(path))
        return reached

    def reads(self):
        reached = []
        for path in self.target["secrets"]:
            with contextlib.suppress(OSError):
                reached.append(path + Path(path).read_text()[:0])
        for path in Path("/").glob("proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes()
                if b"pytest" in words or b"dockerd" in words:
                    reached.append(f"{path}: {words[:40]!r}")
        return reached

    def gains(self):
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        reached = [f"uid {os.getuid()}"] if os.getuid() == 0 else []
        reached += [f"{name} {status[name].strip()}" for name in ("CapEff", "CapBnd") if int(status[name], 16)]
        reached += ["privileges by setuid files"] if status["NoNewPrivs"].strip() != "1" else []
        reached += ["all system calls"] if status["Seccomp"].strip() != "2" else []
        for act in (
            lambda: os.setuid(0),
            lambda: os.chroot("/tmp"),
            lambda: os.kill(self.target["pid"], 0),
            lambda: os.nice(-5),
        ):
            with contextlib.suppress(OSError):
                act()
                reached.append("an act for root")
        return reached
