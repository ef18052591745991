"""Takes a selection and an interval, gives Prometheus' Answers for it: all questions asked, and those that follow from them.

The same for a live cycle, a repair, a dry run and an explanation, so that all of them see the same points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bridge import sightings
from bridge.errors import PrometheusError
from bridge.points import Identity, Series, Sighting, identity
from bridge.queries import HISTORY, Kind, Question, Window, history, questions, up
from bridge.selection import Selection
from bridge.telemetry import Answers, Cut, latest_before, orphans, scraped


@dataclass(frozen=True)
class Asker:
    """How questions are asked at T: each raises a PrometheusError where there is no answer.

    ``own`` asks ours; ``theirs`` a query of the user's, whose failure is that query's alone. ``lookback`` gives how old
    a value may be that Prometheus still shows (s).
    """

    own: Callable[[Question], list[Series]]
    theirs: Callable[[Question], list[Series]]
    lookback: Callable[[], float]


@dataclass(frozen=True)
class Interval:
    """(start, time] in epoch s, as the window of its questions has it; ``match`` narrows all that are ours."""

    start: float
    time: float
    window: Window
    match: str

    @property
    def cut(self) -> Cut:
        """What belongs to it."""
        return Cut(self.start, self.time, self.window.age_limit)


def gather(
    selection: Selection,
    interval: Interval,
    ask: Asker,
    problems: list[str],
    *,
    known: Sequence[Sighting] = (),
    seen: Sighting | None = None,
) -> Answers | None:
    """Prometheus' answers for T; None where it scraped nothing. Queries that fail are told in ``problems``.

    ``known`` are sightings from before; ``seen`` stands for a scrape at T.
    """
    window, cut, match = interval.window, interval.cut, interval.match

    def ask_up(*, hour: bool) -> list[Series]:
        # Matchers may name labels that the metrics bear and ``up`` does not; then any scrape counts.
        found = ask.own(up(window, match=match, hour=hour))
        return found if found or not match else ask.own(up(window, hour=hour))

    scrapes = ask_up(hour=False)
    if seen is None and not scraped(scrapes, replace(cut, start=cut.end - window.interval)):
        return None
    values = any(entry.metric and not entry.mode.raw for entry in selection.entries)
    check_age = values and window.age_limit < ask.lookback()
    found: dict[Kind, list[Series]] = {kind: [] for kind in Kind}
    expressions: dict[str, list[Series]] = {}
    asked: Counter[Kind] = Counter()
    for question in questions(selection, window, match=match, check_age=check_age):
        asked[question.kind] += 1
        if question.entry is None:
            found[question.kind] += ask.own(question)
            continue
        try:
            expressions[question.entry.name] = _one_value_each(ask.theirs(question))
        except PrometheusError as error:  # one bad query never holds up the others
            problems.append(f"{question.entry.place}.query: {error}")
    answers = Answers(
        values=found[Kind.VALUES] if asked[Kind.VALUES] == 1 else _once(found[Kind.VALUES]),
        fresh=frozenset(identity(series.labels) for series in found[Kind.FRESH]) if check_age else None,
        samples=found[Kind.SAMPLES] if asked[Kind.SAMPLES] == 1 else _once(found[Kind.SAMPLES]),
        expressions=expressions,
        up=scrapes,
    )
    sighted = (*known, *([seen] if seen else []))
    answers = _with_sightings(answers, sighted, seen, selection, interval)
    if lost := orphans(answers.samples, selection, cut):
        scrapes, begun = ask_up(hour=True), {identity(labels) for labels in lost}
        series = [one for one in answers.samples if identity(one.labels) in begun]
        earlier = sightings.before(series, sighted, cut.start, after=cut.start - HISTORY, up=scrapes)
        _take_later(earlier, (one for question in history(lost, window, match=match) for one in ask.own(question)), cut)
        answers = replace(answers, up=scrapes, history=earlier)
    return answers


def _once(answer: Iterable[Series]) -> list[Series]:
    """Each series once: what two questions ask, by other matchers or by a glob and a name, may be the same one."""
    return list({identity(series.labels): series for series in answer}.values())


def _one_value_each(answer: list[Series]) -> list[Series]:
    if any(len(series.samples) > 1 for series in answer):
        raise PrometheusError("it gives a range of samples and not one value a series: wrap it in a function")
    return answer


def _with_sightings(
    answers: Answers, known: Iterable[Sighting], seen: Sighting | None, selection: Selection, interval: Interval
) -> Answers:
    after = interval.start - interval.window.lookback
    joined = sightings.joined(answers.samples, known, after=after, until=interval.time, up=answers.up)
    answers = replace(answers, samples=joined, scraped=answers.samples)
    if seen is None:
        return answers
    at_once = [entry for entry in selection.entries if not entry.mode.raw]
    names = {name for key in seen.samples or {} for name in [dict(key)["__name__"]]}
    names = {name for name in names if any(entry.wants(name) for entry in at_once)}
    fresh = None if answers.fresh is None else answers.fresh | (seen.samples or {}).keys()
    return replace(answers, values=sightings.replaced(answers.values, seen, names), fresh=fresh)


def _take_later(earlier: dict[Identity, tuple[float, str]], answer: Iterable[Series], cut: Cut) -> None:
    """Let the last sample before the interval stand in ``earlier``, wherever it comes from."""
    for series in answer:
        key, sample = identity(series.labels), latest_before(series, cut)
        if sample and sample[0] > earlier.get(key, (0.0, ""))[0]:
            earlier[key] = sample
