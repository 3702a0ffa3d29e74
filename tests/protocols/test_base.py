"""Protocols as values, and the averages of a table worked out by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from harness.errors import ContractError
from harness.protocols.base import Protocol
from harness.protocols.h3ds import H3ds
from harness.protocols.h3ds_surface import H3dsSurface
from harness.protocols.scores import SampleScore


def row(sample, subject, views, score, fallback=None):
    failure = "no_face" if score is None else None
    return SampleScore(
        f"{sample}_{views}",
        subject,
        {"views": views},
        None if score is None else {"face": score, "head": 10 * score},
        None if fallback is None else {"face": fallback, "head": 10 * fallback},
        failure,
    )


def table(rows):
    return {(r["views"], r["column"]): r for r in H3ds().summarise(rows)}


def test_same_fields_same_id():
    assert H3ds() == H3ds() and H3ds().id == H3ds().id == H3ds(version=1).id
    assert len(H3ds().id) == 8 and int(H3ds().id, 16) >= 0
    assert H3ds(regions=["face", "head"]).id == H3ds().id
    assert H3dsSurface(device="cuda").id == H3dsSurface().id and H3dsSurface(device="cuda") == H3dsSurface()


def test_ids_are_what_they_were():
    """An id stands beside published numbers: if this fails, raise `version` rather than change the text here alone."""
    assert {"h3ds": H3ds().id, "h3ds_surface": H3dsSurface().id} == IDS


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"icp_iterations": 50},
        {"regions": ("face",)},
        {"fallback": "none"},
    ],
)
def test_any_other_field_is_another_protocol(change):
    plain = H3ds(official=False)
    other = replace(plain, **change)
    assert other.id != plain.id and other != plain
    differences = plain.differences(other)
    assert len(differences) == 1 and differences[0].startswith(next(iter(change)).replace("_", " "))


def test_canonical_json_is_canonical():
    text = H3ds().canonical_json()
    assert json.loads(text)["regions"] == ["face", "head"] and "device" not in json.loads(text)
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_words_for_a_reader():
    text = H3ds().describe()
    for phrase in ("h3ds", "nearest predicted vertex", "reflection allowed", "RMS", "face and head", "mm"):
        assert phrase in text
    differences = "\n".join(H3ds().differences(H3dsSurface()))
    assert (
        "distance: the nearest predicted vertex in h3ds, the nearest point of the predicted surface in h3ds_surface"
        in differences
    )
    assert "reflection: yes in h3ds, no in h3ds_surface" in differences
    assert "icp iterations: 20 in h3ds, not applicable in h3ds_surface" in differences
    assert H3ds().differences(H3ds()) == []


@pytest.mark.parametrize(
    "change", [{"scale": "none"}, {"reflection": False}, {"regions": ("nose",)}, {"icp_iterations": 1}, {"unit": "m"}]
)
def test_what_is_not_computed_cannot_be_claimed(change):
    with pytest.raises(ContractError, match="h3ds"):
        replace(H3ds(), **change)


def test_unknown_words_are_refused():
    with pytest.raises(ContractError, match="scale"):
        H3ds(scale="metric")
    with pytest.raises(ContractError, match="region"):
        H3ds(regions=())


def test_protocol_is_frozen_and_abstract():
    with pytest.raises(AttributeError):
        H3ds().version = 3

    @dataclass(frozen=True, kw_only=True)
    class Unfinished(Protocol):
        pass

    with pytest.raises(TypeError):
        Unfinished(name="x", official=False)


def test_mean_over_samples_then_subjects_for_each_condition():
    rows = [row("a1", "a", 1, 1.0), row("a2", "a", 1, 3.0), row("b1", "b", 1, 5.0), row("a1", "a", 3, 0.5)]
    result = table(rows)
    assert list(result) == [(1, "face"), (1, "head"), (3, "face"), (3, "head")]
    face = result[1, "face"]
    assert face["value"] == pytest.approx(3.5)  # (2 + 5) / 2, not (1 + 3 + 5) / 3
    assert face["value_dropping_failures"] == pytest.approx(3.5)
    assert face["std_subjects"] == pytest.approx(np.std([2, 5], ddof=1))
    assert (face["evaluated"], face["expected"], face["protocol"]) == (3, 3, H3ds().id)
    assert result[1, "head"]["value"] == pytest.approx(35)
    assert result[3, "face"]["value"] == 0.5 and result[3, "face"]["std_subjects"] is None


def test_failures_count_with_the_fallback_and_official_numbers_drop_them():
    rows = [row("a1", "a", 1, 1.0), row("a2", "a", 1, None, 9.0), row("b1", "b", 1, None, 7.0)]
    face = table(rows)[1, "face"]
    assert face["value"] == pytest.approx((5 + 7) / 2)
    assert face["value_dropping_failures"] == pytest.approx(1.0)
    assert (face["evaluated"], face["expected"]) == (1, 3)


def test_a_failure_without_fallback_leaves_no_value():
    face = table([row("a1", "a", 1, 1.0), row("b1", "b", 1, None)])[1, "face"]
    assert face["value"] is None and face["std_subjects"] is None and face["value_dropping_failures"] == 1.0
    rows = [row("a1", "a", 1, 1.0), row("b1", "b", 1, None, 4.0)]
    without = {r["column"]: r for r in replace(H3ds(), fallback="none").summarise(rows)}
    assert without["face"]["value"] is None


def test_nothing_worked():
    face = table([row("a1", "a", 1, None, 2.0), row("b1", "b", 1, None, 4.0)])[1, "face"]
    assert face["value"] == 3.0 and face["value_dropping_failures"] is None and face["evaluated"] == 0
    assert H3ds().summarise([]) == []


def test_conditions_sort_by_value():
    rows = [row("a", "a", views, 1.0) for views in (16, 3, 1)]
    assert [r["views"] for r in H3ds(regions=("face",)).summarise(rows)] == [1, 3, 16]


IDS = {"h3ds": "6bdd0cfe", "h3ds_surface": "b842ee11"}
