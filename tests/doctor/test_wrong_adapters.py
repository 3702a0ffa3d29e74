"""Every mistake is named, with evidence and remedy; the truth raises no alarm."""

import pytest

from harness.doctor.checks import CHECKS
from harness.doctor.evidence import Evidence, examine
from harness.doctor.exam import exam
from harness.doctor.findings import Finding, Verdict
from harness.doctor.reading import Reading
from harness.method import MethodSpec
from tests.doctor import wrong_adapters as wrong

WRONG, WARNING, OK, UNDECIDED = Verdict.WRONG, Verdict.WARNING, Verdict.OK, Verdict.UNDECIDED


@pytest.fixture(scope="module")
def questions():
    return exam()


def diagnosed(adapter: type, questions, bench: str = "", protocols=()) -> dict[str, Finding]:
    method = MethodSpec(adapter.__name__, f"tests.doctor.wrong_adapters:{adapter.__name__}")
    evidence = examine(method, "cpu", Evidence(adapter.unit, questions, bench, protocols), (), 60.0)
    return {finding.name: finding for finding in (check(Reading(evidence)) for check in CHECKS)}


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("adapter", [wrong.Truthful, wrong.OwnFrame, wrong.Projected])
def test_the_truth_raises_no_alarm(adapter, questions):
    found = diagnosed(adapter, questions)
    assert [f for f in found.values() if f.verdict in (WRONG, WARNING)] == []
    undecided = {name for name, f in found.items() if f.verdict is UNDECIDED}
    assert undecided <= {"landmarks off the picture"}


# The mistake, what is named, how, a word of the evidence or the remedy.
MISTAKES = [
    (wrong.MetresCalledMillimetres, "wrong unit", WRONG, "unit = 'm'"),
    (wrong.MillimetresCalledMetres, "wrong unit", WRONG, "unit = 'mm'"),
    (wrong.CentimetresCalledMillimetres, "wrong unit", WRONG, "unit = 'cm'"),
    (wrong.FaceOnlyInMetresWithoutLandmarks, "wrong unit", WRONG, "unit = 'm'"),
    (wrong.TwiceTooLarge, "wrong unit", WRONG, "2.2 times"),
    (wrong.MirroredX, "mirrored axes", WRONG, "inwards"),
    (wrong.YAndZExchanged, "mirrored axes", WRONG, "exchanging y and z"),
    (wrong.InsideOut, "mirrored axes", WARNING, "faces[:, ::-1]"),
    (wrong.HeadFrameCalledWorld, "rotated axes", WRONG, "70 degrees about y"),
    (wrong.OpenGLCalledWorld, "rotated axes", WRONG, "180 degrees about x"),
    (wrong.PictureUpsideDown, "rotated axes", WRONG, "with y negated"),
    (wrong.PixelsRowFirst, "landmarks off the picture", WRONG, "x before y"),
    (wrong.JawLast, "landmark order", WRONG, "row 51 is point 0"),
    (wrong.ShuffledLandmarks, "landmark order", WRONG, "iBUG 68"),
    (wrong.OneTooFar, "landmark order", WRONG, "row 1 is point 0"),
    (wrong.SidesSwapped, "left/right swap", WRONG, "subject's right"),
    (wrong.LandmarksElsewhere, "landmarks off the mesh", WRONG, "frame and the unit"),
    (wrong.ExpressionLeftOn, "expression left on", WRONG, "zero expression"),
    (wrong.NoNeutral, "expression left on", WARNING, "NoW"),
    (wrong.NoChin, "cropped chin", WRONG, "beyond the border"),
    (wrong.NoForehead, "cropped forehead", WRONG, "beyond the border"),
    (wrong.VertexOrderChanges, "vertex order", WRONG, "in another order"),
    (wrong.TopologyPerPerson, "vertex order", WRONG, "other triangles"),
    (wrong.Random, "non-determinism", WRONG, "seed generators of your own"),
    (wrong.MeanOverTheBatch, "dependence on batch size", WRONG, "net.eval()"),
    (wrong.Remembers, "state between samples", WRONG, "after another person"),
    (wrong.LoadsLate, "slow first call", WARNING, "load()"),
    # The same on answers with errors of their own.
    (wrong.DecaMirrored, "mirrored axes", WRONG, "inwards"),
    (wrong.DecaSwapped, "left/right swap", WRONG, "subject's right"),
    (wrong.DecaJawLast, "landmark order", WRONG, "in another order"),
    (wrong.DecaInMillimetres, "wrong unit", WRONG, "unit = 'm'"),
    (wrong.DecaWithoutChin, "cropped chin", WRONG, "beyond the border"),
    (wrong.Raises, "crash or invalid answer", WRONG, "deliberate"),
]


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(("adapter", "name", "verdict", "words"), MISTAKES, ids=lambda v: getattr(v, "__name__", None))
def test_each_mistake_is_named_and_no_other(adapter, name, verdict, words, questions):
    found = diagnosed(adapter, questions)
    assert found[name].verdict is verdict, found[name]
    assert words in f"{found[name].evidence} {found[name].remedy}"
    assert found[name].remedy
    others = [f for f in found.values() if f.verdict in (WRONG, WARNING) and f.name != name]
    assert others == []
