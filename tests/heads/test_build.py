"""Heads by name, and what is said where one is missing."""

from __future__ import annotations

import pytest

from harness.errors import DataError, HarnessError
from harness.heads.build import build_head


def test_the_same_object_again():
    assert build_head("procedural") is build_head("procedural")


@pytest.mark.parametrize(
    ("name", "path", "error", "message"),
    [
        ("flam", None, HarnessError, "head=flam: unknown; did you mean flame"),
        ("flame", None, DataError, r"flame\.is\.tue\.mpg\.de"),
        ("flame", "nowhere.pkl", DataError, r"nowhere\.pkl: no such file.*flame\.is\.tue\.mpg\.de"),
        ("ict", "nowhere.npz", DataError, r"nowhere\.npz: no ICT-FaceKit model here; .*harness data get ict --from"),
        ("procedural", "a.npz", HarnessError, "reads no file"),
    ],
)
def test_what_is_wrong_is_said(name, path, error, message):
    with pytest.raises(error, match=message):
        build_head(name, path)


def test_without_a_path_ict_is_looked_for_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"heads/ict_facekit\.npz: no ICT-FaceKit model here"):
        build_head("ict")
