"""H3DS (Ramon et al., ICCV 2021; Caselles et al., 2023): full-head scans photographed from known cameras.

Layout, per subject: `full_head.obj`, `image/img_%04d.jpg`, `mask/mask_%04d.png`, `cameras.npz`, `landmarks.txt`,
`regions/{face,face_sphere,nose}.txt`; beside the subjects `version.txt` and, in folders that are no official
release, `config.toml` in the official schema. Everything is in millimetres.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from scipy.linalg import rq

from harness.benchmark import Access, Dataset
from harness.data import check_complete, locate
from harness.errors import ContractError, DataError, HarnessError
from harness.files import read_arrays
from harness.geometry.mesh import read_mesh
from harness.protocols.h3ds import H3DS_LANDMARKS, H3dsTruth
from harness.samples import Array, Camera, Sample, View

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REGIONS = ("face", "face_sphere", "nose")
REMEDY = "restore the file from the data set, or use the open synthetic stand-in with data=mirror"


@dataclass(frozen=True)
class Scene:
    """What the configuration says of one subject: how many images, and which of them make up each view set."""

    images: int
    tags: tuple[str, ...]
    view_sets: dict[int, tuple[int, ...]]


class H3ds(Dataset):
    """Reader of both official versions (0.2 with 23 subjects, 0.4 with 59) and of folders with a `config.toml`."""

    name: ClassVar[str] = "h3ds"
    access: ClassVar[Access] = Access.SIGNED_FORM
    ask_at: ClassVar[str] = "https://github.com/CrisalixSA/h3ds"
    mirror_version: ClassVar[str] = "mirror-1"
    mirror_heads: ClassVar[tuple[str, ...]] = ("procedural", "ict")

    def __init__(self, data: str, data_root: str | Path, views: int | Sequence[int], tag: str = "") -> None:
        """Finds the files and reads the configuration.

        Args:
            data: "real", "mirror", "mirror-ict" or "auto".
            data_root: folder that holds `h3ds/`.
            views: sizes of the view sets to evaluate, e.g. 3 or [1, 3].
            tag: only subjects with this tag ("h3d-net", "sira++"); all where empty.

        Raises:
            DataError: files are missing (the first are named).
            HarnessError: no subject has the tag, or no such view set.
        """
        location = locate(type(self), data, data_root)
        self.folder, self.kind = location.folder, location.kind
        scenes = {name: s for name, s in self._configuration["scenes"].items() if not tag or tag in s.tags}
        if not scenes:
            raise HarnessError(f"bench.tag={tag}: no subject of {self.folder} has this tag")
        self.scenes: dict[str, Scene] = scenes
        self.view_sets = (views,) if isinstance(views, int) else tuple(views)
        offered = sorted({size for scene in scenes.values() for size in scene.view_sets})
        for size in self.view_sets:
            if size not in offered:
                raise HarnessError(f"bench.views={size}: H3DS {self.version} has view sets of {offered}")
        check_complete(self)

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None], head: str = "procedural") -> None:
        """Writes the synthetic stand-in, of people of a head model."""
        from harness.datasets.h3ds_mirror import write_h3ds_mirror

        write_h3ds_mirror(folder, progress=progress, head=head)

    @property
    def version(self) -> str:
        """The content of `version.txt`."""
        return str(self._configuration["version"])

    def samples(self) -> Sequence[Sample]:
        """One sample per subject and view set, subject by subject. Repeated image indices are kept, as published."""
        return [
            self._sample(name, size, cameras)
            for name, scene in self.scenes.items()
            for cameras in [read_cameras(self.folder / name / "cameras.npz")]
            for size in self.view_sets
            if size in scene.view_sets
        ]

    def truth(self, sample: Sample) -> H3dsTruth:
        """The subject's scan, landmarks and regions. Raises DataError if a file contradicts the scan."""
        return _read_truth(self.folder / sample.subject)

    def files(self) -> Sequence[Path]:
        """Scans, annotations, and the images and masks of the view sets asked for."""
        config = self.folder / "config.toml"
        version = config if config.is_file() else self.folder / "version.txt"
        return [version, *(p for name in self.scenes for p in self._subject_files(name))]

    def _sample(self, name: str, size: int, cameras: dict[int, tuple[Array, Array]]) -> Sample:
        return Sample(
            id=f"{name}_{size}",
            subject=name,
            views=tuple(self._view(name, index, cameras) for index in self.scenes[name].view_sets[size]),
            condition={"views": size},
        )

    def _view(self, name: str, index: int, cameras: dict[int, tuple[Array, Array]]) -> View:
        image, mask = self._image_files(name, index)
        if index not in cameras:
            raise DataError(f"{self.folder / name / 'cameras.npz'}: has no world_mat_{index}; {REMEDY}")
        world, scene = cameras[index]
        try:
            camera = decompose(world, *image_size(image))
        except (ContractError, np.linalg.LinAlgError) as error:
            raise DataError(f"{self.folder / name / 'cameras.npz'}: world_mat_{index}: {error}; {REMEDY}") from None
        return View(image=image, mask=mask, camera=camera, scene=scene)

    def _image_files(self, name: str, index: int) -> tuple[Path, Path]:
        folder = self.folder / name
        return folder / "image" / f"img_{index:04d}.jpg", folder / "mask" / f"mask_{index:04d}.png"

    def _subject_files(self, name: str) -> list[Path]:
        folder, scene = self.folder / name, self.scenes[name]
        indices = sorted({i for size in self.view_sets for i in scene.view_sets.get(size, ())})
        return [
            folder / "full_head.obj",
            folder / "cameras.npz",
            folder / "landmarks.txt",
            *(folder / "regions" / f"{region}.txt" for region in REGIONS),
            *(file for index in indices for file in self._image_files(name, index)),
        ]

    @cached_property
    def _configuration(self) -> dict[str, Any]:
        """{"version": str, "scenes": {subject: Scene}} from `config.toml`, or of the official version named."""
        if (self.folder / "config.toml").is_file():
            return _read_config(self.folder / "config.toml")
        version_file = self.folder / "version.txt"
        version = version_file.read_text().strip() if version_file.is_file() else None
        official = json.loads((Path(__file__).parent / "h3ds_views.json").read_text())
        if version not in official["versions"]:
            found = f"says {version!r}" if version else "is missing"
            known = " and ".join(official["versions"])
            raise DataError(
                f"{version_file}: {found}, expected {known}, or a config.toml beside it. "
                f"Get H3DS at {self.ask_at} ({self.access.value}), or use data=mirror"
            )
        release = official["versions"][version]
        scenes = {
            name: Scene(
                images=entry["images"],
                tags=tuple(entry["tags"]),
                view_sets={int(k): tuple(v) for k, v in entry["views"].items() if int(k) in release["view_sets"]},
            )
            for name, entry in list(official["subjects"].items())[: release["subjects"]]
        }
        return {"version": version, "scenes": scenes}


def _read_config(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text())
        scenes = {
            name: Scene(
                images=int(entry["views"]),
                tags=tuple(entry.get("tags", ())),
                view_sets={int(k): tuple(v) for k, v in entry["default_views_configs"].items()},
            )
            for name, entry in content["scenes"].items()
        }
        return {"version": str(content["version"]), "scenes": scenes}
    except (KeyError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not in H3DS's schema ({type(error).__name__}: {error}); {REMEDY}") from None


def read_cameras(path: Path) -> dict[int, tuple[Array, Array]]:
    """Image index -> (world_mat (4, 4), scale_mat (4, 4)); the official reader uses scale_mat_0 for all."""
    stored = read_arrays(path)
    if "scale_mat_0" not in stored:
        raise DataError(f"{path}: has no scale_mat_0; {REMEDY}")
    names = [name for name in stored if name.startswith("world_mat_") and name[10:].isdigit()]
    for name in ("scale_mat_0", *names):
        matrix = stored[name]
        if matrix.shape != (4, 4) or not np.issubdtype(matrix.dtype, np.number) or not np.isfinite(matrix).all():
            raise DataError(f"{path}: {name}: expected a finite (4, 4) matrix, found {matrix.tolist()}; {REMEDY}")
    scale = stored["scale_mat_0"].astype(np.float64)
    return {int(name[10:]): (stored[name].astype(np.float64), scale) for name in names}


def decompose(world_mat: Array, width: int, height: int) -> Camera:
    """Splits a projection matrix (4, 4; first three rows used) into K with K[2, 2] = 1, R and t.

    The same decomposition as OpenCV's, which the official reader calls: positive focal lengths, R a rotation.
    """
    upper, orthogonal = rq(world_mat[:3, :3])
    signs = np.sign(np.diag(upper))
    upper, orthogonal = upper * signs, signs[:, None] * orthogonal
    translation = np.linalg.solve(upper, world_mat[:3, 3])
    if np.linalg.det(orthogonal) < 0:  # the matrix is known up to sign only
        orthogonal, translation = -orthogonal, -translation
    return Camera(upper / upper[2, 2], orthogonal, translation, width, height)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) from the file's header; a damaged header is left for the method's own reading to report."""
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:
        return 1, 1


@lru_cache(maxsize=1)
def _read_truth(folder: Path) -> H3dsTruth:
    scan = read_mesh(folder / "full_head.obj")
    count = len(scan.vertices)
    return H3dsTruth(
        scan=scan,
        landmarks=_read_landmarks(folder / "landmarks.txt", count),
        regions={name: _read_indices(folder / "regions" / f"{name}.txt", count) for name in REGIONS},
    )


def _read_indices(path: Path, count: int) -> Array:
    try:
        indices = np.array(path.read_text().split(), dtype=np.int64)
    except ValueError as error:
        raise DataError(f"{path}: expected one vertex index per line ({error}); {REMEDY}") from None
    _check_range(path, indices, count)
    return indices


def _read_landmarks(path: Path, count: int) -> dict[str, int]:
    try:
        pairs = [line.split() for line in path.read_text().splitlines() if line.strip()]
        landmarks = {name: int(index) for name, index in pairs}
    except ValueError as error:
        raise DataError(f"{path}: expected lines `name vertex_index` ({error}); {REMEDY}") from None
    missing = [name for name in H3DS_LANDMARKS if name not in landmarks]
    if missing:
        raise DataError(f"{path}: lacks {', '.join(missing)}; {REMEDY}")
    _check_range(path, np.array(list(landmarks.values())), count)
    return landmarks


def _check_range(path: Path, indices: Array, count: int) -> None:
    if not len(indices):
        raise DataError(f"{path}: is empty; {REMEDY}")
    if indices.min() < 0 or indices.max() >= count:
        worst = indices.min() if indices.min() < 0 else indices.max()
        raise DataError(f"{path}: vertex index {worst}, but the scan has vertices 0..{count - 1}; {REMEDY}")
