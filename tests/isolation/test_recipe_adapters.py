"""The recipes' adapters against stand-ins that have the official programs' names, arguments and shapes."""

import importlib.util
import sys
import types
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import Sample, View
from harness.isolation.worker import Device

ROOT = Path(__file__).resolve().parents[2]
PICTURE = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
MASK = np.zeros((60, 80), dtype=bool)
MASK[10:50, 20:60] = True
CPU, CUDA = Device("cpu"), Device("cuda")


class Flame:
    """FLAME as the programs call it: three vertices, whose first is the sum of shape, expression and pose."""

    faces_tensor = torch.tensor([[0, 1, 2]])

    def __call__(self, shape_params, expression_params, pose_params):
        total = shape_params.sum() + 10 * expression_params.sum() + 100 * pose_params.sum()
        return torch.eye(3)[None] * total, torch.zeros(1, 68, 2), torch.ones(1, 68, 3) * total

    def compute_landmarks(self, vertices):
        return torch.ones(1, 68, 3) * vertices.max()

    def to(self, device):
        return self


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Loads a recipe's adapter with its folders below `tmp_path`, and puts modules in place of the official ones."""
    monkeypatch.setattr(torch, "load", torch.load)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])

    def loaded(recipe, device, modules, **options):
        for name, members in modules.items():
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                part = ".".join(parts[:depth])
                if depth == len(parts) or part not in modules:
                    module = types.ModuleType(part)
                    module.__path__ = []
                    monkeypatch.setitem(sys.modules, part, module)
            sys.modules[name].__dict__.update(members)
        spec = importlib.util.spec_from_file_location(f"recipe_{recipe}", ROOT / "containers" / recipe / "adapter.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name in ("WEIGHTS", "PICTURES", "RESULTS"):
            monkeypatch.setattr(module, name, tmp_path / name.lower(), raising=False)
        monkeypatch.setattr(module, "DETECTORS", tmp_path / "detectors", raising=False)
        monkeypatch.setattr(module, "PICTURE", tmp_path / "picture.png", raising=False)
        monkeypatch.setattr(module, "REPOSITORY", str(tmp_path))
        (tmp_path / "given").mkdir()
        (cls,) = (c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__)
        adapter = cls(weights=str(tmp_path / "given"), **options)
        adapter.load(device)
        return adapter

    return loaded


def asked(adapter, mask=None):
    prediction = adapter.predict([Sample("s", "p", (View(PICTURE, mask=mask),))])[0]
    assert prediction.failure is None, prediction.detail
    return prediction


def check_flame(prediction):
    """Expression and pose are in the head, and gone from the neutral one."""
    assert prediction.vertices[0, 0] == 1 + 20 + 300
    assert prediction.neutral_vertices[0, 0] == 1
    assert prediction.landmarks[0, 0] == 321
    assert prediction.neutral_landmarks[0, 0] == 1
    assert prediction.faces.tolist() == [[0, 1, 2]]


CODE = {"shape": torch.ones(1, 1), "exp": torch.ones(1, 2), "pose": torch.ones(1, 3), "cam": torch.ones(1, 3)}
SKIMAGE = {"skimage.io": {"imsave": lambda path, image: Path(path).write_bytes(image.tobytes())}}


def test_deca(place, tmp_path):
    class Official:
        def __init__(self, config, device):
            assert config.pretrained_modelpath.endswith("deca_model.tar")
            self.flame, self.config = Flame(), config
            self._setup_renderer(config.model)

        def _setup_renderer(self, settings):
            raise AssertionError("this would compile CUDA code")

        def encode(self, images, use_detail=True):
            assert images.shape == (1, 3, 224, 224) and not use_detail
            return dict(CODE, images=images)

    class Pictures:
        def __init__(self, paths, iscrop, face_detector):
            self.paths = paths

        def __getitem__(self, index):
            assert Path(self.paths[index]).stat().st_size == PICTURE.size
            return {"image": torch.zeros(3, 224, 224)}

    modules = {
        "face_alignment": {"FaceAlignment": object},
        "decalib.datasets.datasets": {"TestData": Pictures},
        "decalib.deca": {"DECA": Official},
        "decalib.utils.config": {"cfg": Namespace(model=Namespace())},
    }
    prediction = asked(place("deca", CPU, modules | SKIMAGE))
    check_flame(prediction)
    assert (tmp_path / "weights").resolve() == tmp_path / "given"


def test_emoca(place):
    def encode(batch, training):
        assert batch["image"].shape == (1, 3, 224, 224) and not training
        return {"shapecode": CODE["shape"], "expcode": CODE["exp"], "posecode": CODE["pose"]}

    class WithMediaPipe(Flame):
        def __call__(self, **codes):
            return *super().__call__(**codes), torch.zeros(1, 105, 3)

    model = Namespace(to=lambda d: None, eval=lambda: None, encode=encode, deca=Namespace(flame=WithMediaPipe()))
    found = [{"image": torch.zeros(1, 3, 224, 224)}]
    modules = {
        "gdl.datasets.ImageTestDataset": {"TestData": lambda paths, face_detector, max_detection: found},
        "gdl_apps.EMOCA.utils.load": {"load_model": lambda folder, name, stage: (model, None)},
    }
    adapter = place("emoca", CUDA, modules | SKIMAGE)
    adapter.device = torch.device("cpu")
    check_flame(asked(adapter))


def test_smirk(place, monkeypatch):
    seen = {}

    class Encoder(torch.nn.Module):
        def forward(self, images):
            seen["picture"] = images
            code = {"shape_params": CODE["shape"], "expression_params": CODE["exp"], "pose_params": CODE["pose"][:, :2]}
            return {**code, "jaw_params": torch.ones(1, 1), "cam": CODE["cam"], "eyelid_params": torch.ones(1, 2)}

    class OfficialFlame(Flame):
        def __init__(self, flame_model_path):
            assert flame_model_path.endswith("generic_model.pkl")

        def __call__(self, code):
            pose = torch.cat([code["pose_params"], code["jaw_params"]], 1)
            mesh, _, landmarks = super().__call__(code["shape_params"], code["expression_params"], pose)
            return {"vertices": mesh, "landmarks_fan_3d": landmarks}

    class Similarity:
        def __init__(self, scale, translation):
            seen["scale"], seen["translation"] = scale, translation

        inverse = None

    points = np.array([[10.0, 20, 0], [50, 40, 0], [30, 30, 0]])
    modules = {
        "timm": {"create_model": lambda name, pretrained, **options: None},
        "src.FLAME.FLAME": {"FLAME": OfficialFlame},
        "src.smirk_encoder": {"SmirkEncoder": Encoder},
        "utils.mediapipe_utils": {"run_mediapipe": lambda image: points},
        "skimage.transform": {
            "SimilarityTransform": Similarity,
            "warp": lambda image, inverse, output_shape, preserve_range: np.full((*output_shape, 3), 255.0),
        },
    }
    monkeypatch.setattr(torch, "load", lambda path, map_location: {"smirk_generator.x": torch.ones(1)})
    adapter = place("smirk", CPU, modules)
    check_flame(asked(adapter))
    assert seen["picture"].shape == (1, 3, 224, 224)
    assert float(seen["picture"].max()) == 1.0
    size = int((40 + 20) / 2 * 1.4)
    corner = np.array([30, 30]) - size / 2  # of a square around the box's middle
    assert np.allclose(seen["scale"] * corner + seen["translation"], 0)
    assert np.allclose(seen["scale"] * (corner + size) + seen["translation"], 223)
    points = None
    assert adapter.predict([Sample("s", "p", (View(PICTURE),))])[0].failure == "no_face"


def test_mica(place, tmp_path):
    class Official:
        flame, flameModel = Flame(), Namespace(generator=Flame())

        def __init__(self, settings, device):
            assert settings.model.testing

        def eval(self):
            pass

        def encode(self, images, arcface):
            assert arcface.shape == (1, 3, 112, 112)
            return {"arcface": arcface}

        def decode(self, code):
            return {"pred_canonical_shape_vertices": torch.eye(3)[None], "pred_shape_code": torch.ones(1, 300)}

    boxes, points = np.array([[0, 0, 1, 1, 0.9], [2, 2, 3, 3, 0.8]]), np.zeros((2, 5, 2))
    detector = Namespace(detect=lambda image: (boxes, points))
    modules = {
        "configs.config": {"get_cfg_defaults": lambda: Namespace(model=Namespace())},
        "micalib.models.mica": {"MICA": Official},
        "utils.landmark_detector": {
            "LandmarksDetector": lambda model: detector,
            "detectors": Namespace(RETINAFACE="R"),
        },
        "datasets.creation.util": {
            "get_arcface_input": lambda face, image: (np.zeros((3, 112, 112), np.float32), None),
            "get_center": lambda boxes, image: 1,
        },
        "insightface.app.common": {"Face": Namespace},
    }
    prediction = asked(place("mica", CPU, modules))
    assert np.array_equal(prediction.vertices, np.eye(3))
    assert np.array_equal(prediction.neutral_vertices, np.eye(3))
    assert (tmp_path / "detectors" / "antelopev2").is_symlink()


def test_3ddfa_v3(place):
    class Official:
        tri, ldm68 = torch.tensor([[0, 1, 2]]), torch.zeros(68, dtype=torch.int64)

        def __init__(self, settings):
            assert settings.device == "cpu" and settings.ldm68 and not settings.seg

        def net_recon(self, picture):
            assert picture.shape == (1, 3, 224, 224)
            return torch.ones(1, 257)

        def split_alpha(self, alpha):
            return {"id": alpha[:, :80], "exp": alpha[:, 80:144], "angle": alpha[:, :3], "trans": alpha[:, :3]}

        def compute_shape(self, identity, expression):
            return torch.eye(3)[None] * (identity.sum() + expression.sum())

    def detect(image):
        if found:
            return None, torch.zeros(1, 3, 224, 224)
        raise SystemExit

    found = [True]
    modules = {
        "face_box": {"face_box": lambda settings: Namespace(detector=detect)},
        "model.recon": {"face_model": Official},
        "mtcnn": {},
    }
    adapter = place("3ddfa_v3", CPU, modules)
    prediction = asked(adapter)
    assert prediction.vertices[0, 0] == pytest.approx(144 * 100)  # decimetres
    assert prediction.neutral_vertices[0, 0] == pytest.approx(80 * 100)
    found.clear()
    assert adapter.predict([Sample("s", "p", (View(PICTURE),))])[0].failure == "no_face"


def test_kaolrm(place):
    codes = {"shape": CODE["shape"], "expression": CODE["exp"], "pose": CODE["pose"]}
    codes |= {"scale": torch.ones(1, 1), "translation": torch.ones(1, 3)}
    flame = Flame()

    class Official:
        cfg, device = Namespace(source_size=224, source_cam_dist=2.0), torch.device("cpu")
        model = Namespace(flame_decoder=lambda planes: codes, flame_model=None)

        def __init__(self):
            assert "model_name=./releases/mono/" in sys.argv

        def infer_planes(self, image, source_cam_dist):
            assert image.shape == (1, 3, 224, 224)
            assert float(image[..., 0, 0].min()) == 1.0  # white around the head
            return torch.zeros(1)

    class OfficialFlame(Flame):
        def __call__(self, shape, expression, pose):
            return flame(shape, expression, pose)

    Official.model.flame_model = OfficialFlame()
    adapter = place("kaolrm", CUDA, {"kaolrm.runners.infer": {"LRMInferrer": Official}})
    check_flame(asked(adapter, MASK))
    assert adapter.predict([Sample("s", "p", (View(PICTURE),))])[0].failure == "bad_input"


def test_faceverse(place, tmp_path, monkeypatch):
    head = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nelement face 1\nproperty list\nend_header\n"

    def fit(settings, device):
        assert settings.version == 1 and settings.align and settings.network_iters == 800
        assert [path.name for path in Path(settings.input).iterdir()] == ["picture.png"]
        text = head + "0.1 0.2 0.3 9 9 9\n1 0 0 9 9 9\n0 1 0 9 9 9\n3 0  1  2 \n"
        (Path(settings.res_folder) / "picture_final.ply").write_text(text)

    modules = {
        "cv2": {"imwrite": lambda path, image: Path(path).write_bytes(b"")},
        "fit_images": {"fit": fit},
    }
    detail = np.empty((), dtype=object)
    detail[()] = {"keypoints": np.zeros((66, 1))}
    monkeypatch.setattr(np, "load", lambda path, allow_pickle: detail)
    prediction = asked(place("faceverse", CUDA, modules))
    assert prediction.vertices.tolist() == [[10, 20, 30], [100, 0, 0], [0, 100, 0]]
    assert prediction.faces.tolist() == [[0, 1, 2]]
    missing = np.flatnonzero(np.isnan(prediction.landmarks[:, 0]))
    assert missing.tolist() == [60, 64]


@pytest.mark.parametrize("recipe", ["emoca", "kaolrm", "faceverse"])
def test_programs_that_need_a_gpu_say_so(place, recipe):
    with pytest.raises(RuntimeError, match="needs device=cuda"):
        place(recipe, CPU, {})
