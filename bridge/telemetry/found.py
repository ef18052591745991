"""Takes a selection and Prometheus' answers, gives what each entry finds in them, and which of two entries sends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bridge.points import Series, identity
from bridge.selection import Entry, Mode, Owners, Selection
from bridge.telemetry.gains import Counting
from bridge.telemetry.nouns import Answers, Cut


class Found:
    """The answers, by entry. ``owners`` tells which entry sends which published name."""

    def __init__(self, selection: Selection, answers: Answers, cut: Cut) -> None:
        fresh = answers.fresh
        values = answers.values if fresh is None else [one for one in answers.values if identity(one.labels) in fresh]
        self._values = by_name(values)
        self._samples = by_name(answers.samples)
        self._scraped = self._samples if answers.scraped is None else by_name(answers.scraped)
        self._expressions = answers.expressions
        self._sending = Owners(selection, self._values.keys() | self._samples.keys())
        self.counting = Counting(answers, cut)
        self.cut = cut
        self.owners = self._owners(selection)

    def metrics(self, entry: Entry) -> list[str]:
        """The metrics that an entry means: of a glob, those that are there; of a query, its name."""
        if not entry.glob:
            return [entry.metric or entry.name]
        names = {name for name in self._of(entry) if self._sending.sends(entry, name) and self.series(entry, name)}
        whole = {entry.metric_of(name) for name in names}
        if entry.mode is Mode.HISTOGRAM:  # of which the buckets may not fit the matchers
            whole = {metric for metric in whole if f"{metric}_bucket" in names}
        return sorted(whole)

    def all(self, entry: Entry) -> list[Series]:
        """All series that an entry means."""
        parts = [part for metric in self.metrics(entry) for part in entry.parts(metric)]
        return [series for part in parts for series in self.series(entry, part)]

    def series(self, entry: Entry, name: str) -> list[Series]:
        """The series of that name that an entry means."""
        if entry.query:
            return list(self._expressions.get(entry.name, ()))
        found = self._of(entry).get(name, [])
        return [series for series in found if entry.match.fit(series.labels)] if entry.match.text else found

    def _of(self, entry: Entry) -> Mapping[str, list[Series]]:
        """Counters go on from what the bridge saw itself; scrapes are scrapes."""
        if not entry.mode.raw:
            return self._values
        return self._samples if entry.mode.gain else self._scraped

    def _owners(self, selection: Selection) -> dict[str, Entry]:
        """Which entry sends which published name: of two metrics that come out as one, the first entry's."""
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
