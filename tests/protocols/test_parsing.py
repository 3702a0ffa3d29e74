"""Parsing F1 against scikit-learn on the same pixels; what an official mean hides; speed."""

from __future__ import annotations

import re
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from harness.errors import ContractError
from harness.protocols.labels import CELEBAMASK_FARL, CELEBAMASK_OWN, LABEL_SETS, LABELS, LAPA
from harness.protocols.parsing import ParsingF1, ParsingF1PerImage, ParsingTruth, confusion, f1_of, total
from harness.protocols.scores import SampleScore
from harness.samples import Prediction

PRESENT = ParsingF1(name="present", official=False, absent="left_out")


def pair(seed: int, size: tuple[int, int] = (24, 20), classes: int = 11, share: float = 0.7):
    """(truth, answer) in LaPa's classes; the answer is right in about `share` of the pixels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, size)
    wrong = rng.random(size) > share
    return truth.astype(np.uint8), np.where(wrong, rng.integers(0, classes, size), truth)


def row(protocol, truth, answer, name="a", condition=None) -> SampleScore:
    """As the runner keeps it."""
    given_truth = ParsingTruth({protocol.labels: truth})
    prediction = Prediction.failed("no_face") if answer is None else Prediction(label_map=answer)
    score = protocol.score(prediction, given_truth)
    stand_in = protocol.score(protocol.stand_in(given_truth), given_truth) if score.failure else None
    stored = {f"vectors/{k}": v for k, v in score.vectors.items()}
    stored |= {f"fallback/vectors/{k}": v for k, v in (stand_in.vectors if stand_in else {}).items()}
    return SampleScore(
        name,
        name,
        condition or {},
        None if score.failure else score.values,
        None if stand_in is None else stand_in.values,
        score.failure,
        stored.get,
    )


def table(protocol, rows):
    return {line["column"]: line for line in protocol.summarise(rows)}


def sklearn_f1(truths, answers, classes):
    flat = [np.concatenate([one.ravel() for one in many]) for many in (truths, answers)]
    return 100 * f1_score(*flat, labels=range(classes), average=None, zero_division=np.nan)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([2, 5, 11]))
def test_pooled_equals_scikit_learn(seed, pictures, classes):
    rng = np.random.default_rng(seed)
    pairs = [pair(seed + i, tuple(rng.integers(1, 30, 2)), classes, rng.random()) for i in range(pictures)]
    rows = [row(PRESENT, *one, name=str(i)) for i, one in enumerate(pairs)]
    expected = sklearn_f1(*zip(*pairs, strict=True), 11)[1:]
    found = table(PRESENT, rows)
    for name, value in zip(LAPA.foreground, expected, strict=True):
        assert found[name]["value"] == (None if np.isnan(value) else pytest.approx(value, abs=1e-9))
    mean = None if np.isnan(expected).all() else pytest.approx(np.nanmean(expected), abs=1e-9)
    assert found["mean"]["value"] == mean


def test_per_image_equals_scikit_learn_picture_by_picture():
    pairs = [pair(i, (10 + 10 * i, 15), share=0.3 + 0.2 * i) for i in range(3)]
    protocol = ParsingF1PerImage()
    found = table(protocol, [row(protocol, *one, name=str(i)) for i, one in enumerate(pairs)])
    each = np.array([sklearn_f1([truth], [answer], 11)[1:] for truth, answer in pairs])
    assert found["mean"]["value"] == pytest.approx(np.nanmean(each, axis=1).mean(), abs=1e-9)
    assert found["hair"]["value"] == pytest.approx(np.nanmean(each, axis=0)[-1], abs=1e-9)


def test_pooled_is_not_the_mean_of_pictures():
    """A large picture that is right and a small one that is wrong: the official number hardly sees the small one."""
    large, small = np.ones((100, 100), np.uint8), np.ones((10, 10), np.uint8)
    pairs = [(large, large.astype(int)), (small, np.zeros((10, 10), int))]
    pooled = table(PRESENT, [row(PRESENT, *one, name=str(i)) for i, one in enumerate(pairs)])["skin"]["value"]
    single = ParsingF1PerImage()
    each = table(single, [row(single, *one, name=str(i)) for i, one in enumerate(pairs)])["skin"]["value"]
    assert pooled == pytest.approx(100 * 2 * 10_000 / (2 * 10_000 + 100)) and each == 50
    assert ParsingF1().id != single.id != PRESENT.id


def test_a_class_that_is_nowhere_makes_the_official_mean_undefined():
    truth, answer = np.ones((4, 4), np.uint8), np.ones((4, 4), int)
    official, ours = (
        table(ParsingF1(), [row(ParsingF1(), truth, answer)]),
        table(PRESENT, [row(PRESENT, truth, answer)]),
    )
    assert official["skin"]["value"] == 100 and official["hair"]["value"] is None and official["mean"]["value"] is None
    assert ours["mean"]["value"] == 100


def test_a_class_that_is_only_predicted_counts_as_zero():
    truth, answer = np.zeros((4, 4), np.uint8), np.zeros((4, 4), int)
    answer[0, 0] = LABELS.index("hair")
    found = row(PRESENT, truth, answer).score
    assert found["hair"] == 0 == found["mean"] and "skin" not in found


def test_a_failed_picture_counts_as_background():
    pairs = [pair(0), pair(1)]
    rows = [row(PRESENT, *pairs[0], name="a"), row(PRESENT, pairs[1][0], None, name="b")]
    found = table(PRESENT, rows)
    answers = [pairs[0][1], np.zeros_like(pairs[1][1])]
    expected = sklearn_f1([p[0] for p in pairs], answers, 11)[1:]
    assert found["mean"]["value"] == pytest.approx(expected.mean(), abs=1e-9)
    assert found["mean"]["value_dropping_failures"] == pytest.approx(
        sklearn_f1([pairs[0][0]], [pairs[0][1]], 11)[1:].mean(), abs=1e-9
    )
    assert found["mean"]["value"] < found["mean"]["value_dropping_failures"]
    assert (found["mean"]["evaluated"], found["mean"]["expected"]) == (1, 2)
    alone = replace(PRESENT, fallback="none")
    assert table(alone, rows)["mean"]["value"] is None


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (Prediction.failed("no_face", "nothing"), "no_face", "nothing"),
        (Prediction(landmarks_2d=np.zeros((68, 2))), "no_label_map", "has no label map"),
        (Prediction(label_map=np.zeros((20, 24), int)), "bad_label_map", "24x20 pixels, the picture 20x24"),
        (Prediction(label_map=np.full((24, 20), 19)), "bad_label_map", r"unknown labels \[19\], expected 0..18"),
        (Prediction(label_map=np.full((24, 20), -1)), "bad_label_map", r"unknown labels \[-1\]"),
        (Prediction(label_map=np.full((24, 20), 2**40)), "bad_label_map", "unknown labels"),
    ],
)
def test_failures_are_reasons_not_numbers(answer, reason, words):
    score = ParsingF1().score(answer, ParsingTruth({"lapa": pair(0)[0]}))
    assert score.failure == reason and not score.values
    assert re.search(words, score.detail)


def test_the_other_label_construction_of_the_data_set_is_another_protocol():
    protocol = ParsingF1(name="own", labels="celebamask_own")
    truth = ParsingTruth({"celebamask_farl": np.zeros((2, 2), np.uint8)})
    assert protocol.score(Prediction(label_map=np.zeros((2, 2), int)), truth).failure == "bad_input"
    assert ParsingF1(labels="celebamask_farl").id != protocol.id
    assert any("labels" in words for words in ParsingF1().differences(protocol))


def test_every_label_has_a_place_in_every_set():
    for name, chosen in LABEL_SETS.items():
        table_of, back = chosen.table(), chosen.labels()
        assert len(table_of) == len(LABELS) and (table_of[back] == np.arange(len(chosen.classes))).all(), name
    assert LAPA.table()[[LABELS.index(one) for one in ("left_ear", "right_ear", "neck", "glasses")]].tolist() == [
        1,
        1,
        0,
        0,
    ]
    assert set(CELEBAMASK_FARL.classes) == set(CELEBAMASK_OWN.classes) == set(LABELS)
    assert len(ParsingF1().columns) == 11 and len(ParsingF1(labels="celebamask_farl").columns) == 19


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": "lfw"}, "labels: 'lfw'"),
        ({"regions": ("hair",)}, "set by labels"),
        ({"absent": "zero", "official": False}, "absent"),
        ({"absent": "left_out"}, "set official=False"),
        ({"fallback": "mean_face"}, "fallback"),
    ],
)
def test_protocols_that_cannot_be(options, words):
    with pytest.raises(ContractError, match=words):
        ParsingF1(**options)


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"lapa": np.full((2, 2), 11)}, r"classes 11..11, expected 0..10"),
        ({"lapa": np.zeros((2, 2, 3), int)}, "expected integers"),
        ({"lapa": np.zeros((2, 2))}, "expected integers"),
        ({"lapa": np.zeros((0, 2), int)}, "expected integers"),
        ({"mine": np.zeros((2, 2), int)}, "expected one of lapa"),
        ({}, "none"),
        ({"celebamask_farl": np.zeros((2, 2), int), "celebamask_own": np.zeros((2, 3), int)}, "different sizes"),
    ],
)
def test_truth_is_validated(maps, words):
    with pytest.raises(ContractError, match=words):
        ParsingTruth(maps)


def test_a_damaged_record_is_said():
    lost = replace(row(PRESENT, *pair(0)), arrays=lambda name: None)
    with pytest.raises(ContractError, match="score the run again"):
        PRESENT.summarise([lost])


def test_says_what_it_is():
    assert "over the pixels of all samples together" in ParsingF1().describe()
    assert "undefined if a class is nowhere" in ParsingF1().describe()
    assert "mean over all samples" in ParsingF1PerImage().describe()


def test_memory_does_not_grow_with_the_number_of_pictures():
    def peak(pictures: int) -> int:
        tracemalloc.start()
        total(confusion(*[one.astype(np.uint8) for one in pair(i, (256, 256))], 11) for i in range(pictures))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(12) < 1.2 * peak(3)


@pytest.mark.benchmark
def test_two_thousand_pictures_of_512(benchmark):
    """The whole score of a picture, contract checks included, against scikit-learn on the same arrays."""
    pairs = [pair(i, (512, 512)) for i in range(3)]
    protocol = ParsingF1()

    def ours():
        scores = [protocol.score(Prediction(label_map=b), ParsingTruth({"lapa": a})) for a, b in pairs]
        return f1_of(total(score.vectors["confusion"].reshape(11, 11) for score in scores))

    start = time.process_time()
    expected = sklearn_f1(*zip(*pairs, strict=True), 11)
    theirs = time.process_time() - start
    seconds = []

    def timed():
        start = time.process_time()
        found = ours()
        seconds.append(time.process_time() - start)
        return found

    found = benchmark.pedantic(timed, rounds=4)
    assert np.abs(found - expected).max() < 1e-9
    each = min(seconds) / len(pairs)
    print(f"2,000 pictures: {2000 * each:.1f} s; scikit-learn takes {theirs / min(seconds):.1f} times as long")
    assert 2000 * each < 20
    assert theirs > 5 * min(seconds)
