"""The fixed denominator: a sample that is left out counts as the mean face does; leaving out helps no good method."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Prediction, Sample, View
from harness.fallback import mean_face
from harness.geometry.mesh import Mesh
from harness.protocols.now import NOW_LANDMARKS, Now, NowMetrical, NowTruth
from harness.protocols.now_strict import NowStrict
from harness.run_folder import RunFolder
from harness.runner import sample_score
from harness.scoring import score
from harness.synthesis.subject import MIRROR_SEEDS, random_subject

CHALLENGES = ("neutral", "selfie", "neutral", "occlusions", "selfie", "neutral")
PICTURE = View(np.zeros((2, 2, 3), np.uint8))
SAMPLES = [Sample(f"s{i}", f"p{i // 2}", (PICTURE,), {"challenge": c}) for i, c in enumerate(CHALLENGES)]
PROTOCOLS = (Now(), NowMetrical(), NowStrict())
MISSING = Prediction.failed("no_face", "left out")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """For each kind of answer a run folder with the scores of all samples, the last one's prediction being poor."""
    people = [random_subject(MIRROR_SEEDS + 900 + i, expression=False) for i in range(3)]
    folders = {}
    for kind in ("answered", "left out", "mean face"):
        folder = folders[kind] = RunFolder(tmp_path_factory.mktemp(kind.replace(" ", "_")))
        (folder.path / "scores").mkdir()
        for index, sample in enumerate(SAMPLES):
            person = people[index // 2]
            truth = NowTruth(
                Mesh(person.vertices, person.head.faces.numpy()), person.landmarks[list(NOW_LANDMARKS.values())]
            )
            poor = index == len(SAMPLES) - 1
            given = {"answered": answer(person, index, poor), "left out": MISSING, "mean face": mean_face()}[kind]
            scores = {p.name: score(p, given, truth) for p in PROTOCOLS}
            fallbacks = {p.name: score(p, mean_face(), truth) for p in PROTOCOLS} if given.failure else {}
            folder.keep_score(sample, scores, fallbacks)
    return folders


def answer(person, seed, poor):
    """The true head with a millimetre of noise, or so squeezed that the mean face would be better."""
    noise = np.random.default_rng(seed).normal(0, 1.0, person.vertices.shape)
    squeezed = np.array([0.7, 1.0, 1.4]) if poor else 1.0
    vertices, faces = person.vertices * squeezed + noise, person.head.faces.numpy()
    return Prediction(vertices, faces, person.landmarks, neutral_vertices=vertices, neutral_landmarks=person.landmarks)


def table(protocol, folders, kinds):
    """(challenge, column) -> summary row, each sample taken from the folder of its kind."""
    rows = []
    for sample, kind in zip(SAMPLES, kinds, strict=True):
        record = folders[kind].score(sample.id)["protocols"][protocol.name]
        rows.append(sample_score(folders[kind], sample, protocol, record))
    return {(row["challenge"], row["column"]): row for row in protocol.summarise(rows)}


subsets = st.lists(st.booleans(), min_size=len(SAMPLES), max_size=len(SAMPLES))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
@settings(max_examples=15, deadline=None)
@given(out=subsets)
def test_leaving_out_equals_answering_with_the_mean_face(stored, protocol, out):
    missing = table(protocol, stored, ["left out" if o else "answered" for o in out])
    average = table(protocol, stored, ["mean face" if o else "answered" for o in out])
    assert missing.keys() == average.keys()
    for key, row in missing.items():
        assert row["value"] == average[key]["value"]
        assert row["expected"] == average[key]["expected"]
    expected = {c: CHALLENGES.count(c) for c in set(CHALLENGES)}
    for (challenge, _), row in missing.items():
        if challenge != "all":
            assert row["expected"] == expected[challenge]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_leaving_out_the_hard_sample_helps_only_the_official_number(stored, protocol):
    """The last sample's answer is bad: official programs reward its absence; the mean face in its place does not."""
    whole = table(protocol, stored, ["answered"] * len(SAMPLES))
    without = table(protocol, stored, ["answered"] * (len(SAMPLES) - 1) + ["left out"])
    key = ("neutral", "mean")
    assert without[key]["value_dropping_failures"] < 0.8 * whole[key]["value_dropping_failures"]
    assert without[key]["value"] > without[key]["value_dropping_failures"]
    assert (without[key]["evaluated"], without[key]["expected"]) == (2, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_leaving_out_a_sample_that_beats_the_mean_face_costs(stored, protocol):
    whole = table(protocol, stored, ["answered"] * len(SAMPLES))
    without = table(protocol, stored, ["left out"] + ["answered"] * (len(SAMPLES) - 1))
    key = ("neutral", "mean")
    assert without[key]["value"] > whole[key]["value"]
