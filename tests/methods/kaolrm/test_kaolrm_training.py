"""What KaoLRM trains on, and a whole training, tiny and on made-up pictures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.errors import HarnessError
from harness.heads.procedural import procedural_head
from harness.methods.kaolrm import material as module
from harness.methods.kaolrm.adapter import KaoLRMAdapter
from harness.methods.kaolrm.cameras import frontal_camera, source_numbers
from harness.methods.kaolrm.drawing import FaceDrawer, decoded
from harness.methods.kaolrm.material import Framing, Material, Plan
from harness.methods.kaolrm.network import MINI, HeadCodes, KaoLRM
from harness.methods.kaolrm.training import Stage, Teacher, TrainingSettings, start_from_nothing, train
from harness.methods.regression.decoding import Decoder
from harness.samples import Sample, View
from harness.synthesis.cameras import orbit_camera
from harness.training import Schedule, read_weights
from harness.training_pictures import CROP_RADIUS, PictureSettings, crop_centre

SUBJECTS, VIEWS, SIDE, FOCAL = 3, 3, 96, 4.0
PLAN = Plan(subjects=3, views=2, drawn=3, read=112, side=32)


def made_up(folder: Path) -> Path:
    """The mean head before cameras of the network's lens, with noise for pictures, as they are written."""
    rng = np.random.default_rng(1)
    head = procedural_head()
    folder.mkdir(parents=True, exist_ok=True)
    centre = crop_centre(head)
    cameras = [
        orbit_camera(rng.uniform(-50, 50), rng.uniform(-20, 20), 1600, FOCAL * SIDE, SIDE, centre, rng.uniform(-9, 9))
        for _ in range(SUBJECTS * VIEWS)
    ]
    spheres = [[*camera.project(centre[None])[0], CROP_RADIUS / 400 * SIDE] for camera in cameras]
    arrays = {
        "images": rng.integers(0, 255, (SUBJECTS, VIEWS, SIDE, SIDE, 4), dtype=np.uint8),
        "projection": np.stack([c.projection for c in cameras]).reshape(SUBJECTS, VIEWS, 3, 4),
        "rotation": np.stack([c.rotation for c in cameras]).reshape(SUBJECTS, VIEWS, 3, 3),
        "spheres": np.array(spheres).reshape(SUBJECTS, VIEWS, 3),
        "landmarks": np.repeat(head.landmarks(head.template[None]).numpy(), SUBJECTS, axis=0),
        "offsets": np.zeros((SUBJECTS, len(head.template), 3), np.float16),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Material:
    monkeypatch.setattr(module, "render_training_set", lambda settings, folder, head: made_up(folder))
    return Material(PictureSettings(SUBJECTS, VIEWS, SIDE), tmp_path / "pictures", procedural_head(), FOCAL)


def test_the_frame_stands_where_the_picture_that_is_read_shows_the_head(material: Material) -> None:
    """Through a lens of the same length the network's camera sees what the picture's own camera sees."""
    lesson = material.lesson(PLAN, Framing((1.0, 1.0), 0.0, 0.0), torch.Generator().manual_seed(3))
    frontal = frontal_camera(FOCAL, PLAN.side)
    for mesh, projection in zip(lesson.meshes, lesson.projections[:, 0], strict=True):
        own = on_drawn(mesh, projection).numpy()
        # the picture that is read is scaled from corner pixel to corner pixel, the drawn one by its area
        expected = (own - (PLAN.side - 1) / 2) * ((PLAN.read - 1) / PLAN.read) * (SIDE / (SIDE - 1))
        assert np.abs(frontal.project(mesh.double().numpy()) - (PLAN.side - 1) / 2 - expected).max() < 2e-3


def on_drawn(points: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    image = points @ projection[:, :3].T + projection[:, 3]
    return image[:, :2] / image[:, 2:]


def test_landmarks_lie_where_the_cameras_of_the_pictures_see_them(material: Material) -> None:
    arrays = material.pictures.arrays
    lesson = material.lesson(PLAN, Framing(), torch.Generator().manual_seed(4))
    truth = {}
    for s in range(SUBJECTS):
        for v in range(VIEWS):
            image = arrays["landmarks"][s] @ arrays["projection"][s, v][:, :3].T + arrays["projection"][s, v][:, 3]
            pixels = image[:, :2] / image[:, 2:]
            truth[s, v] = (pixels + 0.5) * PLAN.side / SIDE - 0.5  # pixel centres of a picture made smaller
    for found in lesson.landmarks.flatten(0, 1).numpy():
        assert min(np.abs(found - pixels).max() for pixels in truth.values()) < 1e-3


def test_the_codes_of_the_frame_have_no_depth(material: Material) -> None:
    """What a head with translation z = 0 can say is what the frame holds: turn, scale and shift of the mean head."""
    lesson = material.lesson(PLAN, Framing(), torch.Generator().manual_seed(5))
    head = procedural_head()
    template = head.template.double()
    decoder = Decoder(head)
    for mesh in lesson.meshes.double():
        centred, goal = template - template.mean(dim=0), mesh - mesh.mean(dim=0)
        u, s, v = torch.linalg.svd(goal.T @ centred)
        turn, scale = u @ v, float(s.sum() / centred.square().sum())
        angle = axis_angle(turn)
        codes = HeadCodes(
            *(torch.zeros(1, 82), torch.zeros(1, 46), angle[None].float(), torch.zeros(1, 3)),
            *(torch.tensor([[scale * 1000]]).float(), torch.zeros(1, 3)),
        )
        shift = mesh - decoded(decoder, codes)[0][0].double()
        assert float(shift.std(dim=0).max()) < 1e-4 and abs(float(shift[:, 2].mean())) < 1e-4


def axis_angle(turn: torch.Tensor) -> torch.Tensor:
    angle = torch.arccos(((turn.trace() - 1) / 2).clamp(-1, 1))
    axis = torch.stack([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return angle * axis / (2 * angle.sin())


def test_a_plane_has_the_depth_and_the_normal_of_a_plane() -> None:
    square = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.2
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    seen = FaceDrawer(faces, torch.arange(4), 4)(square[None], [frontal_camera(FOCAL, 32)])
    assert seen.there.sum() > 300
    assert torch.allclose(seen.depth[seen.there], torch.tensor(2.0)), "the camera stands 2 away"
    assert torch.allclose(seen.normals[seen.there], torch.tensor([0.0, 0, -1]), atol=1e-6)
    tilted = square @ torch.tensor([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]).T
    seen = FaceDrawer(faces, torch.arange(4), 4)(tilted[None], [frontal_camera(FOCAL, 32)])
    rows, columns = torch.nonzero(seen.there[0], as_tuple=True)
    ray = (columns - 15.5) / (FOCAL * 32)
    # 0.6 x - ... the plane's points are (0.8 a, b, -0.6 a): with x = depth * ray and depth = 2 + 0.6 a
    expected = 2 / (1 - 0.75 * ray)
    assert torch.allclose(seen.depth[0, rows, columns, 0], expected, atol=1e-5)


@pytest.mark.slow
def test_a_tiny_training_exports_what_the_adapter_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "render_training_set", lambda settings, folder, head: made_up(folder))
    once = Schedule(steps=2, checkpoint_minutes=0)
    settings = TrainingSettings(
        pretraining=Stage(once, PLAN),
        landmarks=Stage(once, replace(PLAN, drawn=1)),
        picture=Stage(once, PLAN),
        points=200,
    )
    path = train(settings, tmp_path / "kaolrm", torch.device("cpu"))
    tensors, metadata = read_weights(path)
    assert metadata["stages"].count(";") == 2 and all(bool(t.isfinite().all()) for t in tensors.values())
    adapter = KaoLRMAdapter(weights=str(path))
    adapter.load(torch.device("cpu"))
    mask = np.zeros((80, 80), bool)
    mask[10:70, 20:60] = True
    view = View(np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8), mask=mask)
    (found,) = adapter.predict([Sample("one", "s", (view,))])
    assert found.failure is None and found.vertices is not None and np.ptp(found.vertices, axis=0).max() < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("switch", "shared"),
    [
        ("regularised", ["pretraining"]),
        ("photometric", ["pretraining", "landmarks"]),
        ("bound", ["pretraining", "landmarks"]),
    ],
)
def test_an_ablation_goes_on_from_the_stages_that_its_switch_leaves_alone(
    switch: str, shared: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "render_training_set", lambda settings, folder, head: made_up(folder))
    once = Stage(Schedule(steps=1), PLAN)
    settings = TrainingSettings(pretraining=once, landmarks=once, picture=once, points=100)
    train(settings, tmp_path / "whole", torch.device("cpu"))
    for stage in ("pretraining", "landmarks", "picture"):
        shutil.copytree(tmp_path / "whole" / stage, tmp_path / "less" / stage)
    ablated = replace(settings, **{switch: False})
    with pytest.raises(HarnessError, match="other settings"):
        train(ablated, tmp_path / "less", torch.device("cpu"))
    for stage in {"landmarks", "picture"} - set(shared):
        shutil.rmtree(tmp_path / "less" / stage)
    less, _ = read_weights(train(ablated, tmp_path / "less", torch.device("cpu")))
    alone, _ = read_weights(train(ablated, tmp_path / "alone", torch.device("cpu")))
    assert all(torch.equal(less[name], value) for name, value in alone.items())


def test_switches_leave_their_losses_out(material: Material, tmp_path: Path) -> None:
    base = TrainingSettings(picture=Stage(Schedule(1), replace(PLAN, drawn=1)), points=100)
    teacher = Teacher(base, tmp_path / "kaolrm", torch.device("cpu"))

    def names(**switches: bool) -> set[str]:
        teacher.settings = replace(base, **switches)
        return set(teacher.picture(torch.Generator().manual_seed(0)))

    whole = {"landmarks", "shape", "expression", "pixels", "structure", "depth", "normals"}
    assert names() == whole
    assert names(regularised=False) == whole - {"shape", "expression"}
    assert names(photometric=False) == whole - {"pixels", "structure"}
    assert names(bound=False) == whole - {"depth", "normals"}
    assert names(bound=False, photometric=False) == {"landmarks", "shape", "expression"}


def test_what_differs_between_pictures_arrives_at_the_head_before_training() -> None:
    """With PyTorch's own first weights a hundredth of the head does."""
    torch.manual_seed(0)
    net = KaoLRM(MINI)
    images = functional.interpolate(torch.rand(6, 3, 5, 5), (112, 112), mode="bilinear")
    cameras = source_numbers(6)

    def differing() -> float:
        with torch.no_grad():
            values = net(images, cameras).codes.turn
        return float(values.std(dim=0).mean() / values.abs().mean())

    before = differing()
    start_from_nothing(net)
    assert before < 0.02 < 0.2 < differing()
