"""The harness's own protocols are recognised by their canonical JSON, and nothing else is."""

import json

import pytest

from harness.protocols.base import Protocol
from harness.protocols.consistency import Consistency
from harness.protocols.faceverse import FaceVerseChamfer
from harness.protocols.h3ds import H3ds
from harness.protocols.h3ds_surface import H3dsSurface
from harness.protocols.landmarks import LandmarkError
from harness.protocols.now import Now, NowMetrical
from harness.protocols.now_strict import NowStrict
from harness.protocols.parsing import ParsingF1, ParsingF1PerImage
from harness.protocols.realy import Realy
from harness.protocols.threedfaw import ThreedfawArmse, ThreedfawChamfer
from harness.protocols.timing import StageTiming, Timing
from harness.publishing.known_protocols import _protocol_classes, is_known, known_protocol
from tests.toys import ToyProtocol

OWN = [Now, NowMetrical, NowStrict, H3ds, H3dsSurface, Realy, ThreedfawArmse, ThreedfawChamfer, FaceVerseChamfer]
OWN += [Consistency, Timing, StageTiming, ParsingF1, ParsingF1PerImage, LandmarkError]


def test_every_class_is_looked_at():
    assert set(_protocol_classes()) == set(OWN)


@pytest.mark.parametrize("cls", OWN)
def test_own_protocol_is_known(cls):
    found = known_protocol(cls().canonical_json())
    assert type(found) is cls and found == cls()


def test_configured_variants_are_known():
    for protocol in (
        FaceVerseChamfer(name="faceverse_refined", refinement="surface"),
        Timing(hardware="some machine [12345678]"),
        NowStrict(max_iterations=7),
        LandmarkError(
            name="nme_exact", official=False, curve="exact", layout="wflw98", threshold=10.0, fallback="middle"
        ),
        ParsingF1(name="parsing_f1_own_labels", official=False, labels="celebamask_own"),
    ):
        found = known_protocol(protocol.canonical_json())
        assert isinstance(found, Protocol) and found.id == protocol.id and found.columns == protocol.columns


def text(protocol, **changes):
    values = {**json.loads(protocol.canonical_json()), **changes}
    values = {name: value for name, value in values.items() if value is not None}
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def test_older_forms_are_known_but_not_computed_again():
    """A field that did not exist yet, and another version of the same code."""
    for canonical in (text(NowStrict(), tolerance=None), text(NowStrict(), version=99)):
        assert is_known(canonical) and known_protocol(canonical) is None


@pytest.mark.parametrize(
    "canonical",
    [
        ToyProtocol().canonical_json(),
        text(NowStrict(), statistic="rms"),
        text(NowStrict(), more=1),
        text(H3ds(), regions=["nose"]),
        text(H3ds(), name="mine", icp_iterations="many", scale="none"),
        "{}",
        "[]",
        "null",
        "{",
        '{"name":[1]}',
    ],
)
def test_anything_else_is_not(canonical):
    assert known_protocol(canonical) is None
    assert canonical == "{}" or not is_known(canonical)
