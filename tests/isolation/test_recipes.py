"""The recipes of official programs: what can be checked of them without a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.isolation import worker
from harness.samples import MILLIMETRES_PER

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(path.parent for path in (ROOT / "containers").glob("*/Dockerfile"))
PAGE = (ROOT / "docs" / "containers.md").read_text()
INSTRUCTIONS = {"FROM", "ARG", "ENV", "RUN", "WORKDIR"}
UNPINNED = {"fvcore", "iopath", "ninja", "six", "tqdm"}  # small, and used for nothing that shows
OFFICIAL = {"3ddfa_v3", "deca", "emoca", "faceverse", "kaolrm", "mica", "smirk"}
IMPORT = """
import importlib.abc, sys
sys.path.insert(0, {folder!r})
import numpy, worker

class OnlyWhatIsThere(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {{"numpy", "harness"}}:
            raise ImportError("the recipe imports " + name + " before load()")

worker.stand_in()
sys.meta_path.insert(0, OnlyWhatIsThere())
module = worker.import_file({file!r}, "adapter", False)
found = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == "adapter"]
assert len(found) == 1, found
made = found[0](weights="/weights")
assert isinstance(made, sys.modules["harness"].MethodAdapter)
print(found[0].__name__, made.unit, made.family, bool(made.paper), sep="|")
"""


@pytest.fixture(params=RECIPES, ids=lambda path: path.name)
def recipe(request):
    return request.param


def instructions(recipe):
    """(word, rest) of each instruction, continued lines joined and comments left out."""
    lines = [line for line in (recipe / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def packages(found):
    """What pip installs without a version, from nowhere else."""
    for command in (command for word, rest in found if word == "RUN" for command in rest.split("&&")):
        if command.strip().startswith("pip install"):
            words = [word for word in command.split()[2:] if not word.startswith("-") and not word.endswith(".txt")]
            yield from (word for word in words if "==" not in word and "/" not in word)


def commit(recipe):
    return next(rest.partition("=")[2] for word, rest in instructions(recipe) if word == "ARG")


def row(recipe):
    """The cells of the page's row."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{recipe.name}` |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_there_is_a_recipe_for_each_program_whose_licence_allows_it():
    assert {path.name for path in RECIPES} == OFFICIAL
    assert re.search(r"\| HRN \|.*no licence.*no recipe", PAGE)


def test_the_dockerfile_is_well_formed_and_pinned(recipe):
    found = instructions(recipe)
    assert found[0][0] == "FROM"
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", found[0][1])
    assert not found[0][1].endswith(":latest")
    assert {word for word, _ in found} <= INSTRUCTIONS
    assert re.fullmatch("[0-9a-f]{40}", commit(recipe))
    cloned = next(rest for word, rest in found if word == "RUN" and "git clone https://github.com/" in rest)
    assert "checkout --quiet $COMMIT" in cloned
    assert not set(packages(found)) - UNPINNED
    assert not re.search(r"\b(COPY|ADD)\b|password|token|pypi", (recipe / "Dockerfile").read_text())
    assert "cence" in (recipe / "Dockerfile").read_text().partition("FROM")[0]


def test_the_build_does_not_depend_on_the_adapter(recipe):
    assert (recipe / ".dockerignore").read_text().split() == ["*", "!Dockerfile"]


def test_the_adapter_needs_nothing_before_load(recipe):
    script = IMPORT.format(folder=str(Path(worker.__file__).parent), file=str(recipe / "adapter.py"))
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]
    _, unit, family, paper = done.stdout.strip().split("|")
    assert unit in MILLIMETRES_PER
    assert family != "other"
    assert paper == "True"


def test_the_adapter_mentions_what_the_row_asks_for(recipe):
    cells = row(recipe)
    assert len(cells) == 6
    assert commit(recipe) in cells[1]
    address = re.search(r"https://github.com/[\w-]+/[\w-]+", cells[1]).group()
    assert address in (recipe / "Dockerfile").read_text()
    assert re.search("MIT|MPI|BSD|Apache", cells[2])
    assert "Python 3." in cells[3]
    assert cells[5] == "not built here"
    written = (recipe / "adapter.py").read_text() + (recipe / "Dockerfile").read_text()
    for name in re.findall(r"`([\w.]+\.(?:tar|pkl|pt))`", cells[4]):
        assert name in written
