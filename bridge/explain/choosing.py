"""Takes the name of a metric, or a glob, gives the entries of a selection that send it, or names that are sent: pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from bridge.points import Series
from bridge.selection import Entry, Mode, Owners, Selection

# What a selection may name; a name of Prometheus 3 may hold anything.
_UNUSUAL = re.compile(r"[^a-zA-Z0-9_:]")


class Sender(NamedTuple):
    """An entry for one metric alone, and the published names that are asked about; ``of_glob`` is its glob, if any.

    ``metric`` is its name in Prometheus, empty for a query. ``instead`` names the entries that send its series, where
    they are not the glob's to send.
    """

    entry: Entry
    names: tuple[str, ...]
    metric: str
    of_glob: str = ""
    instead: str = ""

    def means(self, series: Series) -> bool:
        """Whether it is one of that metric; the entry of an unusual name finds others too."""
        return series.labels.get("__name__") in self.entry.parts(self.metric)


def senders(selection: Selection, name: str, present: Collection[str] = ()) -> list[Sender]:
    """Whatever sends ``name``, a published one or Prometheus' own; what is named goes before globs, as in a cycle.

    ``present`` are the names that Prometheus has: they tell which metrics of a glob are meant.
    """
    ordered = sorted(selection.entries, key=lambda entry: entry.glob)  # stable
    found = [sender for entry in ordered for sender in _of(entry, name, present)]
    owners = Owners(selection, {*present, *(part for one in found for part in one.entry.parts(one.metric))})
    told = [one._replace(instead=_instead(one, selection, owners)) for one in found]
    # What a glob has lost and Prometheus has not is nobody's question.
    return [one for one in told if not one.instead or any(part in present for part in one.entry.parts(one.metric))]


def globbed(selection: Selection, glob: str, present: Collection[str]) -> list[str]:
    """The metrics that are selected and there, and fit a glob that a person asks about."""
    owners = Owners(selection, present)
    known = {
        entry.metric_of(name)
        for entry in selection.entries
        for name in present
        if owners.sends(entry, name) and fnmatchcase(entry.metric_of(name), glob)
    }
    return sorted(known)


def _instead(sender: Sender, selection: Selection, owners: Owners) -> str:
    if not sender.of_glob:
        return ""
    parts = sender.entry.parts(sender.metric)
    sending = [one.place for one in selection.entries if any(owners.sends(one, part) for part in parts)]
    return "" if sender.entry.place in sending else ", ".join(sending)


def nearest(selection: Selection, name: str, present: Collection[str]) -> list[str]:
    """The selected names that are spelt like it, at most three; of globs, those that Prometheus has."""
    known = {one for entry in selection.entries if not entry.glob for one in (entry.name, entry.metric) if one}
    known |= {one for one in present if any(entry.glob and entry.wants(one) for entry in selection.entries)}
    return difflib.get_close_matches(name, sorted(known), n=3)


def _of(entry: Entry, name: str, present: Collection[str]) -> Iterator[Sender]:
    if not entry.glob:
        if names := _names(entry, entry.metric or "", name):
            yield Sender(entry, names, entry.metric or "")
        return
    assert entry.metric
    guesses = {name, *(f"{name.removesuffix(end)}_bucket" for end in ("", *entry.quantile_names("")))}
    for known in (present, guesses):  # what Prometheus has not now, it may have had
        metrics = {entry.metric_of(one) for one in known if entry.wants(one)}
        found = {metric: names for metric in sorted(metrics) if (names := _names(entry, metric, name))}
        for metric, names in found.items():
            # To ask for it, a sign that a regular expression or a string might read otherwise stands for any.
            asked = _UNUSUAL.sub("?", metric)
            yield Sender(replace(entry, metric=asked, name=entry.published(metric)), names, metric, entry.metric)
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
