"""Takes a metric's name, gives the whole way of its points at one grid time: questions, samples, labels, envelopes, verdict.

Prometheus is asked as a cycle asks it (``answers``), and what came goes through the same ``telemetry`` and the same
``envelopes``, so that what is told is what is sent.

nouns     what an explanation consists of
choosing  a name → the entries of the selection that send it (pure)
labels    what becomes of each label (pure)
series    from samples to a value, or why there is none (pure)
verdicts  what the account on disk says
"""

from __future__ import annotations

import difflib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Protocol

from bridge.account import Gap
from bridge.answers import Asker, Interval, gather
from bridge.durations import format_duration
from bridge.envelopes import Encoder
from bridge.errors import PrometheusRefused
from bridge.explain.choosing import Sender, globbed, nearest, senders
from bridge.explain.labels import fates
from bridge.explain.nouns import Asked, Envelope, Explanation, Fate, Part, Refused, Scraped, Sent, Told, Verdict
from bridge.explain.series import Findings, boundless, own_labels, tell, units
from bridge.explain.verdicts import refused, verdict
from bridge.points import Series, Sighting
from bridge.queries import Kind, Question, Window
from bridge.selection import Entry, Selection
from bridge.telemetry import translate

__all__ = [
    "Explainer",
    "Explanation",
    "Fate",
    "Part",
    "Refused",
    "Sender",
    "Sent",
    "Told",
    "Verdict",
    "envelope_of",
    "globbed",
    "nearest",
    "refused",
    "senders",
    "verdict",
]

_WHAT = {
    Kind.UP: "was it scraped",
    Kind.VALUES: "values at T",
    Kind.FRESH: "those not too old",
    Kind.SAMPLES: "raw samples",
    Kind.EXPRESSION: "your query",
}


class Source(Protocol):
    """What an explanation needs of Prometheus; ``bridge.prometheus.Prometheus`` is the real one."""

    def ask(self, expr: str, at: float) -> list[Series]: ...
    def lookback(self) -> float: ...


@dataclass(frozen=True)
class Explainer:
    """Explains for one Prometheus and one set of terms; ``scrape_interval`` in s, ``sightings`` are the bridge's own.

    Its methods raise a PrometheusError where there is no answer.
    """

    source: Source
    encoder: Encoder
    match: str
    max_series: int
    scrape_interval: float
    sightings: Sequence[Sighting] = ()

    def sent(self, wanted: Sequence[Sender], gap: Gap, present: Collection[str], most: int) -> list[Sent]:
        """What each of these entries makes of (start, time]; of series and envelopes at most so many.

        ``present`` are the names that Prometheus has now.
        """
        owners: dict[str, str] = {}
        told = []
        for sender in wanted:
            asked: list[Asked] = []
            remarks: list[str] = []
            found = self._find(sender, gap, asked, remarks)
            there = found is not None and bool(units(found))
            # What is named goes before all globs, of which the first one counts that has it.
            for name in sender.names if (there or not sender.of_glob) and not sender.instead else ():
                owners.setdefault(name, sender.entry.place)
            if found and not there and sender.metric:
                remarks += _missing(sender.metric, present)
            told.append(self._told(sender, found, asked, remarks, owners, most))
        return told

    def envelopes(self, wanted: Sequence[Sender], gap: Gap) -> Iterator[Envelope]:
        """All envelopes that these entries make of (start, time]."""
        for sender in wanted:
            if not sender.instead and (found := self._find(sender, gap, [], [])):
                yield from self._encoded(found, sender.names)

    def _find(self, sender: Sender, gap: Gap, asked: list[Asked], problems: list[str]) -> Findings | None:
        """Ask for the entry alone; None where Prometheus scraped nothing."""
        entry = sender.entry
        # The end of a run, and the account's last row before it, may be longer than an interval.
        length = max(gap.interval, float(math.ceil(gap.time - gap.start)))
        window = Window(length, self.scrape_interval)
        interval = Interval(gap.start, gap.time, window, self.match)

        def ask(question: Question) -> list[Series]:
            asked.append(Asked(_WHAT[question.kind], question.expr))
            return self.source.ask(question.expr, gap.time)

        asker = Asker(ask, ask, self._lookback)
        answers = gather(Selection((entry,), "", ""), interval, asker, problems, known=self.sightings)
        if answers is None:
            return None
        values, samples = filter(sender.means, answers.values), filter(sender.means, answers.samples)
        scraped = None if answers.scraped is None else list(filter(sender.means, answers.scraped))
        answers = replace(answers, values=list(values), samples=list(samples), scraped=scraped)
        trail = list(filter(sender.means, self._trail(entry, window, gap.time, asked)))
        seen = frozenset(one.time for one in self.sightings)
        return Findings(entry, answers, interval.cut, window, trail, seen)

    def _trail(self, entry: Entry, window: Window, time: float, asked: list[Asked]) -> list[Series]:
        """Raw samples of what a cycle reads at T alone: they show how old its values are, and what is gone."""
        if entry.query or entry.mode.raw:
            return []
        lookback = self._lookback()
        span = max(window.interval + window.lookback + 1, lookback if math.isfinite(lookback) else 300.0)
        found: list[Series] = []
        for expr in [one.expr for one in asked if one.what == _WHAT[Kind.VALUES]]:
            question = f"{expr}[{format_duration(span)}]"
            asked.append(Asked(_WHAT[Kind.SAMPLES], question, beside=True))
            found += self.source.ask(question, time)
        return found

    def _lookback(self) -> float:
        try:
            return self.source.lookback()
        except PrometheusRefused:  # something like Prometheus, that does not tell
            return math.inf

    def _encoded(self, found: Findings, names: Collection[str]) -> list[Envelope]:
        selection = Selection((found.entry,), "", "")
        reading = translate(selection, found.answers, found.cut, max_series=self.max_series)
        wanted = [metric for metric in reading.metrics if metric.name in names]
        return [json.loads(item) for item in self.encoder.items(wanted)]

    def _told(
        self,
        sender: Sender,
        found: Findings | None,
        asked: Sequence[Asked],
        remarks: Sequence[str],
        owners: Mapping[str, str],
        most: int,
    ) -> Sent:
        entry = sender.entry
        lost = {name: owners[name] for name in sender.names if owners.get(name, entry.place) != entry.place}
        instead = "; ".join(f"{name} is sent by {place}, which goes before" for name, place in lost.items())
        if sender.instead:
            lost = dict.fromkeys(sender.names, sender.instead)
            instead = f"{sender.metric} is sent by {sender.instead}, which goes before"
        meant = units(found) if found else []
        labels = [own_labels(unit, entry) for unit in meant]
        told = [tell(unit, found) for unit in meant] if found else []
        envelopes = self._encoded(found, set(sender.names) - set(lost)) if found else []
        return Sent(
            place=entry.place,
            source=entry.query or sender.metric,
            names=sender.names,
            mode=entry.mode.value,
            how=_how(entry, sender.of_glob, self.match),
            instead=instead,
            questions=tuple(asked),
            scraped=tuple(_scraped(found, labels)) if found else (),
            no_data=found is None,
            labels=tuple(fates(labels, entry)),
            series=tuple(_of_each_kind(told)[:most]),
            series_count=len(told),
            without_row=sum(bool(one.why) for one in told),
            envelopes=tuple(envelopes[:most]),
            envelope_count=len(envelopes),
            remarks=(*remarks, *self._remarks(meant, told, envelopes)),
        )

    def _remarks(
        self, meant: Sequence[Sequence[Series]], told: Sequence[Told], envelopes: Sequence[Envelope]
    ) -> Iterator[str]:
        if len(meant) > self.max_series:
            yield f"it has {len(meant)} series and BRIDGE_MAX_SERIES is {self.max_series}: it is left out, whole"
        if without := sum(any(map(boundless, one.values.values())) for one in told):
            yield (
                f"{without} of {len(told)} histograms have no bucket but +Inf: count and sum are sent, quantiles, least "
                "and greatest value are not known"
            )
        alike = Counter(name_and_dimensions(one) for one in envelopes)
        if several := [count for count in alike.values() if count > 1]:
            yield (
                f"{sum(several)} rows share their dimensions with another one: Azure cannot tell them apart"
                " — keep a label that differs, or say how they collapse (by, without, aggregate)"
            )


def name_and_dimensions(envelope: Envelope) -> tuple[str, frozenset[tuple[str, str]]]:
    """What tells an envelope from the others of its cycle."""
    data = envelope["data"]["baseData"]
    return data["metrics"][0]["name"], frozenset(data["properties"].items())


def envelope_of(point: Refused, envelopes: Collection[Envelope]) -> Envelope | None:
    """The envelope of a refused point: that of its name and dimensions."""
    wanted = point.metric, frozenset(point.dimensions.items())
    return next((one for one in envelopes if name_and_dimensions(one) == wanted), None)


def _missing(metric: str, present: Collection[str]) -> Iterator[str]:
    """What a person may want to know of a metric that is not there, and is not there now either."""
    if not {metric, f"{metric}_bucket"} & set(present):
        near = difflib.get_close_matches(metric, sorted(present), n=3)
        yield f"Prometheus has no {metric} now{'; it has ' if near else ''}{', '.join(near)}: see triton-bridge check"


def _of_each_kind(told: Sequence[Told]) -> list[Told]:
    """One of each reason for having no row first, and one with a row, so that the first few show all there is to see."""
    seen: Counter[str] = Counter()
    ranked = []
    for one in told:
        ranked.append((seen[one.why], not one.why, one))
        seen[one.why] += 1
    return [one for *_, one in sorted(ranked, key=itemgetter(0, 1))]


def _how(entry: Entry, glob: str, match: str) -> dict[str, str]:
    """The fields of an entry that change what is sent, as they are written."""
    grouping, labels = entry.grouping, entry.labels
    fields: dict[str, Any] = {
        "glob": glob,
        "match": entry.match.text,
        "BRIDGE_MATCH": match if not entry.query else "",
        "by": ", ".join(grouping.by) or "(no label)" if grouping and grouping.by is not None else "",
        "without": ", ".join(grouping.without) if grouping and grouping.by is None else "",
        "aggregate": grouping.aggregate.value if grouping and grouping.aggregate else "",
        "labels.rename": ", ".join(f"{old} → {new}" for old, new in labels.rename),
        "labels.add": ", ".join(f"{name}={text}" for name, text in labels.add),
        "quantiles": ", ".join(map(str, entry.quantiles)),
    }
    return {name: text for name, text in fields.items() if text}


def _scraped(found: Findings, series: Sequence[Mapping[str, str]]) -> Iterator[Scraped]:
    """The targets of these series; all targets where there are none, since one of them is missing."""
    wanted = {(one.get("job", ""), one.get("instance", "")) for one in series}
    scrapes: dict[tuple[str, str], list[str]] = {}
    for one in found.answers.up:
        values = [text for time, text in one.samples if found.cut.start < time <= found.cut.end]
        scrapes.setdefault((one.labels.get("job", ""), one.labels.get("instance", "")), []).extend(values)
    known = wanted & scrapes.keys()
    for (job, instance), values in scrapes.items():
        if not known or (job, instance) in known:
            yield Scraped(job, instance, len(values), sum(float(text) == 0 for text in values))
