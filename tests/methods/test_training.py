"""A whole training, tiny and on made-up pictures: it exports weights that the adapter loads, and resumes exactly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import HarnessError
from harness.heads.procedural import procedural_head
from harness.methods.glvd import training as glvd
from harness.methods.glvd.adapter import Glvd
from harness.methods.lvd import training as lvd
from harness.methods.lvd.adapter import Lvd
from harness.methods.lvd.descent import DescentAdapter
from harness.methods.lvd.lessons import LessonSettings
from harness.synthesis.subject import MIRROR_SEEDS
from harness.training import Schedule, read_weights
from harness.training_pictures import PictureSettings

SUBJECTS, VIEWS, SIZE = 3, 3, 48


def _pictures(folder: Path) -> Path:
    """Three subjects in the format of `harness.training_pictures`, with noise for pictures."""
    rng = np.random.default_rng(0)
    head = procedural_head()
    folder.mkdir(parents=True, exist_ok=True)
    projection = np.array([[150.0, 0, 24, 24 * 900], [0, -150, 24, 24 * 900], [0, 0, 1, 900]])
    landmarks = head.landmarks(head.template[None]).numpy() + rng.normal(0, 2, (SUBJECTS, 68, 3))
    arrays = {
        "images": rng.integers(0, 255, (SUBJECTS, VIEWS, SIZE, SIZE, 4), dtype=np.uint8),
        "projection": np.broadcast_to(projection, (SUBJECTS, VIEWS, 3, 4)),
        "rotation": np.broadcast_to(np.diag([1.0, -1, -1]), (SUBJECTS, VIEWS, 3, 3)),
        "spheres": np.broadcast_to([24.0, 24, 20], (SUBJECTS, VIEWS, 3)),
        "landmarks": landmarks,
        "offsets": rng.normal(0, 2, (SUBJECTS, len(head.template), 3)).astype(np.float16),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.mark.parametrize(("train", "adapter"), [(lvd.train, Lvd), (glvd.train, Glvd)], ids=["lvd", "glvd"])
def test_training_exports_and_resumes(
    train: Callable[..., Path], adapter: type[DescentAdapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lvd, "render_training_set", lambda settings, folder, head: _pictures(folder))
    once = Schedule(steps=1, checkpoint_minutes=0)
    settings = lvd.TrainingSettings(
        landmarks=lvd.LandmarkSettings(stages=tuple(replace(s, schedule=once) for s in lvd.LANDMARK_STAGES)),
        lessons=LessonSettings(images=3, points=16),
        regression=2,
        perception=once,
        schedule=Schedule(steps=3, checkpoint_minutes=0),
    )
    cpu = torch.device("cpu")
    whole = read_weights(train(settings, tmp_path / "a" / "method", cpu))[0]
    (tmp_path / "b").mkdir()
    monkeypatch.setattr(torch.optim.AdamW, "step", _failing_after(torch.optim.AdamW.step, len(lvd.LANDMARK_STAGES) + 3))
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "b" / "method", cpu)
    monkeypatch.undo()
    monkeypatch.setattr(lvd, "render_training_set", lambda settings, folder, head: _pictures(folder))
    path = train(settings, tmp_path / "b" / "method", cpu)
    resumed, metadata = read_weights(path)
    assert metadata["steps"] == "3 of 3" and metadata["subjects"] == str(SUBJECTS)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)
    adapter(weights=str(path)).load(cpu)


def test_mirror_subjects_are_not_trained_on() -> None:
    PictureSettings(subjects=10, first_seed=MIRROR_SEEDS - 10)
    with pytest.raises(HarnessError, match="mirrors' subjects"):
        PictureSettings(subjects=11, first_seed=MIRROR_SEEDS - 10)


def _failing_after(step: Callable[..., None], calls: int) -> Callable[..., None]:
    """`step`, which is interrupted after so many calls."""
    count = 0

    def wrapped(*arguments: object, **options: object) -> None:
        nonlocal count
        count += 1
        if count > calls:
            raise KeyboardInterrupt
        step(*arguments, **options)

    return wrapped
