"""Takes the path of a metrics.json, gives its Selection, and a new one when the file has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bridge.errors import ConfigurationError, Finding
from bridge.selection.entry import Entry, Selection
from bridge.selection.parsing import parse


def load(path: Path) -> Selection:
    """Read a file. Raises ConfigurationError with every finding; its places begin with the file's name."""
    return _selection(path, _read(path))


class SelectionFile:
    """A file that is read again: a good change replaces ``current``, a bad one does not.

    Its content decides, never its times or its inode: a swapped link (Kubernetes), a file put in its place (editors) and
    one that was written anew are the same. Raises ConfigurationError where the first reading is bad.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = _read(path)
        self.current = _selection(path, self._seen)

    def look(self) -> Selection | None:
        """The selection if the file is not as last seen, None if it is. Raises ConfigurationError, once a content."""
        seen = _read(self.path)
        if seen == self._seen:
            return None
        self._seen = seen
        self.current = _selection(self.path, seen)
        return self.current


def difference(before: Selection, after: Selection) -> str:
    """Which published names are new, are gone, and are sent otherwise than before, for a person."""
    was, now = _by_name(before), _by_name(after)
    names = {
        "added": now.keys() - was.keys(),
        "removed": was.keys() - now.keys(),
        "changed": {name for name in now.keys() & was.keys() if now[name] != was[name]},
    }
    return "; ".join(f"{what}: {', '.join(sorted(found)) or 'none'}" for what, found in names.items())


def _by_name(selection: Selection) -> dict[str, list[Entry]]:
    """What is asked for and sent under each name, wherever in the file it stands. A glob may stand there twice."""
    found: dict[str, list[Entry]] = {}
    for entry in selection.entries:
        found.setdefault(entry.name, []).append(replace(entry, place=""))
    return found


def _read(path: Path) -> bytes | Finding:
    """The content, read once, so that what is compared is what is validated; or why there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return Finding(str(path), "no such file", "mount one there, or set BRIDGE_METRICS_FILE")
    except OSError as error:
        return Finding(
            str(path), f"cannot be read: {error.strerror}", "it must be a file that the bridge's user may read"
        )


def _selection(path: Path, content: bytes | Finding) -> Selection:
    if isinstance(content, Finding):
        raise ConfigurationError([content])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError([Finding(str(path), f"cannot be read: {error}", "it must be a UTF-8 file")]) from None
    return parse(text, place=path.name)
