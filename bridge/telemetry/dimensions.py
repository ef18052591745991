"""Takes the labels of a series, gives the dimensions that its point has in Application Insights."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge.selection import Entry
from bridge.telemetry.nouns import Labels

_BEGINNINGS = ("localhost", "127.", "[::1]")
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")


def dimensions(labels: Labels, entry: Entry) -> dict[str, str]:
    """Every label, ``instance`` and ``job`` too unless ``instance`` is loopback: they would say nothing then.

    ``by`` keeps even that one. Then labels get their new names, and those of our own are added; a name that the series
    has already is not taken. What a series becomes depends on itself alone.
    """
    found = dict(labels)
    found.pop("__name__", None)
    kept = entry.grouping.by or () if entry.grouping else ()
    instance = found.get("instance", "")
    # Nearly none begins so, and the expression is a third of the cost of all this.
    if instance.startswith(_BEGINNINGS) and "instance" not in kept and _LOOPBACK.fullmatch(instance):
        del found["instance"]
        found.pop("job", None)
    if entry.labels.rename:
        new = _renamed(found, entry.labels.rename)
        found = {new.get(key, key): value for key, value in found.items()}
    for name, value in entry.labels.add:
        found.setdefault(name, value)
    return found


def _renamed(labels: Labels, rename: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The labels that get a new name, all at once: those whose new name no label keeps. Of two for one name, the first."""
    renamed: dict[str, str] = {}
    for old, new in rename:
        if old in labels and new not in renamed.values():
            renamed[old] = new
    while kept := [old for old, new in renamed.items() if new in labels and new not in renamed]:
        for old in kept:
            del renamed[old]
    return renamed
