"""Every kind of image file becomes 8-bit RGB, or an error that says what is wrong with it."""

import time

import numpy as np
import pytest
from PIL import Image

from harness import DataError, View
from harness.images import stored_turned

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=-1)


def saved(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return View(tmp_path / name).read_image()


def test_grey_is_repeated(tmp_path):
    assert np.array_equal(saved(tmp_path, Image.fromarray(RAMP)), np.repeat(RAMP[..., None], 3, axis=2))
    two = saved(tmp_path, Image.fromarray(RAMP > 99))
    assert np.array_equal(two[..., 1], np.where(RAMP > 99, 255, 0))


def test_transparency_is_dropped(tmp_path):
    rgba = np.concatenate([COLOUR, RAMP[..., None]], axis=2)
    assert np.array_equal(saved(tmp_path, Image.fromarray(rgba)), COLOUR)
    grey = saved(tmp_path, Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(RAMP[::-1].copy())]))
    assert np.array_equal(grey[..., 0], RAMP)
    assert np.array_equal(View(COLOUR, mask=tmp_path / "image.png").read_mask(), RAMP[::-1] > 127)


def test_palette_is_looked_up(tmp_path):
    image = Image.fromarray(RAMP % 4).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    for options in ({}, {"transparency": 1}):
        read = saved(tmp_path, image, **options)
        assert np.array_equal(read, np.array([10, 20, 30]) + 30 * (RAMP % 4)[..., None])


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_of_16_bits_the_upper_8_remain(tmp_path, name):
    deep = (RAMP.astype(np.uint16) << 8) + RAMP[::-1]
    assert np.array_equal(saved(tmp_path, Image.fromarray(deep), name)[..., 2], RAMP)


def test_cmyk_is_converted(tmp_path):
    read = saved(tmp_path, Image.fromarray(COLOUR).convert("CMYK"), "print.tif")
    assert np.array_equal(read, COLOUR)


def test_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    read = saved(tmp_path, Image.fromarray(COLOUR[:8]), "lying.png", exif=exif)
    assert np.array_equal(read, COLOUR[:8])
    assert stored_turned(tmp_path / "lying.png")
    saved(tmp_path, Image.fromarray(COLOUR))
    assert not stored_turned(tmp_path / "image.png") and not stored_turned(tmp_path / "nothing.png")


def test_pixels_of_unknown_range_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"image.tif: pixels of kind F, 0 to 0.5; .* 8 or 16 bits"):
        saved(tmp_path, Image.fromarray(np.linspace(0, 0.5, 64, dtype=np.float32).reshape(8, 8)), "image.tif")
    with pytest.raises(DataError, match=r"pixels of kind I, 0 to 70000"):
        saved(tmp_path, Image.fromarray(np.array([[0, 70000]], dtype=np.int32)), "image.tif")


def test_absurd_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"image.png: .*make the image smaller"):
        saved(tmp_path, Image.fromarray(COLOUR))


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_truncated_file_is_named(tmp_path, share):
    path = tmp_path / "half.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"half.png: cannot be read as an image"):
        View(path).read_image()


def test_wide_and_tiny(tmp_path):
    start = time.process_time()
    assert saved(tmp_path, Image.new("RGB", (8000, 4000), (1, 2, 3)), "wide.jpg").shape == (4000, 8000, 3)
    assert time.process_time() - start < 10
    assert saved(tmp_path, Image.new("L", (20, 15), 7)).tolist() == np.full((15, 20, 3), 7).tolist()
