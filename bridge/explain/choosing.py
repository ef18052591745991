"""Takes the name of a metric, gives the entries of a selection that send it, or the nearest names that are sent: pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

from bridge.selection import Entry, Mode, Selection


class Sender(NamedTuple):
    """An entry for one metric alone, and the published names that are asked about; ``of_glob`` is its glob, if any."""

    entry: Entry
    names: tuple[str, ...]
    of_glob: str = ""


def senders(selection: Selection, name: str, present: Collection[str] = ()) -> list[Sender]:
    """Whatever sends ``name``, a published one or Prometheus' own; what is named goes before globs, as in a cycle.

    ``present`` are the names that Prometheus has: they tell which metrics of a glob are meant.
    """
    ordered = sorted(selection.entries, key=lambda entry: entry.glob)  # stable
    return [sender for entry in ordered for sender in _of(entry, name, present)]


def nearest(selection: Selection, name: str, present: Collection[str]) -> list[str]:
    """The selected names that are spelt like it, at most three; of globs, those that Prometheus has."""
    known = {one for entry in selection.entries if not entry.glob for one in (entry.name, entry.metric) if one}
    known |= {one for one in present if any(entry.glob and entry.wants(one) for entry in selection.entries)}
    return difflib.get_close_matches(name, sorted(known), n=3)


def _of(entry: Entry, name: str, present: Collection[str]) -> Iterator[Sender]:
    if not entry.glob:
        if names := _names(entry, entry.metric or "", name):
            yield Sender(entry, names)
        return
    assert entry.metric
    guesses = {name, *(f"{name.removesuffix(end)}_bucket" for end in ("", *entry.quantile_names("")))}
    for known in (present, guesses):  # what Prometheus has not now, it may have had
        metrics = {entry.metric_of(one) for one in known if entry.wants(one)}
        found = {metric: names for metric in sorted(metrics) if (names := _names(entry, metric, name))}
        for metric, names in found.items():
            yield Sender(replace(entry, metric=metric, name=entry.published(metric)), names, entry.metric)
        if found:
            return


def _names(entry: Entry, metric: str, name: str) -> tuple[str, ...]:
    """The published names of this metric that ``name`` stands for; none where it is another's."""
    published = entry.published(metric)
    names = (published, *entry.quantile_names(published))
    if name in names:
        return (name,)
    parts = entry.parts(metric) if entry.mode is Mode.HISTOGRAM else ()
    return names if metric and name in (metric, *parts) else ()
