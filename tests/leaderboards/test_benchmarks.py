"""What is read from the sources of data sets is what importing them gives."""

import pytest

from harness import HarnessError
from harness.benchmark import Access
from harness.data_commands import datasets
from harness.leaderboards.benchmarks import NEEDS, KnownBench, class_constants, known_benchmarks
from harness.leaderboards.overview import bench_names, missing_html, overview_html
from tests.leaderboards.balls import memory_run


def test_constants_are_those_of_the_imported_classes():
    readers = {f"{reader.__module__}.{reader.__name__}": reader for reader in datasets().values()}
    assert len(readers) > 3
    for target, reader in readers.items():
        found = class_constants(target)
        assert Access[found["access"]] is reader.access
        assert (found["ask_at"], found["name"]) == (reader.ask_at, reader.name)


def test_every_bench_is_known_with_a_place_to_ask():
    known = known_benchmarks()
    assert {"now", "h3ds", "realy", "timing"} <= set(known)
    assert all(bench.place.startswith("https://") and bench.about for bench in known.values())
    assert set(NEEDS) == set(Access)


def test_class_that_is_not_there():
    with pytest.raises(HarnessError, match="no such class"):
        class_constants("harness.datasets.now.Nothing")


KNOWN = {
    name: KnownBench(name, f"about {name}", access, NEEDS[access], f"https://{name}.org", "(ask for it)")
    for name, access in {"toy": Access.SIGNED_FORM, "gone": Access.HIDDEN_GROUND_TRUTH}.items()
}


def test_overview_says_what_is_measured_and_what_is_missing():
    runs = [memory_run("a", kind="mirror"), memory_run("b", kind="mirror"), memory_run("c", bench="<own>")]
    assert bench_names(runs, KNOWN) == ["<own>", "toy", "gone"]
    page = overview_html(runs, KNOWN, "toy")
    own, toy, gone = (row for row in page.split("<tr")[2:])
    assert ">REAL<" in own and "&lt;own&gt;" in own and "<own>" not in page
    assert ">MIRROR</span>2 methods" in toy
    assert "needs a signed form" in toy and 'href="https://toy.org"' in toy and "(ask for it)" in toy
    assert ">MIRROR<" not in gone and "only its owners can score" in gone and gone.count("not measured") == 2
    assert 'class="chosen"' in toy and 'class="chosen"' not in gone


def test_unknown_bench_has_no_place_to_ask():
    assert missing_html(None) == "not measured"
