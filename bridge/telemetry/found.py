"""Takes a selection and Prometheus' answers, gives what each entry finds in them, and which of two entries sends it."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.points import Series, identity
from bridge.selection import Entry, Mode, Selection
from bridge.telemetry.gains import Counting
from bridge.telemetry.nouns import Answers, Cut


class Found:
    """The answers, by entry. ``owners`` tells which entry sends which published name."""

    def __init__(self, selection: Selection, answers: Answers, cut: Cut) -> None:
        self._values = by_name(answers.values)
        self._samples = by_name(answers.samples)
        self._fresh = answers.fresh
        self._expressions = answers.expressions
        self.counting = Counting(answers, cut)
        self.cut = cut
        self.owners = self._owners(selection)

    def metrics(self, entry: Entry) -> list[str]:
        """The metrics that an entry means: of a glob, those that are there; of a query, its name."""
        if not entry.glob:
            return [entry.metric or entry.name]
        known = self._samples if entry.mode.raw else self._values
        names = {name for name in known if entry.wants(name) and self.series(entry, name)}
        whole = {entry.metric_of(name) for name in names}
        if entry.mode is Mode.HISTOGRAM:  # a summary has a sum and a count as well
            whole = {metric for metric in whole if f"{metric}_bucket" in names}
        return sorted(whole)

    def all(self, entry: Entry) -> list[Series]:
        """All series that an entry means, those of a metric that another entry sends too."""
        parts = [part for metric in self.metrics(entry) for part in entry.parts(metric)]
        return [series for part in parts for series in self.series(entry, part)]

    def series(self, entry: Entry, name: str) -> list[Series]:
        """The series of that name that an entry means."""
        if entry.query:
            return list(self._expressions.get(entry.name, ()))
        found = (self._samples if entry.mode.raw else self._values).get(name, [])
        if not entry.mode.raw and self._fresh is not None:
            found = [series for series in found if identity(series.labels) in self._fresh]
        return [series for series in found if entry.match.fit(series.labels)] if entry.match.text else found

    def _owners(self, selection: Selection) -> dict[str, Entry]:
        """Which entry sends which published name: what is named goes before all globs, of which the first one counts."""
        owners: dict[str, Entry] = {}
        for entry in sorted(selection.entries, key=lambda entry: entry.glob):  # stable
            for metric in self.metrics(entry):
                published = entry.published(metric)
                for name in (published, *entry.quantile_names(published)):
                    owners.setdefault(name, entry)
        return owners


def by_name(answer: Iterable[Series]) -> dict[str, list[Series]]:
    """The series of each name."""
    grouped: dict[str, list[Series]] = {}
    for series in answer:
        grouped.setdefault(series.labels["__name__"], []).append(series)
    return grouped
