"""What a card states is derived from the run and the files at hand, and nothing is claimed beyond that."""

from pathlib import Path

import pytest

import harness.methods
from harness.files import digest_files
from harness.leaderboards.cards import NOT_STATED, card_of, licence_lines, method_folder, overlap_of, readme_of
from tests.leaderboards.balls import memory_run

METHODS = Path(next(iter(harness.methods.__path__)))
SHIPPED = METHODS / "deca" / "mini.safetensors"


def run_of(adapter, digests=None, **options):
    run = memory_run("m")
    run.manifest["method"].update(adapter=adapter, options=options)
    run.manifest["method_digests"] = {"source": "0", **(digests or {})}
    return run


def shipped(**options):
    digest = digest_files([SHIPPED], SHIPPED.parent)
    return run_of("harness.methods.deca.adapter:DecaAdapter", {"/somewhere/mini.safetensors": digest}, **options)


def test_shipped_weights_say_what_they_were_trained_on_and_that_nothing_overlaps():
    card = card_of(shipped(size="mini"))
    assert "3000 synthetic subjects" in card["Trained on"]
    assert card["Overlap with a benchmark's subjects"].startswith(
        "none: training refuses subjects with seeds from 1,000"
    )
    assert card["Checkpoint or weights"].startswith("mini.safetensors, digest ")
    assert "somewhere" not in card["Checkpoint or weights"]
    assert "MPI's non-commercial research licence" in card["Licences"]
    assert card["Options of the newest run"] == "size=mini"


@pytest.mark.parametrize(
    "run",
    [
        run_of("harness.methods.deca.adapter:DecaAdapter", {"deca_model.tar": "1234"}, checkpoint="deca_model.tar"),
        run_of("mine.py:Mine", {"mine.pt": "1234"}),
        run_of("harness.methods.none_such.adapter:X", {"x": "1234"}),
    ],
)
def test_other_weights_are_not_spoken_for(run):
    card = card_of(run)
    assert card["Trained on"] == card["Overlap with a benchmark's subjects"] == NOT_STATED


def test_nothing_was_trained_without_weights():
    run = run_of("harness.methods.mean_face.adapter:MeanFace")
    assert overlap_of(run) == "none: nothing was trained"
    assert card_of(run)["Licences"] == NOT_STATED
    assert "mean_face" in readme_of(run)


def test_random_weights_are_no_trained_ones():
    card = card_of(shipped(random_weights=True))
    assert "random numbers" in card["Checkpoint or weights"]
    assert "subjects" not in card["Trained on"]


@pytest.mark.parametrize(
    "adapter",
    ["harness.methods.../../../etc.x:Y", "harness.methods.deca/../../x.y:Z", "/etc/passwd:X", "os:system", ""],
)
def test_adapters_from_elsewhere_open_no_folder(adapter):
    assert method_folder(run_of(adapter)) is None
    assert readme_of(run_of(adapter)) is None


def test_every_method_has_a_readme_and_a_licence_is_found_where_one_is_named():
    for folder in (path.parent for path in METHODS.glob("*/adapter.py")):
        if folder.name in ("regression", "networks"):
            continue
        text = readme_of(run_of(f"harness.methods.{folder.name}.adapter:X"))
        assert text
        assert bool(licence_lines(text)) == ("licen" in text.lower())


def test_licence_lines_are_whole_sentences():
    text = (
        "# X\n\nBy A. B.: *Title*.\nCode (x.org, a.tar): MIT licence; none of it is here. Other words.\n\nOwn License."
    )
    assert licence_lines(text) == ["Code (x.org, a.tar): MIT licence; none of it is here.", "Own License."]
