"""The far side of `harness.isolation`: loads one adapter in an environment of its own and answers over a socket.

This file runs alone, in whatever interpreter the method needs: Python 3.7 or newer, the standard library and numpy. It
is started as `python -I worker.py --connect SOCKET` (or `--fd NUMBER`, of a socket that is connected already).

A message is HEAD (magic, length of the header, length of the body; little-endian), the header in UTF-8 JSON, and the
body: the buffers of the arrays that `header["arrays"]` lists, each at a multiple of ALIGNMENT. With `"shared": true`
the body is empty and the buffers are in a sealed memory file whose descriptor comes along. Nothing is pickled.

    worker: hello (wire, python, numpy)         harness: load (file, module, class, options, device, limit)
    worker: loaded (unit) or error (detail)     harness: predict (samples, seed) + arrays
    worker: answer (predictions) + arrays, or raised (reason, detail); and `alive` every second

Where the harness itself is not installed, a module `harness` with the same classes stands in for it (see `stand_in`).
"""

from __future__ import annotations

import abc
import argparse
import array
import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import json
import mmap
import os
import platform
import random
import signal
import socket
import struct
import sys
import threading
import traceback
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

WIRE = 1
MAGIC = b"FRHW"
HEAD = struct.Struct("<4sIQ")
ALIGNMENT = 64
MAX_HEADER = 2**20
HEARTBEAT_S = 1.0
DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
)
CAMERA_ARRAYS = ("intrinsics", "rotation", "translation")
VIEW_ARRAYS = ("image", "mask", "scene", "box", "landmarks")
PREDICTION_ARRAYS = (
    *("vertices", "faces", "landmarks", "landmarks_2d", "label_map"),
    *("neutral_vertices", "neutral_landmarks", "projection"),
)
PREDICTION_VALUES = ("source_unit", "in_world_frame", "failure", "detail")
Answer = Any  # the header of a message and its named arrays


def laid_out(arrays: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The header's entries of named arrays, one after the other, and the length of the body they make."""
    entries, end = [], 0
    for name, values in arrays.items():
        start = aligned(end)
        entries.append({"name": name, "dtype": values.dtype.name, "shape": list(values.shape), "offset": start})
        end = start + values.nbytes
    return entries, end


def aligned(length: int) -> int:
    """The next multiple of ALIGNMENT."""
    return -(-length // ALIGNMENT) * ALIGNMENT


def read_array(entry: Mapping[str, Any], buffer: Any) -> np.ndarray:
    """The array that an entry describes, as a view of the buffer."""
    count = int(np.prod(entry["shape"], dtype=np.int64))
    if not count:
        return np.zeros(entry["shape"], entry["dtype"])
    return np.frombuffer(buffer, entry["dtype"], count, entry["offset"]).reshape(entry["shape"])


class Channel:
    """One end of the socket; messages of several threads do not mix."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._lock = connection, threading.Lock()

    def send(self, header: dict[str, Any], arrays: Mapping[str, Any] | None = None) -> None:
        """Sends one message, the arrays in its body."""
        arrays = {name: np.asarray(values, order="C") for name, values in (arrays or {}).items()}
        entries, length = laid_out(arrays)
        text = json.dumps(dict(header, arrays=entries)).encode()
        with self._lock:
            self._socket.sendall(HEAD.pack(MAGIC, len(text), length) + text)
            end = 0
            for entry in entries:
                values = arrays[entry["name"]]
                self._socket.sendall(bytes(entry["offset"] - end) + values.tobytes())
                end = entry["offset"] + values.nbytes

    def receive(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The next message: header and named arrays, read-only. Raises EOFError when the harness is gone."""
        start, descriptors = self._start()
        magic, header_length, body_length = HEAD.unpack(start)
        if magic != MAGIC:
            raise ValueError(f"the harness speaks another wire format: {magic!r}")
        header = json.loads(self._exactly(header_length).decode())
        body: Any = self._exactly(body_length)
        if header.get("shared"):
            body = mmap.mmap(descriptors[0], 0, access=mmap.ACCESS_READ)
            os.close(descriptors[0])
        return header, {entry["name"]: read_array(entry, body) for entry in header["arrays"]}

    def _start(self) -> tuple[bytes, array.array[int]]:
        """The first bytes of a message, with the descriptors that come with them."""
        descriptors = array.array("i")
        space = socket.CMSG_SPACE(descriptors.itemsize)
        data, ancillary, _, _ = self._socket.recvmsg(HEAD.size, space)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        if not data:
            raise EOFError
        return data + self._exactly(HEAD.size - len(data)), descriptors

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(min(count - len(data), 2**20))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)


def beat(channel: Channel) -> None:
    """Tells the harness each second that this process runs; ends it when the harness is gone."""
    pause = threading.Event()
    while True:
        try:
            channel.send({"kind": "alive"})
        except OSError:
            os._exit(0)
        pause.wait(HEARTBEAT_S)


def main() -> None:
    """Serves one adapter until the harness closes the socket."""
    parser = argparse.ArgumentParser(description="Runs one method for the harness")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--connect", help="path of the harness's Unix socket")
    place.add_argument("--fd", type=int, help="descriptor of a connected socket")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the harness's to handle
    if arguments.connect:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(arguments.connect)
    else:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=arguments.fd)
        connection.set_inheritable(False)
    channel = Channel(connection)
    channel.send({"kind": "hello", "wire": WIRE, "python": platform.python_version(), "numpy": np.__version__})
    threading.Thread(target=beat, args=(channel,), daemon=True).start()
    serve(channel)


def serve(channel: Channel) -> None:
    """Answers request after request."""
    adapter, limit = None, 0
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request, arrays = channel.receive()
            if request["kind"] == "load":
                limit = request["limit"]
                try:
                    adapter = load(request)
                    channel.send({"kind": "loaded", "unit": str(getattr(adapter, "unit", None))})
                except Exception as error:  # the author's code may raise anything
                    traceback.print_exc()
                    plain = {"SetupError", "HarnessError"} & {cls.__name__ for cls in type(error).__mro__}
                    detail = str(error) if plain else f"load() raised {type(error).__name__}: {error}"
                    channel.send({"kind": "error", "detail": detail})
            else:
                answer, results = predict(adapter, request, arrays)
                size = sum(aligned(values.nbytes) for values in results.values())
                if size > limit:
                    detail = f"the answer has {size} bytes, at most {limit} are taken"
                    answer, results = {"kind": "raised", "reason": "crash", "detail": detail}, {}
                channel.send(answer, results)


# the adapter -----------------------------------------------------------------------------------------------------


class SetupError(Exception):
    """The adapter cannot be used; the message says why."""


def load(request: dict[str, Any]) -> Any:
    """Imports the class, makes the adapter and loads it."""
    real = use_real_harness()
    module = import_file(request["file"], request["module"], real)
    if not hasattr(module, request["class"]):
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__]
        raise SetupError(f"{request['file']}: has no {request['class']}; it defines {', '.join(classes) or 'no class'}")
    try:
        adapter = getattr(module, request["class"])(**request["options"])
    except TypeError as error:
        options = request["options"]
        raise SetupError(f"{request['class']} does not take options {options}: {error}") from None
    adapter.load(device_named(request["device"]))
    return adapter


def use_real_harness() -> bool:
    """Whether the harness itself is installed here; puts the stand-in where it is not."""
    try:
        if hasattr(importlib.import_module("harness"), "MethodAdapter"):
            return True
    except ImportError:
        pass
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]
    stand_in()
    return False


def import_file(path: str, name: str, real: bool) -> Any:
    """The adapter's module. Its neighbours can be imported: by the name of its package, or as in a script's folder."""
    if real and "." in name:
        return importlib.import_module(name)
    folder = str(Path(path).parent)
    sys.path.insert(0, folder)
    parents = name.split(".")[:-1]
    for depth in range(1, len(parents) + 1):
        package = ".".join(parents[:depth])
        if package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [folder] if depth == len(parents) else []
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the author's file may raise anything
        raise SetupError(f"{path}: importing it raised {type(error).__name__}: {error}") from error
    return module


class Device(str):
    """Stands in for torch.device where the adapter has not imported torch: a string with its `type`."""

    @property
    def type(self) -> str:
        """The part before the colon: "cpu" or "cuda"."""
        return self.partition(":")[0]


def device_named(name: str) -> Any:
    """A torch.device where the adapter has imported torch, else a string that looks like one."""
    torch = sys.modules.get("torch")
    if torch is None:
        return Device(name)
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SetupError(f"device={name}: no CUDA device is available in the method's environment; use device=cpu")
    return torch.device(name)


def predict(adapter: Any, request: dict[str, Any], arrays: dict[str, np.ndarray]) -> Answer:
    """The header and arrays of the answer to one batch."""
    samples = [sample_of(number, entry, arrays) for number, entry in enumerate(request["samples"])]
    set_seed(request["seed"], samples[0].id)
    try:
        predictions = list(adapter.predict(samples))
    except Exception as error:  # an adapter may raise anything; the harness decides what becomes of it
        traceback.print_exc()
        reason, detail = failure_of(error)
        return {"kind": "raised", "reason": reason, "detail": detail}, {}
    if len(predictions) != len(samples):
        detail = f"predict returned {len(predictions)} predictions for {len(samples)} samples"
        return {"kind": "raised", "reason": "crash", "detail": detail}, {}
    entries, results = [], {}
    for number, prediction in enumerate(predictions):
        entry, members = flattened(prediction)
        entries.append(entry)
        results.update({f"{number}/{name}": values for name, values in members.items()})
    return {"kind": "answer", "predictions": entries}, results


def flattened(prediction: Any) -> Answer:
    """A prediction's plain values and its arrays, by name; coefficients as `parameters/<name>`."""
    if not all(hasattr(prediction, name) for name in PREDICTION_ARRAYS + PREDICTION_VALUES):
        detail = f"predict returned a {type(prediction).__name__}, expected a Prediction"
        return {"failure": "crash", "detail": detail}, {}
    members = {name: getattr(prediction, name) for name in PREDICTION_ARRAYS}
    members.update({f"parameters/{name}": values for name, values in prediction.parameters.items()})
    results = {}
    for name, values in members.items():
        if values is None:
            continue
        try:
            values = np.asarray(values)
        except Exception as error:  # whatever the author's type raises
            return {"failure": "bad_mesh", "detail": f"prediction.{name}: not an array ({error})"}, {}
        if values.dtype.name not in DTYPES:
            detail = f"prediction.{name}: not an array of numbers (dtype {values.dtype})"
            return {"failure": "bad_mesh", "detail": detail}, {}
        results[name] = values
    failure = prediction.failure
    entry = {
        "source_unit": str(prediction.source_unit),
        "in_world_frame": bool(prediction.in_world_frame),
        "failure": None if failure is None else str(failure),
        "detail": str(prediction.detail)[:2000],
    }
    return entry, results


def failure_of(error: Exception) -> tuple[str, str]:
    """Reason and detail of an exception that `predict` raised."""
    kind = type(error).__name__
    names = [cls.__name__ for cls in type(error).__mro__]
    for name, reason in (("DataError", "bad_input"), ("NonFiniteError", "non_finite"), ("ContractError", "bad_mesh")):
        if name in names:
            return reason, str(error)[:2000]
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        return "out_of_memory", f"{kind}: {error}"[:2000]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return "crash", f"{kind}: {error} ({frame.name}, line {frame.lineno})"[:2000]


def set_seed(seed: int, key: str) -> None:
    """Seeds Python, numpy and, where the adapter uses it, torch from `seed` and `key`."""
    value = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4], "big")
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 - adapters may use the legacy generator
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.manual_seed(value)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(value)


def sample_of(number: int, entry: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """The Sample that a request describes; its images are arrays."""
    harness = sys.modules["harness"]
    views = []
    for position, view in enumerate(entry["views"]):
        prefix = f"{number}/{position}/"
        members = {name: arrays.get(prefix + name) for name in VIEW_ARRAYS}
        if "camera" in view:
            matrices = {name: arrays[prefix + "camera/" + name] for name in CAMERA_ARRAYS}
            members["camera"] = harness.Camera(width=view["camera"][0], height=view["camera"][1], **matrices)
        views.append(harness.View(**members))
    return harness.Sample(entry["id"], entry["subject"], tuple(views), entry["condition"], entry["group"])


# the stand-in ----------------------------------------------------------------------------------------------------


def stand_in() -> None:
    """Puts a module `harness` with the public classes where adapters import them from."""
    for name in ("harness", "harness.samples", "harness.adapter", "harness.errors"):
        module = types.ModuleType(name, "Stands in for the harness in a method's own environment.")
        module.__dict__.update({cls.__name__: cls for cls in STAND_INS}, __path__=[])
        sys.modules[name] = module
        setattr(sys.modules["harness"], name.partition(".")[2] or "harness", module)


HarnessError = type("HarnessError", (Exception,), {})
ContractError = type("ContractError", (HarnessError, ValueError), {})
NonFiniteError = type("NonFiniteError", (ContractError,), {})
DataError = type("DataError", (HarnessError,), {})
AlignmentError = type("AlignmentError", (HarnessError,), {})


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """See harness.Camera."""

    intrinsics: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    width: int
    height: int

    @property
    def centre(self) -> np.ndarray:
        """(3,) the camera's position in the world, millimetres."""
        return -self.rotation.T @ self.translation

    @property
    def projection(self) -> np.ndarray:
        """(3, 4) K [R | t]."""
        return self.intrinsics @ np.hstack([self.rotation, self.translation[:, None]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) world millimetres -> (N, 2) pixels. Points behind the camera give meaningless pixels."""
        image = (points @ self.rotation.T + self.translation) @ self.intrinsics.T
        return image[:, :2] / image[:, 2:]


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """See harness.View; image and mask are arrays."""

    image: np.ndarray
    mask: np.ndarray | None = None
    camera: Camera | None = None
    scene: np.ndarray | None = None
    box: np.ndarray | None = None
    landmarks: np.ndarray | None = None

    def read_image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, stored pixels."""
        return self.image

    def read_mask(self) -> np.ndarray | None:
        """(H, W) bool, or None where the data set has no mask."""
        return self.mask


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """See harness.Sample."""

    id: str
    subject: str
    views: tuple[View, ...]
    condition: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    group: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """See harness.Prediction, whose checks the harness makes when the answer arrives."""

    vertices: np.ndarray | None = None
    faces: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    parameters: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    landmarks_2d: np.ndarray | None = None
    label_map: np.ndarray | None = None
    neutral_vertices: np.ndarray | None = None
    neutral_landmarks: np.ndarray | None = None
    projection: np.ndarray | None = None
    source_unit: str = "mm"
    in_world_frame: bool = False
    failure: str | None = None
    detail: str = ""

    @classmethod
    def failed(cls, reason: str, detail: str = "") -> Prediction:
        """A prediction that says why there is none."""
        return cls(failure=reason, detail=detail)


class MethodAdapter(abc.ABC):
    """See harness.MethodAdapter."""

    paper = ""
    family = "other"
    stage_clock = None

    def files(self) -> Sequence[Any]:
        """Files that the answers depend on besides the code."""
        return ()

    @abc.abstractmethod
    def load(self, device: Any) -> None:
        """Reads weights and moves them to `device`."""

    @abc.abstractmethod
    def predict(self, samples: Sequence[Sample]) -> Sequence[Prediction]:
        """Answers each sample, in order."""

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Marks a part of `predict`; nothing is timed here."""
        return contextlib.nullcontext()


STAND_INS = (
    *(HarnessError, ContractError, NonFiniteError, DataError, AlignmentError),
    *(Camera, View, Sample, Prediction, MethodAdapter),
)

if __name__ == "__main__":
    main()
