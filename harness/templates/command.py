"""`python -m harness new NAME`."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from harness import catalogue
from harness.errors import HarnessError

FILES = {
    "adapter.py": "adapter.py.tmpl",
    "method/{name}.yaml": "method.yaml.tmpl",
    "test_{name}.py": "test_method.py.tmpl",
    "README.md": "README.md.tmpl",
}
"""Where each template goes, below a folder of the method's name."""
LONGEST = 40


def main(arguments: list[str]) -> None:
    """Writes the files and says what to do next. Raises HarnessError as `write_method` does."""
    parser = argparse.ArgumentParser(prog="harness new", description="Write an adapter to begin with")
    parser.add_argument("name", help="of the method: lower-case letters, digits and _")
    name = parser.parse_args(arguments).name
    written = write_method(name, Path.cwd())
    listed = "".join(f"  {path.relative_to(Path.cwd())}\n" for path in written)
    sys.stdout.write(
        f"Written:\n{listed}It runs as it is, as a template that answers the mean face:\n\n"
        f"    python -m harness run method={name} bench=h3ds --config-dir {name}\n"
        f"    python -m harness doctor method={name} --config-dir {name}\n\n{name}/README.md says what to fill in.\n"
    )


def write_method(name: str, folder: Path) -> list[Path]:
    """Writes a method's adapter, configuration, test and README into a new folder.

    Args:
        name: of the method and of the folder.
        folder: that gets it.

    Returns:
        The files.

    Raises:
        HarnessError: the name is none, is taken by a method, or the folder is there already.
    """
    check_name(name)
    home = folder / name
    if home.exists():
        raise HarnessError(f"{home}: is there already; choose another name, or remove it")
    values = {"name": name, "cls": class_name(name)}
    written = []
    for place, template in FILES.items():
        path = home / place.format(name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = files("harness.templates").joinpath(template).read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(values), encoding="utf-8")
        written.append(path)
    return written


def check_name(name: str) -> None:
    """Raises HarnessError unless a method, a folder and a Python class can be called so."""
    if not re.fullmatch(rf"[a-z][a-z0-9_]{{0,{LONGEST - 1}}}", name) or keyword.iskeyword(name):
        raise HarnessError(
            f"{name!r}: expected a name of 1 to {LONGEST} lower-case letters, digits and _, beginning with a letter, "
            "that is no word of Python; e.g. my_method"
        )
    if name in catalogue.entries("method"):
        raise HarnessError(f"{name}: there is a method of this name; choose another one")


def class_name(name: str) -> str:
    """my_method -> MyMethod."""
    return "".join(part.capitalize() for part in name.split("_") if part)
