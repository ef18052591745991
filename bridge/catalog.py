"""Takes what Triton exposes, what Prometheus has and what is selected, gives the table of what can be chosen.

Each line bears the entry of metrics.json that sends the metric in the form that Application Insights' users can use:
counters as increments, histograms as aggregates with quantiles, gauges as they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from bridge.check.kinds import Kinds, misfit
from bridge.selection import Entry, Mode, Owners, Selection
from bridge.triton import EXPOSED, Kind, recorded

_QUANTILES = [0.5, 0.95, 0.99]


@dataclass(frozen=True)
class Line:
    """One metric. ``present`` is None where Prometheus was not asked; ``selected`` names how it is sent, or is empty.

    ``entry`` is how to select it best, ready for metrics.json. ``advice`` is what a person should know before choosing
    it: what it needs, or what ``check`` says of the form in which it is sent.
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
    sending = _Sending(selection, present, kinds)
    parts = {part for family, kind in kinds.items() for part in _parts(family, kind)}
    lines = [
        _line(sending, present, known.name, known.kind.value, known.unit, known.meaning, known.enabled_by)
        for known in EXPOSED
    ]
    lines += [_line(sending, present, rule.name, "gauge", rule.unit, rule.meaning) for rule in recorded()]
    known_names = {name for line in lines for name in (line.name, *_parts(line.name, line.kind))}
    chosen = {entry.metric for entry in selection.entries if entry.metric and not entry.glob} if selection else set()
    others = {name for name in present or () if name not in parts} | set(kinds) | chosen
    lines += [
        _line(sending, present, name, kinds.get(name, ""), "", "")
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


class _Sending:
    """What the selection does with a metric."""

    def __init__(self, selection: Selection | None, present: Collection[str] | None, kinds: Mapping[str, str]) -> None:
        self._entries = selection.entries if selection else ()
        self._kinds = Kinds(kinds)
        names = {*self._kinds.series, *(present or ())}
        self._owners = Owners(selection, names) if selection else None

    def of(self, name: str, kind: str) -> list[Entry]:
        """The entries that send it, or a part of it."""
        owners, parts = self._owners, _parts(name, kind)
        # No series of a histogram has its name alone, for a glob to fit.
        of_glob = parts if kind == Kind.HISTOGRAM.value else (name, *parts)
        return [
            one
            for one in self._entries
            if owners and any(owners.sends(one, series) for series in (of_glob if one.glob else (name, *parts)))
        ]

    def wrong(self, entry: Entry, name: str, kind: str) -> str:
        """What does not fit in the way that an entry sends it; empty where all does."""
        metric = entry.metric or ""
        if entry.glob:
            metric = f"{name}_bucket" if kind == Kind.HISTOGRAM.value and entry.mode is not Mode.HISTOGRAM else name
        role = self._kinds.of(metric)
        found = misfit(entry.mode, role, metric) if role else None
        return "" if found is None else found.one if metric == name else f"{metric} {found.one}"


def _line(
    sending: _Sending,
    present: Collection[str] | None,
    name: str,
    kind: str,
    unit: str,
    meaning: str,
    enabled_by: str = "",
) -> Line:
    senders = sending.of(name, kind)
    modes = dict.fromkeys(entry.mode.value for entry in senders)
    has = None if present is None else _is_present(name, present)
    wrong = dict.fromkeys(sending.wrong(entry, name, kind) for entry in senders)
    advice = "; ".join(filter(None, wrong)) or ("" if has or not enabled_by else f"needs {enabled_by}")
    return Line(name, kind, unit, meaning, has, ", ".join(modes), advice, advised(name, kind))


def _parts(name: str, kind: str) -> tuple[str, ...]:
    """The names of series that a family has beside its own."""
    known = next((one for one in Kind if one.value == kind), None)
    return tuple(f"{name}_{part}" for part in known.parts) if known else ()


def _is_present(name: str, present: Collection[str]) -> bool:
    return name in present or f"{name}_bucket" in present
