"""Takes one series of an answer, gives its samples, the steps between them, its value, and why there is none: pure.

The values come from ``telemetry`` itself, which is given the series alone; only the way to them is told here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from opentelemetry.sdk.metrics.export import HistogramDataPoint

from bridge.durations import format_duration
from bridge.explain.nouns import Part, Told
from bridge.points import Identity, Series, identity
from bridge.queries import Window
from bridge.selection import Entry, Mode, Selection
from bridge.telemetry import Answers, Cut, translate
from bridge.telemetry.gains import Counting
from bridge.telemetry.nouns import Labels, Sample
from bridge.times import utc


@dataclass(frozen=True)
class Findings:
    """All that is known of an entry's metric for one interval.

    ``trail`` holds raw samples for series that are read at T, of longer ago than the interval; ``seen`` are the times of
    samples that the bridge took itself.
    """

    entry: Entry
    answers: Answers
    cut: Cut
    window: Window
    trail: Sequence[Series]
    seen: frozenset[float]

    @cached_property
    def counting(self) -> Counting:
        """What is known beside a counter's own samples."""
        return Counting(self.answers, self.cut)

    @cached_property
    def read(self) -> frozenset[Identity]:
        """The series that the question for the values at T gave, old ones too."""
        return frozenset(identity(series.labels) for series in self.answers.values)

    @cached_property
    def trails(self) -> Mapping[Identity, Sequence[Sample]]:
        """``trail``, by series."""
        return {identity(series.labels): series.samples for series in self.trail}


def units(found: Findings) -> list[list[Series]]:
    """The series that the entry means; those of one histogram together."""
    entry, answers = found.entry, found.answers
    if entry.query:
        return [[series] for series in answers.expressions.get(entry.name, ())]
    candidates = _once(answers.values, found.trail)
    if entry.mode.raw:  # scrapes are scrapes; counters go on from what the bridge saw itself
        candidates = answers.samples if entry.mode.gain or answers.scraped is None else answers.scraped
    meant = [one for one in candidates if entry.wants(one.labels["__name__"]) and entry.match.fit(one.labels)]
    grouped: dict[Identity, list[Series]] = {}
    for one in meant:
        grouped.setdefault(identity(own_labels([one], entry)), []).append(one)
    return list(grouped.values())


def own_labels(unit: Sequence[Series], entry: Entry) -> dict[str, str]:
    """The labels that a row can bear, before any is dropped."""
    apart = {"__name__", "le"} if entry.mode is Mode.HISTOGRAM else {"__name__"}
    return {key: text for key, text in unit[0].labels.items() if key not in apart}


def _once(*answers: Iterable[Series]) -> Iterable[Series]:
    """The series of several answers, each as in the first that has it."""
    found: dict[Identity, Series] = {}
    for series in (one for answer in answers for one in answer):
        found.setdefault(identity(series.labels), series)
    return found.values()


def tell(unit: Sequence[Series], found: Findings) -> Told:
    """What becomes of one series, or one histogram."""
    entry = replace(found.entry, grouping=None)
    read = [series for series in unit if identity(series.labels) in found.read]
    raw = () if entry.query else unit
    up = [Series(unit[0].labels, found.counting.up(unit[0].labels))]  # of its target, which labels name
    alone = replace(found.answers, values=read, samples=raw, scraped=None, expressions={entry.name: unit}, up=up)
    reading = translate(Selection((entry,), "", ""), alone, found.cut, max_series=sys.maxsize)
    values = {one.name: _value(one.data.data_points[0]) for one in reading.metrics}
    parts = [_part(series, found) for series in sorted(unit, key=_order)]
    why, seconds = "", None
    steps: list[str] = []
    if entry.mode in {Mode.INCREASE, Mode.RATE}:
        steps = _steps(parts[0])
        gain = found.counting.gain(unit[0])
        seconds = gain.seconds if gain else None
    if reading.not_finite and not any(map(boundless, values.values())):
        why = "not finite: Application Insights takes no such number, so it is counted as not_finite and never sent"
    elif not values:
        why = _no_row(unit, found)
    return Told(own_labels(unit, found.entry), tuple(parts), tuple(steps), seconds, values, why)


def boundless(value: Any) -> bool:
    """Whether it is a histogram's that has no bucket but +Inf: quantiles, least and greatest value are not known then."""
    return isinstance(value, Mapping) and "buckets" not in value and value["min"] is None


def _value(point: Any) -> Any:
    if isinstance(point, HistogramDataPoint):
        told: dict[str, Any] = {"count": point.count, "sum": point.sum, "min": point.min, "max": point.max}
        if point.explicit_bounds:
            bounds = [*map("{:.15g}".format, point.explicit_bounds), "+Inf"]
            told["buckets"] = dict(zip(bounds, point.bucket_counts, strict=True))
        return told
    return point.value


def _order(series: Series) -> tuple[float, str]:
    """Buckets by their bounds, then count and sum."""
    try:
        bound = float(series.labels.get("le", "inf"))
    except ValueError:  # of a metric that is no histogram
        bound = math.inf
    return bound, series.labels.get("__name__", "")


def _part(series: Series, found: Findings) -> Part:
    cut, entry = found.cut, found.entry
    name = series.labels.get("__name__", "")
    shown = f'{name}{{le="{series.labels["le"]}"}}' if entry.mode is Mode.HISTOGRAM and "le" in series.labels else name
    if entry.query:
        return Part(shown, None, tuple(series.samples))
    samples = series.samples
    if not entry.mode.raw:
        samples = found.trails.get(identity(series.labels), ())
    inside = tuple((time, text) for time, text in samples if cut.start < time <= cut.end)
    before = next(((time, text) for time, text in reversed(samples) if time <= cut.start and text != "NaN"), None)
    origin = ""
    if entry.mode.gain and before is None:
        before, origin = _begin(series, found)
    numbers = [(time, float(text)) for time, text in (*([before] if before else []), *inside) if text != "NaN"]
    counts = entry.mode in {Mode.INCREASE, Mode.RATE, Mode.IRATE, Mode.HISTOGRAM} and not _may_fall(name, entry)
    resets = tuple(later[0] for earlier, later in pairwise(numbers) if counts and later[1] < earlier[1])
    return Part(shown, before, inside, origin, resets, tuple(time for time, _ in inside if time in found.seen))


def _may_fall(name: str, entry: Entry) -> bool:
    """A histogram's sum, of values below zero."""
    return entry.mode is Mode.HISTOGRAM and name.endswith("_sum")


def _begin(series: Series, found: Findings) -> tuple[Sample | None, str]:
    """Where the count of a series begins whose first sample lies in the interval, and how that is known."""
    begin = found.counting.before(series)
    if begin is None:
        return None, ""
    time, value = begin
    if earlier := found.answers.history.get(identity(series.labels)):
        return earlier, f"from {format_duration(found.cut.start - time)} before the interval"
    if any(time == sample[0] for sample in series.samples):
        return None, "new, and its target was not seen before: the first sample is only the base line, and adds nothing"
    return (time, f"{value:g}"), f"new: its target was scraped at {_clock(time)} without it, so it begins at zero"


def _steps(part: Part) -> list[str]:
    """What each sample adds: v − prev, or v after a reset."""
    numbers = [(time, float(text)) for time, text in part.samples if text != "NaN"]
    if part.before:
        numbers.insert(0, (part.before[0], float(part.before[1])))
    steps = [after[1] if after[1] < one[1] else after[1] - one[1] for one, after in pairwise(numbers)]
    return [f"{step:.15g}" for step in steps]


def _no_row(unit: Sequence[Series], found: Findings) -> str:
    """Why a series gives no row at T."""
    entry, cut = found.entry, found.cut
    if not entry.mode.raw:
        return _not_read(unit[0], found)
    inside = [text for series in unit for time, text in series.samples if cut.start < time <= cut.end]
    if not inside:
        return f"no sample in the interval: {_unseen(unit[0].labels, found)}"
    if all(text == "NaN" for text in inside):
        return "its samples in the interval are NaN, which no counter can be"
    return {
        Mode.HISTOGRAM: "nothing was observed in the interval, or it has no count: that gives no row",
        Mode.RATE: "its only sample is the base line: there is no time to divide by yet",
        Mode.IRATE: "irate needs two samples of a target that is up, the later one not older than "
        + format_duration(cut.age_limit),
    }.get(entry.mode, "")


def _not_read(series: Series, found: Findings) -> str:
    trail, age = found.trails.get(identity(series.labels), ()), ""
    if trail:
        last = trail[-1][0]
        age = f"its last sample, {_clock(last)}, is {found.cut.end - last:g} s older than T"
    if identity(series.labels) in found.read:
        limit = format_duration(found.cut.age_limit)
        return f"{age or 'its last sample is too old'}, and what is older than {limit} gives no row"
    return f"{age or 'it has no sample'}: {_unseen(series.labels, found)}"


def _unseen(labels: Labels, found: Findings) -> str:
    """What the scrapes of its target say about a series without a sample."""
    scrapes = [value for time, value in found.counting.up(labels) if found.cut.start < time <= found.cut.end]
    if not scrapes:
        return "no scrape of its target either"
    if all(float(value) == 0 for value in scrapes):
        return f"its target was down, {len(scrapes)} of {len(scrapes)} scrapes failed"
    return "its target was scraped, and no longer exposes it"


def _clock(time: float) -> str:
    return utc(time)[11:]
