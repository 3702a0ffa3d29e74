"""Pictures that are not as usual: a mesh or a failure with a reason, never an exception."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.adapter import MethodAdapter
from harness.conformance.asking import Asking, as_in_a_worker
from harness.doctor.exam import Question
from harness.isolation import calls
from harness.samples import Array, Sample, View

ODD = {
    "black": np.zeros((200, 160, 3), np.uint8),
    "white": np.full((200, 160, 3), 255, np.uint8),
    "without a face": np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8),
    "of one pixel": np.full((1, 1, 3), 120, np.uint8),
    "tiny": np.random.default_rng(1).integers(0, 255, (7, 5, 3), np.uint8),
    "very wide": np.full((20, 900, 3), 90, np.uint8),
}


def sample_of(view: View, *more: View) -> Sample:
    """A sample of these views."""
    return Sample(id="odd", subject="somebody", views=(view, *more))


@pytest.mark.parametrize("name", list(ODD))
def test_odd_picture(asking: Asking, name: str) -> None:
    """No face, or hardly a picture."""
    asking.one(sample_of(View(ODD[name])))


def test_huge_picture(asking: Asking, questions: list[Question]) -> None:
    """Twelve million pixels, as a phone takes them."""
    picture = np.asarray(Image.fromarray(_pixels(questions[0])).resize((4000, 3000)))
    asking.one(sample_of(View(picture)))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_file_of_another_kind(asking: Asking, questions: list[Question], mode: str, tmp_path: Path) -> None:
    """Grey, with transparency, with a palette: read_image() gives RGB."""
    path = tmp_path / "picture.png"
    Image.fromarray(_pixels(questions[0])).convert(mode).save(path)
    asking.one(sample_of(replace(questions[0].sample.views[0], image=path)))


def test_unreadable_picture_spoils_no_other(adapter: MethodAdapter, questions: list[Question], tmp_path: Path) -> None:
    """A damaged file between two good ones: a failure of its own, and the same answers beside it."""
    path = tmp_path / "damaged.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    damaged = sample_of(View(path))
    samples = [questions[0].sample, damaged, questions[1].sample]
    first, second, third = calls.predict(adapter, as_in_a_worker(samples), seed=0)
    assert second.failure not in ("crash", "out_of_memory"), f"a damaged file ends in {second.failure}: {second.detail}"
    for answer, sample in ((first, samples[0]), (third, samples[2])):
        (alone,) = calls.predict(adapter, as_in_a_worker([sample]), seed=0)
        assert answer.failure == alone.failure, f"beside a damaged file: {answer.failure}: {answer.detail}"


@pytest.mark.parametrize("part", ["mask", "camera", "scene", "box", "landmarks", "everything"])
def test_view_without(asking: Asking, questions: list[Question], part: str) -> None:
    """Data sets give different things; what is missing is None."""
    view = questions[0].sample.views[0]
    missing: Any = {part: None}
    asking.one(sample_of(View(view.image) if part == "everything" else replace(view, **missing)))


def test_several_views(asking: Asking, three_views: Question) -> None:
    """Three sides of one face; a method for single pictures takes the first or puts its answers together."""
    asking.one(three_views.sample)


def test_views_that_differ_in_what_they_have(asking: Asking, three_views: Question) -> None:
    """A camera for one view and none for the next, and one picture twice."""
    first, second, _ = three_views.sample.views
    asking.one(sample_of(first, View(second.image), first))


def test_leaves_its_inputs_alone(adapter: MethodAdapter, questions: list[Question]) -> None:
    """Pictures, boxes and cameras are as they were after a call."""
    (given,) = as_in_a_worker([questions[0].sample])
    before = {name: array.copy() for name, array in _arrays(given.views[0]).items()}
    calls.set_seed(0, given.id)
    adapter.predict([given])
    for name, array in _arrays(given.views[0]).items():
        assert np.array_equal(array, before[name], equal_nan=True), f"predict changes its input view.{name} in place"


def _arrays(view: View) -> dict[str, Array]:
    values = {name: getattr(view, name) for name in ("image", "mask", "scene", "box", "landmarks")}
    if view.camera is not None:
        values |= {name: getattr(view.camera, name) for name in ("intrinsics", "rotation", "translation")}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _pixels(question: Question) -> Array:
    image = question.sample.views[0].image
    assert not isinstance(image, Path)
    return image
