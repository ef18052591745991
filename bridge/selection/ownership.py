"""Takes a selection and the names of series that are there, gives which entry sends the series of a name; pure.

An entry that names a metric takes it out of every glob, by whatever name it sends it. Of two globs the first one in the
file counts, whatever its matchers and whether it finds anything now: the order decides, and not the data.
"""

from __future__ import annotations

from collections.abc import Collection

from bridge.selection.entry import Entry, Mode, Selection


class Owners:
    """``names`` tell a histogram from what only looks like a part of one: there is a ``_bucket`` beside it."""

    def __init__(self, selection: Selection, names: Collection[str]) -> None:
        self._named = [entry for entry in selection.entries if entry.metric and not entry.glob]
        self._globs = [entry for entry in selection.entries if entry.glob]
        self._names = names
        self._known: dict[str, Entry | None] = {}

    def sends(self, entry: Entry, name: str) -> bool:
        """Whether an entry sends series of that Prometheus name."""
        if not entry.glob:
            return entry.wants(name)
        if name not in self._known:
            self._known[name] = self._glob(name)
        return self._known[name] is entry

    def _glob(self, name: str) -> Entry | None:
        if any(entry.wants(name) for entry in self._named):
            return None
        return next((entry for entry in self._globs if self._means(entry, name)), None)

    def _means(self, entry: Entry, name: str) -> bool:
        if not entry.wants(name):
            return False
        return entry.mode is not Mode.HISTOGRAM or f"{entry.metric_of(name)}_bucket" in self._names
