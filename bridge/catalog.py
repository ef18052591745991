"""Takes what Triton exposes, what Prometheus has and what is selected, gives the table of what can be chosen.

Each line bears the entry of metrics.json that sends the metric in the form that Application Insights' users can use:
counters as increments, histograms as aggregates with quantiles, gauges as they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from bridge.selection import Entry, Mode, Selection
from bridge.triton import EXPOSED, Kind, recorded

_QUANTILES = [0.5, 0.95, 0.99]


@dataclass(frozen=True)
class Line:
    """One metric. ``present`` is None where Prometheus was not asked; ``selected`` names how it is sent, or is empty.

    ``entry`` is how to select it best, ready for metrics.json. ``advice`` is what a person should know before choosing
    it: the flag that turns it on, or that another form is exact.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    present: bool | None
    selected: str
    advice: str
    entry: str | dict[str, Any]


def advised(name: str, kind: str) -> str | dict[str, Any]:
    """The entry that sends a metric best, by its kind and by what is known of Triton's."""
    if kind == Kind.HISTOGRAM.value:
        return {"metric": name, "mode": Mode.HISTOGRAM.value, "quantiles": _QUANTILES}
    if kind == Kind.COUNTER.value or name in {known.name for known in EXPOSED if known.accumulates}:
        return {"metric": name, "mode": Mode.INCREASE.value}
    return name


def catalog(
    selection: Selection | None, present: Collection[str] | None, kinds: Mapping[str, str] | None = None
) -> list[Line]:
    """Known metrics first, in Triton's order, then whatever else Prometheus has.

    ``present`` are the names of series, ``kinds`` the types of families as the targets tell them.
    """
    kinds = kinds or {}
    parts = {part for family, kind in kinds.items() for part in _parts(family, kind)}
    lines = [
        _line(selection, present, known.name, known.kind.value, known.unit, known.meaning, known.enabled_by)
        for known in EXPOSED
    ]
    lines += [_line(selection, present, rule.name, "gauge", rule.unit, rule.meaning) for rule in recorded()]
    known_names = {name for line in lines for name in (line.name, *_parts(line.name, line.kind))}
    chosen = {entry.metric for entry in selection.entries if entry.metric and not entry.glob} if selection else set()
    others = {name for name in present or () if name not in parts} | set(kinds) | chosen
    lines += [
        _line(selection, present, name, kinds.get(name, ""), "", "")
        for name in sorted(others - known_names)
        if name in chosen or present is None or _is_present(name, present)
    ]
    return lines


def only(lines: Collection[Line], globs: Collection[str]) -> list[Line]:
    """The lines whose names fit one of the globs; all without any."""
    return [line for line in lines if not globs or any(fnmatchcase(line.name, glob) for glob in globs)]


def document(lines: Collection[Line]) -> dict[str, Any]:
    """A metrics.json that sends what is there of these lines, or all of them where none is known to be there."""
    there = [line for line in lines if line.present] or lines
    return {"customMetrics": [line.entry for line in there]}


def written(document: Mapping[str, Any]) -> str:
    """A metrics.json as a person would write it: a line an entry."""
    entries = ",\n".join(f"        {json.dumps(entry)}" for entry in document["customMetrics"])
    return f'{{\n    "customMetrics": [\n{entries}\n    ]\n}}'


def _line(
    selection: Selection | None,
    present: Collection[str] | None,
    name: str,
    kind: str,
    unit: str,
    meaning: str,
    enabled_by: str = "",
) -> Line:
    modes = [entry.mode for entry in _senders(selection, name, kind)]
    has = None if present is None else _is_present(name, present)
    entry = advised(name, kind)
    if isinstance(entry, dict) and Mode.VALUE in modes:
        advice = "sends the accumulation; increase would send exact increments"
    else:
        advice = "" if has or not enabled_by else f"turned on by {enabled_by}"
    return Line(name, kind, unit, meaning, has, ", ".join(mode.value for mode in modes), advice, entry)


def _senders(selection: Selection | None, name: str, kind: str) -> Iterator[Entry]:
    """The entries that send a metric, or a part of it."""
    for entry in selection.entries if selection else ():
        if any(entry.wants(part) for part in (name, *_parts(name, kind))):
            yield entry


def _parts(name: str, kind: str) -> tuple[str, ...]:
    """The names of series that a family has beside its own."""
    last = {Kind.HISTOGRAM.value: ("bucket", "sum", "count"), Kind.SUMMARY.value: ("sum", "count")}.get(kind, ())
    return tuple(f"{name}_{part}" for part in last)


def _is_present(name: str, present: Collection[str]) -> bool:
    return name in present or f"{name}_bucket" in present
