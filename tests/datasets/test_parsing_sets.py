"""LaPa and CelebAMask-HQ: folders written by hand, label files of every kind, and what is said of wrong ones."""

import shutil

import numpy as np
import pytest
from PIL import Image

from harness import DataError, HarnessError
from harness.datasets import celebamask_hq as celeba
from harness.datasets.celebamask_hq import CelebAMaskHQ
from harness.datasets.label_files import read_label_map
from harness.datasets.lapa import Lapa
from harness.protocols.labels import CELEBAMASK_FARL, CELEBAMASK_OWN, LABELS
from harness.protocols.parsing import ParsingF1
from harness.samples import Prediction

LABEL_MAP = np.arange(11).repeat(20).reshape(11, 20).astype(np.uint8)
POINTS = np.full((106, 2), 10.0)
POINTS[[104, 105, 54, 84, 90]] = [[6, 3], [14, 3], [10, 6], [7, 8], [13, 8]]


def points_text(points=POINTS, count="106"):
    return f"{count}\n" + "".join(f"{x} {y}\n" for x, y in points)


@pytest.fixture
def lapa(tmp_path):
    home = tmp_path / "lapa/test"
    for kind in ("images", "labels", "landmarks"):
        (home / kind).mkdir(parents=True)
    for name in ("1_0", "a b_1"):
        Image.fromarray(np.zeros((11, 20, 3), np.uint8)).save(home / f"images/{name}.jpg")
        Image.fromarray(LABEL_MAP).save(home / f"labels/{name}.png")
        (home / f"landmarks/{name}.txt").write_text(points_text())
    return home


def test_lapa(lapa, caplog):
    data = Lapa("real", lapa.parents[1])
    samples = data.samples()
    assert [s.id for s in samples] == ["1_0", "a_b_1"] and "has 2 photographs, the official 2000" in caplog.text
    assert samples[0].views[0].box.tolist() == [6, 3 - 0.25 * 7, 14, 10]
    truth = data.truth(samples[1])
    assert np.array_equal(truth.maps["lapa"], LABEL_MAP) and len(data.files()) == 6
    score = ParsingF1().score(Prediction(label_map=LABEL_MAP), truth)
    assert score.values["mean"] == 100
    with pytest.raises(HarnessError, match=r"bench\.split=all: expected train, val, test"):
        Lapa("real", lapa.parents[1], split="all")


def saved(image):
    return lambda home: image.save(home / "labels/1_0.png")


def palette():
    image = Image.fromarray(LABEL_MAP, mode="P")
    image.putpalette([255 - v for v in range(256) for _ in range(3)])
    return image


@pytest.mark.parametrize(
    "image",
    [palette(), Image.fromarray(LABEL_MAP.astype(np.uint16)), Image.fromarray(LABEL_MAP.astype(np.int32))],
    ids=["palette", "16 bits", "32 bits"],
)
def test_labels_are_numbers_whatever_the_kind_of_file(tmp_path, image):
    image.save(tmp_path / "labels.tiff" if image.mode == "I" else tmp_path / "labels.png")
    (file,) = tmp_path.iterdir()
    assert np.array_equal(read_label_map(file, 11), LABEL_MAP)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda h: shutil.rmtree(h / "images"), r"images: has no \.jpg file, expected 2000; get them at"),
        (lambda h: (h / "labels/1_0.png").unlink(), r"incomplete: test/labels/1_0\.png missing"),
        (saved(Image.fromarray(LABEL_MAP + 1)), r"1_0\.png: has unknown labels \[11\], expected 0\.\.10"),
        (saved(Image.fromarray(LABEL_MAP[:, :9])), r"1_0\.png: has 9x11 pixels, the photograph 20x11"),
        (saved(Image.fromarray(np.stack([LABEL_MAP] * 3, -1))), r"pixels of kind RGB, expected one number per pixel"),
        (saved(Image.fromarray(np.stack([LABEL_MAP] * 4, -1))), r"pixels of kind RGBA"),
        (lambda h: (h / "labels/1_0.png").write_bytes(b"<html>"), "cannot be read as a picture of labels"),
        (
            lambda h: (h / "landmarks/1_0.txt").write_text(points_text(POINTS[:105])),
            "has 210 numbers, expected 106 and",
        ),
        (lambda h: (h / "landmarks/1_0.txt").write_text(points_text(count="68")), "begins with 68"),
        (lambda h: (h / "landmarks/1_0.txt").write_text(""), "begins with nothing"),
        (lambda h: (h / "landmarks/1_0.txt").write_text(points_text(POINTS[:, ::-1])), "x and y look swapped"),
        (lambda h: (h / "landmarks/1_0.txt").write_bytes(b"\xff\xfe"), "landmarks/1_0.txt: cannot be read"),
        (lambda h: [shutil.copy(p, p.with_stem("a_b_1")) for p in h.glob("*/a b_1.*")], "differ in blanks"),
    ],
)
def test_lapa_damage_is_named(lapa, damage, words):
    damage(lapa)
    with pytest.raises(DataError, match=words):
        for sample in (data := Lapa("real", lapa.parents[1])).samples():
            data.truth(sample)


def box(*corners):
    mask = np.zeros((512, 512), np.uint8)
    left, top, right, bottom = corners
    mask[top:bottom, left:right] = 255
    return mask


MASKS = {
    "skin": box(0, 0, 300, 300),
    "neck": box(0, 250, 300, 400),
    "l_ear": box(0, 100, 40, 140),
    "cloth": box(0, 380, 512, 512),
}


@pytest.fixture
def hq(tmp_path):
    home = tmp_path / "celebamask_hq"
    (home / "CelebA-HQ-img").mkdir(parents=True)
    for number in (3, 2001):
        folder = home / f"CelebAMask-HQ-mask-anno/{number // 2000}"
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((1024, 1024, 3), np.uint8)).save(home / f"CelebA-HQ-img/{number}.jpg")
        for part, mask in MASKS.items():
            Image.fromarray(mask).save(folder / f"{number:05d}_{part}.png")
    rows = ["idx orig_idx orig_file", "3 119613 119614.jpg", "4 7 000008.jpg", "2001 182637 182638.jpg"]
    (home / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(rows) + "\n")
    (home / "list_eval_partition.txt").write_text("119614.jpg 2\n000008.jpg 0\n182638.jpg 2\n")
    return home


def test_celebamask_hq_paints_in_two_ways(hq, caplog):
    data = CelebAMaskHQ("real", hq.parent)
    samples = data.samples()
    assert [s.id for s in samples] == [
        "00003",
        "02001",
    ] and "the split has 2 pictures, the official 2824" in caplog.text
    truth = data.truth(samples[0])
    farl, own = truth.maps["celebamask_farl"], truth.maps["celebamask_own"]
    names = [
        (CELEBAMASK_FARL.classes[farl[y, x]], CELEBAMASK_OWN.classes[own[y, x]])
        for x, y in ((10, 10), (10, 260), (10, 390), (10, 110), (400, 10))
    ]
    assert names == [
        ("skin", "skin"),
        ("skin", "neck"),  # FaRL paints the neck first, the data set's program late
        ("cloth", "cloth"),
        ("left_ear", "left_ear"),
        ("background", "background"),
    ]
    assert len(data.files()) == 2 + 2 + 8


def test_the_orders_of_painting_are_those_of_the_classes():
    """The order of a label set's classes is that of the masks, by their other names."""
    ours = {"eye_g": "glasses", "mouth": "inner_mouth", "l_lip": "lower_lip", "u_lip": "upper_lip"}
    ours |= {"ear_r": "earring", "neck_l": "necklace"}
    sides = {f"{s[0]}_{part}": f"{s}_{part}" for s in ("left", "right") for part in ("brow", "eye", "ear")}
    for order, labels in ((celeba.FARL_ORDER, CELEBAMASK_FARL), (celeba.OWN_ORDER, CELEBAMASK_OWN)):
        assert tuple((ours | sides).get(part, part) for part in order) == labels.foreground


def test_answers_of_the_pictures_size_are_read_at_the_annotations(hq):
    data = CelebAMaskHQ("real", hq.parent)
    truth = data.truth(data.samples()[0])
    protocol = ParsingF1(labels="celebamask_farl", official=False, absent="left_out")
    exact = CELEBAMASK_FARL.labels()[truth.maps["celebamask_farl"]]
    for answer in (exact, exact.repeat(2, axis=0).repeat(2, axis=1)):
        assert protocol.score(Prediction(label_map=answer), truth).values["mean"] == 100
    assert protocol.score(Prediction(label_map=exact[:256, :256]), truth).failure == "bad_label_map"
    assert set(np.unique(exact)) <= set(range(len(LABELS)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda h: (h / "list_eval_partition.txt").unlink(), r"list_eval_partition\.txt: cannot be read"),
        (
            lambda h: (h / "list_eval_partition.txt").write_text("119614.jpg 2\n"),
            r"lacks 000008\.jpg, which CelebA-HQ-to",
        ),
        (lambda h: (h / "list_eval_partition.txt").write_text("x\n"), r"line 1: found 'x', expected 2 words"),
        (lambda h: (h / "CelebA-HQ-to-CelebA-mapping.txt").write_text("a b c\nx y 119614.jpg\n"), "of numbers"),
        (
            lambda h: (h / "CelebA-HQ-to-CelebA-mapping.txt").write_text("a b c\n4 7 000008.jpg\n"),
            "no picture of the split",
        ),
        (
            lambda h: shutil.rmtree(h / "CelebAMask-HQ-mask-anno/1"),
            r"has no mask 02001_\*\.png \(1 pictures have none\)",
        ),
        (lambda h: (h / "CelebA-HQ-img/3.jpg").unlink(), r"incomplete: CelebA-HQ-img/3\.jpg missing"),
        (
            lambda h: (h / "CelebAMask-HQ-mask-anno/0/00003_skin.png").rename(
                h / "CelebAMask-HQ-mask-anno/0/00003_s.png"
            ),
            "'s' is no part, expected one of neck, skin",
        ),
        (
            lambda h: Image.fromarray(MASKS["skin"][:256]).save(h / "CelebAMask-HQ-mask-anno/0/00003_skin.png"),
            "00003_skin.png: has 512x256 pixels, expected 512x512",
        ),
    ],
)
def test_celebamask_hq_damage_is_named(hq, damage, words):
    damage(hq)
    with pytest.raises(DataError, match=words):
        for sample in (data := CelebAMaskHQ("real", hq.parent)).samples():
            data.truth(sample)


def test_a_part_that_is_not_seen_has_no_file(hq):
    (hq / "CelebAMask-HQ-mask-anno/0/00003_cloth.png").unlink()
    data = CelebAMaskHQ("real", hq.parent)
    assert not (data.truth(data.samples()[0]).maps["celebamask_own"] == 18).any()


def test_colour_masks_count_where_they_are_not_black(hq):
    file = hq / "CelebAMask-HQ-mask-anno/0/00003_skin.png"
    before = CelebAMaskHQ("real", hq.parent)
    expected = before.truth(before.samples()[0]).maps["celebamask_farl"]
    Image.fromarray(np.stack([MASKS["skin"], 0 * MASKS["skin"], 0 * MASKS["skin"]], -1)).save(file)
    assert np.array_equal(before.truth(before.samples()[0]).maps["celebamask_farl"], expected)
