"""Takes evidence, gives findings on rows that nothing tells apart: the same name, the same dimensions, the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bridge.check.evidence import Dry, Evidence
from bridge.check.kinds import listed
from bridge.errors import Finding, Severity
from bridge.points import Identity, identity
from bridge.selection import Entry


def check_collisions(evidence: Evidence) -> Iterator[Finding]:
    """By entry and cause: how many rows collide, and in which labels their series differ."""
    dry = evidence.dry
    if dry is None:
        return
    causes: dict[tuple[Entry, str], dict[str, int]] = {}
    differing: dict[Entry, dict[str, dict[str, set[str]]]] = {}
    for metric in dry.reading.metrics:
        seen = Counter(frozenset((point.attributes or {}).items()) for point in metric.data.data_points)
        if several := sum(count for count in seen.values() if count > 1):
            entry = dry.found.owners[metric.name]
            if entry not in differing:
                differing[entry] = _differing(entry, dry)
            names = (name for name in differing[entry] if metric.name in {name, *entry.quantile_names(name)})
            labels = differing[entry].get(next(names, ""), {})
            what = "; ".join(f"{label} ({listed(sorted(values))})" for label, values in sorted(labels.items()))
            causes.setdefault((entry, what), {})[metric.name] = several
    for (entry, what), rows in causes.items():
        yield Finding(
            entry.place,
            f"{sum(rows.values())} rows of {listed(sorted(rows))} cannot be told apart: they have the same dimensions, "
            f"and their series differ in {what or 'no label'}",
            _remedy(entry, what),
            Severity.WARNING,
        )


def _differing(entry: Entry, dry: Dry) -> dict[str, dict[str, set[str]]]:
    """By published name, the labels in which series with equal rows differ, with their values."""
    groups: dict[tuple[str, Identity], list[dict[str, str]]] = {}
    for row in dry.rows(entry):
        groups.setdefault((row.name, identity(row.dimensions)), []).append(row.labels)
    differing: dict[str, dict[str, set[str]]] = {}
    for (name, _), several in groups.items():
        for label in {label for labels in several for label in labels}:
            values = {labels.get(label, "") for labels in several}
            if len(values) > 1:
                differing.setdefault(name, {}).setdefault(label, set()).update(values)
    return differing


def _remedy(entry: Entry, differing: str) -> str:
    if entry.query:
        return "aggregate in the query, or give each series a label by label_replace()"
    if "__name__" in differing:
        return "an entry of its own, with another 'name', for each of these metrics"
    return (
        "instance and job of a loopback address say nothing and are left out: give each target a label of its own in "
        'its target file, or keep instance with "by", or choose one target with "match"'
    )
