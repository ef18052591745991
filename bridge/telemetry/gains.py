"""Takes the raw samples of a counter, gives what it gained in an interval, to the unit.

The gain in (start, end] is the sum of the steps: each raw sample belongs to the interval by its own timestamp and adds
``v − prev``, or ``v`` where ``v < prev`` (a reset). Nothing is extrapolated, so over any stretch the gains add up to
what the raw samples gained.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from bridge.points import Identity, Series, identity
from bridge.telemetry.nouns import Answers, Cut, Labels, Sample


class Gain(NamedTuple):
    """What a counter gained, and in how many seconds: from the sample before the first step to the last one."""

    value: float
    seconds: float


class Unfounded(NamedTuple):
    """A counter whose first known sample, at ``time``, lies in the interval."""

    time: float
    value: float


class Counting:
    """What is known beside a counter's own samples: earlier ones, and when its target was scraped."""

    def __init__(self, answers: Answers, cut: Cut) -> None:
        self.cut = cut
        self._history: Mapping[Identity, Sample] = answers.history
        self._up: dict[tuple[str, str], list[Sample]] = {}
        for series in answers.up:  # what a target exposes under two paths has two of them
            self._up.setdefault(_target(series.labels), []).extend(series.samples)
        for samples in self._up.values():
            samples.sort()

    def up(self, labels: Labels) -> Sequence[Sample]:
        """The samples of ``up`` of the target that a series belongs to, oldest first."""
        return self._up.get(_target(labels), ())

    def before(self, series: Series) -> tuple[float, float] | None:
        """Where the count begins, time and value, for a series whose first known sample lies in the interval.

        None where its samples tell, or hold nothing.
        """
        unfounded = steps(series.samples, self.cut)
        if not isinstance(unfounded, Unfounded):
            return None
        earlier = self._history.get(identity(series.labels))
        return (earlier[0], float(earlier[1])) if earlier else _beginning(unfounded, self.up(series.labels))

    def gain(self, series: Series) -> Gain | None:
        """The gain of a counter; None where it has no sample in the interval."""
        gain = steps(series.samples, self.cut)
        if isinstance(gain, Unfounded):
            gain = steps(series.samples, self.cut, self.before(series))
        return None if isinstance(gain, Unfounded) else gain


def _target(labels: Labels) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def steps(
    samples: Sequence[Sample],
    cut: Cut,
    before: tuple[float, float] | None = None,
    *,
    resets: Collection[float] | None = None,
) -> Gain | Unfounded | None:
    """The sum of the steps in the interval; None without a sample there. NaN is passed over.

    ``before`` is where to begin if the samples hold none at or before the interval. ``resets`` are the times at which
    the count began anew, where more is known of that than a falling value.
    """
    start, end = cut.start, cut.end
    gained: float | None = None
    since = last_time = last = math.nan
    if before is not None:
        since, last = before
    for time, text in samples:
        value = float(text)
        if value != value or time > end:  # noqa: PLR0124 — NaN, without the cost of a call
            continue
        if time > start:
            if last != last:  # noqa: PLR0124
                return Unfounded(time, value)
            anew = value < last if resets is None else time in resets
            gained = (gained or 0.0) + (value if anew else value - last)
            last_time = time
        else:
            since = time
        last = value
    return None if gained is None else Gain(gained, last_time - since)


def _beginning(first: Unfounded, up: Sequence[Sample]) -> tuple[float, float]:
    """Where a new series' count begins: time and value.

    At zero if the target was scraped before without it; a target that was not may have counted for days, and its
    first sample is only the base line.
    """
    seen = [time for time, value in up if float(value) == 1 and time < first.time]
    return (max(seen), 0.0) if seen else (first.time, first.value)


def latest_before(series: Series, cut: Cut) -> Sample | None:
    """The last sample of a counter at or before the interval; NaN is passed over."""
    return next((s for s in reversed(series.samples) if s[0] <= cut.start and s[1] != "NaN"), None)


def unfounded(series: Iterable[Series], cut: Cut) -> list[Labels]:
    """The labels of counters that gained in the interval from nothing known: their history must be asked for."""
    return [
        one.labels
        for one in series
        # The first two are quickly said of nearly all.
        if (one.samples[0][0] > cut.start or one.samples[0][1] == "NaN")
        and isinstance(steps(one.samples, cut), Unfounded)
    ]


def instant_rate(samples: Sequence[Sample], up: Sequence[Sample], cut: Cut) -> float | None:
    """The step between the last two samples, per second, as PromQL's irate; None once the target is down."""
    known = [(time, value) for time, text in samples if time <= cut.end and not math.isnan(value := float(text))][-2:]
    down = [float(value) for time, value in up if time <= cut.end][-1:] == [0.0]
    if len(known) < 2 or down or known[1][0] <= cut.end - cut.age_limit:
        return None
    (earlier, first), (later, last) = known
    return (last - first if last >= first else last) / (later - earlier)
