"""What goes over the wire: samples as requests, answers as predictions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ContractError, NonFiniteError
from harness.isolation.wire import Message, WireError, shown
from harness.isolation.worker import CAMERA_ARRAYS, PREDICTION_ARRAYS, PREDICTION_VALUES, VIEW_ARRAYS
from harness.samples import FAILURE_REASONS, Array, Prediction, Sample, View

PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Question:
    """A sample as it goes over the wire, its pictures and masks read: a worker sees no files.

    Attributes:
        entry: its plain values.
        arrays: `<view>/<name>` -> values.
    """

    entry: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @classmethod
    def of(cls, sample: Sample) -> Question:
        """Reads the pictures. Raises DataError where one is missing or damaged."""
        arrays: dict[str, Array | None] = {}
        for position, view in enumerate(sample.views):
            values = {name: getattr(view, name) for name in VIEW_ARRAYS if name not in ("image", "mask")}
            values |= {"image": view.read_image(), "mask": view.read_mask()}
            values |= {f"camera/{name}": getattr(view.camera, name) for name in CAMERA_ARRAYS if view.camera}
            arrays |= {f"{position}/{name}": array for name, array in values.items()}
        entry = {
            "id": sample.id,
            "subject": sample.subject,
            "group": sample.group,
            "condition": dict(sample.condition),
            "views": [_plain(view) for view in sample.views],
        }
        return cls(entry, {name: array for name, array in arrays.items() if array is not None})


def request_of(questions: Sequence[Question], seed: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays that ask for a batch."""
    arrays = {f"{n}/{name}": array for n, question in enumerate(questions) for name, array in question.arrays.items()}
    return {"kind": "predict", "samples": [question.entry for question in questions], "seed": seed}, arrays


def _plain(view: View) -> dict[str, Any]:
    return {} if view.camera is None else {"camera": [int(view.camera.width), int(view.camera.height)]}


def options_inside(options: Mapping[str, Any], inside: Callable[[Path], str]) -> dict[str, Any]:
    """A method's options as its worker takes them: paths of files and folders that are there as it sees them."""
    return {
        name: inside(Path(value).resolve())
        if isinstance(value, str) and "/" in value and Path(value).exists()
        else value
        for name, value in options.items()
    }


def predictions_of(answer: Message, count: int, unit: str) -> list[Prediction]:
    """The predictions of an answer to `count` samples, checked and in millimetres.

    Raises:
        WireError: the answer is not as it must be. What is wrong with one prediction is that one's failure.
    """
    if answer.kind == "raised":
        return [_failure(answer.header.get("reason"), answer.header.get("detail"))] * count
    entries = answer.header.get("predictions")
    if answer.kind != "answer" or not isinstance(entries, list) or len(entries) != count:
        raise WireError(f"{answer.kind}: expected an answer with {count} predictions")
    members: list[dict[str, Array]] = [{} for _ in entries]
    for place, values in answer.arrays.items():
        number, _, name = place.partition("/")
        if not (number.isascii() and number.isdigit() and int(number) < count):
            raise WireError(f"array {shown(place)}: belongs to none of {count} predictions")
        members[int(number)][name] = values
    return [_prediction(entry, arrays, unit) for entry, arrays in zip(entries, members, strict=True)]


def _prediction(entry: Any, arrays: Mapping[str, Array], unit: str) -> Prediction:
    if not isinstance(entry, dict) or not set(entry) <= set(PREDICTION_VALUES):
        raise WireError(f"a prediction {shown(entry)}, expected {', '.join(PREDICTION_VALUES)}")
    if entry.get("failure") is not None:
        return _failure(entry["failure"], entry.get("detail"))
    fields: dict[str, Any] = {name: values for name, values in arrays.items() if name in PREDICTION_ARRAYS}
    parameters = {name.partition("/")[2]: values for name, values in arrays.items() if name.startswith("parameters/")}
    unknown = set(arrays) - set(fields) - {f"parameters/{name}" for name in parameters if PARAMETER.fullmatch(name)}
    if unknown:
        raise WireError(f"a prediction has an array {shown(min(unknown))}, which is none of its fields")
    in_world_frame = entry.get("in_world_frame", False)
    if not isinstance(in_world_frame, bool):
        raise WireError(f"in_world_frame: {shown(in_world_frame)}, expected true or false")
    fields |= {"source_unit": shown(entry.get("source_unit", "mm")), "detail": shown(entry.get("detail", ""), 2000)}
    try:
        return Prediction(**fields, parameters=parameters, in_world_frame=in_world_frame).in_millimetres(unit)
    except NonFiniteError as error:
        return Prediction.failed("non_finite", str(error))
    except ContractError as error:
        return Prediction.failed("bad_mesh", str(error))


def _failure(reason: Any, detail: Any) -> Prediction:
    if reason not in FAILURE_REASONS:
        raise WireError(f"failure {shown(reason)}, expected one of {', '.join(FAILURE_REASONS)}")
    return Prediction.failed(reason, shown(detail, 2000))
