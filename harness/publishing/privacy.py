"""Takes out of a run's records what belongs to one machine only: paths, and names of the machine and its user."""

from __future__ import annotations

import getpass
import re
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYSTEM_USERS = {"root", "user", "ubuntu", "debian", "runner", "admin", "nobody", "app"}
_PART = r"[^\s\\/:*?\"'<>|,;()\[\]{}]+"
_POSIX = re.compile(rf"(?<![\w/.<])(?<!:(?=//))~?/{{1,2}}(?:{_PART}/)+(?:{_PART})?")
_WINDOWS = re.compile(rf"(?<!\w)(?:[A-Za-z]:|\\)\\(?:{_PART}\\)*(?:{_PART})?")
_WHOLE_PATH = re.compile(r"(?:/|\\|~|\.{1,2}[/\\]|[A-Za-z]:[/\\])")


@dataclass(frozen=True)
class Scrubber:
    """Knows the machine that a run was made on, as far as the run's manifest and this process tell.

    Attributes:
        folders: absolute paths, the longest first.
        words: names of machine and user.
    """

    folders: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Mapping[str, Any], run: Path) -> Scrubber:
        """For the records of the run in the folder `run`."""
        places = {Path.home(), Path.cwd(), Path(tempfile.gettempdir()), run.absolute(), run.absolute().parent.parent}
        names = {str(place) for place in places} | {str(manifest.get("data_folder", ""))}
        folders = sorted((name for name in names if len(Path(name).parts) > 1), key=len, reverse=True)
        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # a container's user may have no name
            user = ""
        words = {socket.gethostname(), user, Path.home().name} - SYSTEM_USERS - {"localhost"}
        return cls(tuple(folders), tuple(word for word in words if len(word) > 2))

    def text(self, text: str) -> str:
        """Words for a reader in which absolute paths are shortened to their last part."""
        text = text.replace("file://", "")
        for folder in self.folders:
            text = text.replace(f"{folder}/", "").replace(folder, Path(folder).name)
        text = _WINDOWS.sub(_last_part, _POSIX.sub(_last_part, text))
        for word in self.words:
            text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", "_", text)
        return text

    def value(self, value: Any) -> Any:
        """A value of a configuration, however nested, in which every path is its last part."""
        if isinstance(value, Mapping):
            return {name: self.value(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(inner) for inner in value]
        return self.setting(value) if isinstance(value, str) else value

    def setting(self, text: str) -> str:
        """One word of a configuration: a path's last part, anything else as `text` has it."""
        if _WHOLE_PATH.match(text) or ("/" in text and " " not in text and "://" not in text):
            return self.text(last_part(text))
        return self.text(text)


def last_part(path: str) -> str:
    """What stands after the last separator of a path, of any system; "." for a path that has no such part."""
    parts = [part for part in re.split(r"[\\/]+", path) if part.strip("~.")]
    return parts[-1] if parts else "."


def _last_part(match: re.Match[str]) -> str:
    return last_part(match.group())
