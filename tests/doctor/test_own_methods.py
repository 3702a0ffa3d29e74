"""No false alarm on the project's own methods."""

import pytest

from harness.doctor.command import diagnose
from harness.doctor.findings import Verdict
from harness.method import MethodSpec
from harness.methods.deca.adapter import DecaAdapter
from harness.methods.emoca.adapter import EmocaAdapter
from harness.methods.glvd.adapter import Glvd
from harness.methods.kaolrm.adapter import KaoLRMAdapter
from harness.methods.lvd.adapter import Lvd
from harness.methods.mean_face.adapter import MeanFace
from harness.methods.mica.adapter import MicaAdapter
from harness.methods.paco_mica.adapter import PacoMicaAdapter
from harness.methods.smirk.adapter import SmirkAdapter
from harness.methods.teaser.adapter import TeaserAdapter

METHODS = (
    *(MeanFace, Lvd, Glvd, KaoLRMAdapter),
    *(DecaAdapter, EmocaAdapter, SmirkAdapter, MicaAdapter, TeaserAdapter, PacoMicaAdapter),
)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", METHODS, ids=lambda a: a.__name__)
def test_no_alarm(adapter):
    diagnosis = diagnose(MethodSpec(adapter.__name__, f"{adapter.__module__}:{adapter.__name__}"))
    alarms = [f for f in diagnosis.findings if f.verdict is Verdict.WRONG]
    assert alarms == []
