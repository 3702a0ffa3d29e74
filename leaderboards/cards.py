"""What is known of a method: its paper, licences, weights, and what these were trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from harness.files import digest_files
from harness.leaderboards.names import options_of
from harness.leaderboards.runs import Run
from harness.synthesis.subject import MIRROR_SEEDS

ADAPTER = re.compile(r"harness\.methods\.(\w+)\.\w+:\w+")
NOT_STATED = "not stated"
LICENCE = re.compile(r"licen[cs]e", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.])\s+(?=[A-Z`*(])|\n\s*\n|\n(?=[-#|])")


def method_folder(run: Run) -> Traversable | None:
    """The folder of a method that came with the harness; None for another. Nothing of the method is imported."""
    match = ADAPTER.fullmatch(str(run.manifest["method"]["adapter"]))
    if match is None:
        return None
    folder = files("harness.methods") / match[1]
    return folder if folder.is_dir() else None


def readme_of(run: Run) -> str | None:
    """The text of the method's README; None where it has none here."""
    folder = method_folder(run)
    if folder is None or not (folder / "README.md").is_file():
        return None
    return (folder / "README.md").read_text(encoding="utf-8")


def licence_lines(readme: str) -> list[str]:
    """The sentences of a README that speak of a licence, in order."""
    sentences = (" ".join(sentence.split()) for sentence in SENTENCE.split(readme))
    return [sentence for sentence in sentences if LICENCE.search(sentence)]


def card_of(run: Run) -> dict[str, str]:
    """Names and values about the method as one run had it."""
    readme = readme_of(run)
    licences = licence_lines(readme) if readme else []
    return {
        "Paper": str(run.manifest["paper"] or "none"),
        "Family": str(run.manifest.get("family") or NOT_STATED),
        "Adapter": str(run.manifest["method"]["adapter"]),
        "Licences": " ".join(licences).replace("`", "") or NOT_STATED,
        "Options of the newest run": options_of(run) or "none",
        "Checkpoint or weights": weights_of(run),
        "Trained on": training_of(run),
        "Overlap with a benchmark's subjects": overlap_of(run),
    }


def weights_of(run: Run) -> str:
    """Files that the answers depend on, with their digests as the run recorded them."""
    if run.manifest["method"]["options"].get("random_weights"):
        return "random numbers in place of weights: good for measuring time, and for nothing else"
    named = [f"{_file_name(path)}, digest {digest}" for path, digest in _declared(run).items()]
    return "; ".join(named) or "none: the run declares no file besides its code"


def shipped_weights(run: Run) -> Mapping[str, str] | None:
    """The notes in the weights that came with the harness, if the run's had the same digest; else None."""
    folder = method_folder(run)
    if not isinstance(folder, Path) or run.manifest["method"]["options"].get("random_weights"):
        return None
    digests = _declared(run).values()
    for path in sorted(folder.glob("*.safetensors")):
        if digest_files([path], path.parent) in digests:
            try:
                with safe_open(path, "np") as stored:
                    return dict(stored.metadata() or {})
            except (SafetensorError, OSError):
                return None
    return None


def training_of(run: Run) -> str:
    """What the weights were trained on, as far as it is known here."""
    notes = shipped_weights(run)
    if notes is None:
        return NOT_STATED if _declared(run) else "nothing: no weights"
    subjects = f"{notes['subjects']} synthetic subjects" if notes.get("subjects") else "synthetic subjects"
    command = f" ({notes['command']})" if notes.get("command", "").startswith("python -m") else ""
    return f"rendered pictures of {subjects} of the procedural head, made by this harness{command}"


def overlap_of(run: Run) -> str:
    """Whether subjects of a benchmark were among those of the training, as far as it can be derived."""
    if shipped_weights(run) is None:
        return NOT_STATED if _declared(run) else "none: nothing was trained"
    return (
        f"none: training refuses subjects with seeds from {MIRROR_SEEDS:,} on, and all subjects of the mirrors have "
        "such seeds. Real benchmarks: none, no real person was in the training"
    )


def hardware_of(runs: Sequence[Run]) -> str:
    """What the runs of a method were made on, each once."""
    return "; ".join(dict.fromkeys(run.hardware for run in runs))


def _declared(run: Run) -> dict[str, str]:
    return {str(path): str(digest) for path, digest in run.manifest["method_digests"].items() if path != "source"}


def _file_name(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
