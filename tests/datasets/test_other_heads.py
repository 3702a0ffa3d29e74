"""Mirrors of another head model: the same layouts, read by the same readers, and never taken for the usual mirror."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from harness import HarnessError, cli
from harness.benchmark import DataKind
from harness.data import locate, mirror_folder, mirror_version
from harness.datasets import faceverse_mirror, h3ds_mirror
from harness.datasets.faceverse import FaceVerse
from harness.datasets.h3ds import H3ds
from harness.datasets.now import Now
from harness.datasets.now_mirror import write_now_mirror
from harness.datasets.realy import Realy
from harness.heads import ict_file
from harness.heads.build import build_head
from harness.protocols.h3ds import H3DS_LANDMARKS

PACKED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ict_facekit.npz"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    if not PACKED.exists():
        pytest.skip(f"no ICT-FaceKit at {PACKED}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        ict_file.get(PACKED)
        yield


def test_h3ds(cache, monkeypatch, tmp_path):
    def small(folder, progress, head):
        h3ds_mirror.write_h3ds_mirror(folder, progress, subjects=1, views=3, size=96, workers=1, head=head)

    monkeypatch.setattr(H3ds, "write_mirror", staticmethod(small))
    dataset = H3ds("mirror-ict", tmp_path, views=1)
    assert dataset.folder == mirror_folder(H3ds, "ict") != mirror_folder(H3ds)
    assert (dataset.kind, dataset.version) == (DataKind.MIRROR, "mirror-1-ict")
    sample = dataset.samples()[0]
    truth = dataset.truth(sample)
    subject = h3ds_mirror._placed(h3ds_mirror.FIRST_SEED, build_head("ict"))
    for name, index in H3DS_LANDMARKS.items():
        gap = np.linalg.norm(truth.scan.vertices[truth.landmarks[name]] - subject.landmarks[index])
        assert gap < 3, name
    face = truth.scan.vertices[truth.regions["face_sphere"]]
    tree = cKDTree(subject.vertices)
    assert len(face) > 5_000 and np.quantile(tree.query(face)[0], 0.9) < 3
    mask = sample.views[0].read_mask()
    assert mask is not None and 0.2 < mask.mean() < 0.95


def test_now(cache, monkeypatch, tmp_path):
    def small(folder, progress, head):
        counts = {"counts": [(1, 1, 1, 0)], "test_counts": [(1, 0, 0, 0)], "size": (60, 80)}
        write_now_mirror(folder, progress, least_vertices=20_000, workers=1, head=head, **counts)

    monkeypatch.setattr(Now, "write_mirror", staticmethod(small))
    dataset = Now("mirror-ict", tmp_path)
    assert (len(dataset.samples()), dataset.version) == (3, "mirror-1-ict")
    assert len(dataset.truth(dataset.samples()[0]).scan.vertices) >= 20_000


def test_faceverse(cache, monkeypatch, tmp_path):
    def small(folder, progress, head):
        options = {"people": 1, "expressions": 1, "size": 24, "workers": 1, "grids": False}
        faceverse_mirror.write_faceverse_mirror(folder, progress, head=head, **options)

    monkeypatch.setattr(FaceVerse, "write_mirror", staticmethod(small))
    dataset = FaceVerse("mirror-ict", tmp_path)
    assert dataset.version == "mirror-1-ict" and len(dataset.samples()) == 32
    mouths = []
    for expression in range(3):
        subject = faceverse_mirror.placed_subject(faceverse_mirror.FIRST_SEED, expression, "ict")
        mouths.append(np.linalg.norm(subject.landmarks[62] - subject.landmarks[66]))
    assert mouths[2] > mouths[0] + 10  # the jaw opens


def test_the_usual_mirror_keeps_its_name_and_place():
    assert mirror_version(H3ds) == mirror_version(H3ds, "procedural") == "mirror-1"
    assert mirror_folder(H3ds).name == "h3ds-mirror-1" and mirror_folder(H3ds, "ict").name == "h3ds-mirror-1-ict"


def test_what_there_is_not_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(HarnessError, match=r"data=mirror-flame: expected auto, real or mirror \(or mirror-ict\)"):
        locate(H3ds, "mirror-flame", tmp_path)
    with pytest.raises(HarnessError, match="data=mirror-ict: expected auto, real or mirror$"):
        locate(Realy, "mirror-ict", tmp_path)
    with pytest.raises(HarnessError, match="no ICT-FaceKit model here; .*harness data get ict"):
        locate(H3ds, "mirror-ict", tmp_path)
    assert not mirror_folder(H3ds, "ict").exists()
    with pytest.raises(SystemExit):
        cli.main(["data", "make", "realy", "--head", "ict"])
    assert "no mirror of head ict" in " ".join(capsys.readouterr().err.split())
