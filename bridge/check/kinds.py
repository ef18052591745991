"""Takes a selection and what is known of its metrics' types, gives findings on modes that do not fit.

Types come from the targets themselves (Prometheus' ``/api/v1/metadata``), and of Triton's metrics from ``bridge.triton``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from bridge.errors import Finding, Severity
from bridge.selection import Entry, Mode, Owners, Selection
from bridge.triton import EXPOSED, Kind, recorded

_SHOWN = 4  # names that a line tells
_LONG = 60  # characters of one


class Role(NamedTuple):
    """What series of a name are: of which kind of metric, and which ``part`` of a histogram or summary, empty for the metric."""

    kind: Kind
    part: str
    metric: str

    @property
    def accumulates(self) -> bool:
        """Whether they only grow, until their process starts anew."""
        return self.kind is Kind.COUNTER or bool(self.part)


class Kinds:
    """The kinds of metrics by name: those ``told`` by Prometheus, and before them Triton's, which we know better."""

    def __init__(self, told: Mapping[str, str] | None = None) -> None:
        known = {kind.value: kind for kind in Kind}
        self._kinds = {name: known[kind] for name, kind in (told or {}).items() if kind in known}
        self._kinds |= {rule.name: Kind.GAUGE for rule in recorded()}
        # Some of Triton's gauges are counters by their meaning.
        self._kinds |= {m.name: Kind.COUNTER if m.accumulates else m.kind for m in EXPOSED}

    @property
    def series(self) -> Iterator[str]:
        """The names of all series that metrics of known kinds may have."""
        for name, kind in self._kinds.items():
            if kind is not Kind.HISTOGRAM:
                yield name
            yield from (f"{name}_{part}" for part in kind.parts)

    def of(self, name: str) -> Role | None:
        """What series of that name are, None where that is not known."""
        if kind := self._kinds.get(name):
            return Role(kind, "", name)
        base, _, part = name.rpartition("_")
        kind = self._kinds.get(base)
        if part == "total" and kind is Kind.COUNTER:  # OpenMetrics names the family without it
            return Role(kind, "", name)
        if kind and part in kind.parts:
            return Role(kind, part, base)
        return None


class Misfit(NamedTuple):
    """What is wrong with one metric, or with several; and the fields of an entry that sends the first one as it should be."""

    one: str
    several: str
    instead: dict[str, Any]
    severity: Severity
    remark: str = ""


def check_kinds(selection: Selection, kinds: Kinds, names: Collection[str]) -> Iterator[Finding]:
    """Modes that do not fit. ``names`` are the series' names that a glob may stand for."""
    owners = Owners(selection, names)
    items = json.loads(selection.text)["customMetrics"]
    for entry, item in zip(selection.entries, items, strict=True):
        found: dict[_Key, list[tuple[str, Misfit]]] = {}
        for metric in _metrics(entry, names, owners):
            role = kinds.of(metric)
            if role and (wrong := misfit(entry.mode, role, metric)):
                found.setdefault((wrong.several, wrong.severity), []).append((metric, wrong))
        for concerned in found.values():
            metrics, wrong = [metric for metric, _ in concerned], concerned[0][1]
            problem = f"{listed(metrics)} {wrong.one if len(metrics) == 1 else wrong.several}"
            instead = json.dumps(_changed(item, wrong.instead), ensure_ascii=False)
            before = "an entry of its own goes before the glob: " if entry.glob else ""
            yield Finding(entry.place, problem, f"{wrong.remark}{before}{instead}", wrong.severity)


_Key = tuple[str, Severity]


def _metrics(entry: Entry, names: Collection[str], owners: Owners) -> list[str]:
    if not entry.glob:
        return [entry.metric] if entry.metric else []
    # A glob for histograms finds nothing else.
    return [] if entry.mode is Mode.HISTOGRAM else sorted(name for name in names if owners.sends(entry, name))


def _changed(item: Any, instead: dict[str, Any]) -> dict[str, Any]:
    """The entry as it was written, with other fields. What was made of accumulations is not made of their gains."""
    written = {} if isinstance(item, str) else item
    kept = {key: value for key, value in written.items() if key not in {"aggregate", "quantiles", "mode", "metric"}}
    return {"metric": instead["metric"], **kept, **instead}


_WHOLE = {"mode": "histogram", "quantiles": [0.5, 0.95]}
_GAINS = {Mode.INCREASE, Mode.RATE, Mode.IRATE}


def misfit(mode: Mode, role: Role, metric: str) -> Misfit | None:
    """What is wrong with sending a metric of that role in this mode; None where nothing is."""
    if mode is Mode.HISTOGRAM:
        return _not_a_histogram(role, metric)
    if role.kind is Kind.HISTOGRAM and role.part in {"", "bucket"}:
        return _of_a_histogram(role)
    if role.accumulates:
        return _not_a_gain(mode, metric)
    return _not_a_counter(mode, role, metric) if mode in _GAINS else None


def _not_a_histogram(role: Role, metric: str) -> Misfit | None:
    if role.kind is not Kind.HISTOGRAM:
        mode = "increase" if role.accumulates else "stats" if role.kind is Kind.GAUGE else "value"
        what = f"is a {role.kind.value}, and has no buckets: nothing is sent"
        return Misfit(what, "", {"metric": metric, "mode": mode}, Severity.ERROR)
    if role.part:
        what = f"is a part of the histogram {role.metric}: nothing is sent"
        return Misfit(what, "", {"metric": role.metric, **_WHOLE}, Severity.ERROR)
    return None


def _of_a_histogram(role: Role) -> Misfit:
    whole = {"metric": role.metric, **_WHOLE}
    if not role.part:
        return Misfit(
            "is a histogram: no series has that name alone, so nothing is sent",
            "are histograms, which only the mode histogram sends",
            whole,
            Severity.ERROR,
        )
    return Misfit(
        f"holds the buckets of the histogram {role.metric}, each sent as a row of its own",
        "hold the buckets of histograms, each sent as a row of its own",
        whole,
        Severity.NOTE,
    )


def _not_a_gain(mode: Mode, metric: str) -> Misfit | None:
    exact = {"metric": metric, "mode": "increase"}
    if mode is Mode.VALUE:
        return Misfit(
            "is a counter, sent as the accumulation since its process started",
            "are counters, sent as the accumulations since their process started",
            exact,
            Severity.NOTE,
            "exact increments: ",
        )
    if mode is Mode.STATS:
        return Misfit(
            "is a counter: sum, least and greatest of an accumulation say nothing",
            "are counters: sums, least and greatest of accumulations say nothing",
            exact,
            Severity.WARNING,
        )
    return None


def _not_a_counter(mode: Mode, role: Role, metric: str) -> Misfit:
    falls = f"{mode.value} takes each fall for a new start"
    if role.kind is Kind.SUMMARY:
        return Misfit(
            f"holds the quantiles of a summary, which rise and fall: {falls}",
            f"hold the quantiles of summaries, which rise and fall: {falls}",
            {"metric": f"{metric}_count", "mode": mode.value},
            Severity.WARNING,
            'the quantiles by "value"; how many there were: ',
        )
    return Misfit(
        f"is a gauge, which rises and falls: {falls}",
        f"are gauges, which rise and fall: {falls}",
        {"metric": metric, "mode": "stats"},
        Severity.WARNING,
        "right only if it never falls; else ",
    )


def listed(names: Collection[str], shown: int = _SHOWN) -> str:
    """The first few of them, cut where they are long, and how many more there are."""
    first = [name if len(name) <= _LONG else f"{name[:_LONG]}…" for name in list(names)[:shown]]
    more = len(names) - len(first)
    return f"{', '.join(first)} and {more} more" if more else ", ".join(first)
