"""Takes the labels of a series, gives the dimensions that its point has in Application Insights."""

from __future__ import annotations

import re

from bridge.selection import Entry
from bridge.telemetry.nouns import Labels

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")


def dimensions(labels: Labels, entry: Entry) -> dict[str, str]:
    """Every label, ``instance`` and ``job`` too unless ``instance`` is loopback: they would say nothing then.

    ``by`` keeps even that one. Then labels get their new names, and those of our own are added; a name that the series
    has already is not taken. What a series becomes depends on itself alone.
    """
    found = dict(labels)
    found.pop("__name__", None)
    kept = entry.grouping.by or () if entry.grouping else ()
    if "instance" not in kept and _LOOPBACK.fullmatch(found.get("instance", "")):
        del found["instance"]
        found.pop("job", None)
    for old, new in entry.labels.rename:
        if old in labels and old in found and new not in found:
            found[new] = found.pop(old)
    for name, value in entry.labels.add:
        found.setdefault(name, value)
    return found
