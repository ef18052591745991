"""Takes a selection, gives the questions of a cycle: PromQL to be asked as instant queries at the grid time T.

Two questions carry all named metrics: their values at T, and raw samples for the modes that are computed from them
(PromQL's own functions extrapolate, or fail at resets and missed scrapes). ``query`` entries are asked one each, and
``up`` tells whether Prometheus scraped at all. A question is split before its URL passes 8 kB: the Prometheus client
puts the query into the URL even with POST.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from bridge.durations import format_duration
from bridge.selection import Entry, Selection

# Of a URL of 8 kB, what is left for the percent-encoded selector beside host, path, function and range.
_SELECTOR_BYTES = 7000
# Of these, what the matcher of one label may take, and those of all labels.
_MATCHER_BYTES, _MATCHERS_BYTES = 400, 3000
HISTORY = 3600.0  # seconds that are searched for the sample before a series' first one
_HISTORY_SAMPLES = 250_000  # samples that one question for history may bring; some 60 MB while they are read
# A name that every Prometheus takes without quotes; from 3 on, a label may have any name.
_LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)


class Kind(str, Enum):
    """What a question asks for, and so how its answer is read."""

    VALUES = "values"  # the value at T of each series
    FRESH = "fresh"  # the same within the age limit, asked where Prometheus' own lookback is longer
    SAMPLES = "samples"  # raw samples around (T − interval, T]
    EXPRESSION = "expression"  # a query of the user's own
    UP = "up"  # raw samples of up


@dataclass(frozen=True)
class Question:
    """One instant query. ``entry`` is set for EXPRESSION alone."""

    kind: Kind
    expr: str
    entry: Entry | None = None


@dataclass(frozen=True)
class Window:
    """The times that rule a cycle, in seconds: its interval, and the longest scrape interval of the targets."""

    interval: float
    scrape_interval: float

    @property
    def age_limit(self) -> float:
        """A sample older than this at T gives no row."""
        return max(self.interval, 2 * self.scrape_interval)

    @property
    def lookback(self) -> float:
        """How far before T − interval the sample before the first one is expected: two scrapes."""
        return 2 * self.scrape_interval


def questions(selection: Selection, window: Window, *, match: str = "", check_age: bool = True) -> tuple[Question, ...]:
    """The questions of a cycle. ``match`` is put into each that is ours; ``check_age`` adds the FRESH ones.

    Entries with matchers of their own are asked apart. ``up`` is too, with or without ``match`` as it bears it.
    """
    # One second more than needed: Prometheus 3 leaves out the left edge and 2 does not; telemetry cuts exactly.
    span = format_duration(window.interval + window.lookback + 1)
    fresh = format_duration(window.age_limit)
    values = list(_selectors_of(selection, match, raw=False))
    return (
        *(Question(Kind.VALUES, selector) for selector in values),
        *(Question(Kind.FRESH, f"last_over_time({selector}[{fresh}])") for selector in values if check_age),
        *(Question(Kind.SAMPLES, f"{selector}[{span}]") for selector in _selectors_of(selection, match, raw=True)),
        *(Question(Kind.EXPRESSION, entry.query, entry) for entry in selection.entries if entry.query),
    )


def _selectors_of(selection: Selection, match: str, *, raw: bool) -> Iterator[str]:
    """The selectors of all metrics that are, or are not, computed from raw samples; by the matchers of the entries."""
    names: dict[str, list[str]] = {}
    for entry in selection.entries:
        if entry.mode.raw is raw:
            names.setdefault(entry.match.text, []).extend(entry.asks)
    for own, wanted in names.items():
        yield from selectors(wanted, ",".join(filter(None, (match, own))))


def history(series: Iterable[Mapping[str, str]], window: Window, *, match: str = "") -> Iterator[Question]:
    """The questions for series whose earlier sample is not in the lookback: an hour more of theirs.

    In groups of series of which an hour is about ``_HISTORY_SAMPLES``, each narrowed to the labels that its series have,
    so that a model that was just loaded does not fetch an hour of all others.
    """
    span = HISTORY + window.interval + 1
    size = max(1, int(_HISTORY_SAMPLES * window.scrape_interval / span))
    ordered = sorted(series, key=lambda labels: labels["__name__"])
    for begin in range(0, len(ordered), size):
        group = ordered[begin : begin + size]
        names = {labels["__name__"] for labels in group}
        narrow = ",".join(filter(None, [match, *_shared(group)]))
        for selector in selectors(sorted(names), narrow):
            yield Question(Kind.SAMPLES, f"{selector}[{format_duration(span)}]")


def _shared(group: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Matchers that all series of a group fulfil, for labels with few values."""
    room = _MATCHERS_BYTES
    for label in sorted(set.intersection(*(set(labels) for labels in group)) - {"__name__"}):
        values = {labels[label] for labels in group}
        pattern = "|".join(sorted(map(re.escape, values)))
        escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
        matcher = f'{label}=~"{escaped}"'
        size = len(quote(matcher + ","))
        if size < min(_MATCHER_BYTES, room) and pattern.isprintable() and _LABEL.fullmatch(label):
            room -= size
            yield matcher


def up(window: Window, *, match: str = "", hour: bool = False) -> Question:
    """The question whether targets were scraped in the interval, or in the hour before it too."""
    span = format_duration((HISTORY if hour else 0) + window.interval + 1)
    return Question(Kind.UP, f"up{{{match}}}[{span}]")


def selectors(names: Iterable[str], match: str = "") -> Iterator[str]:
    """Vector selectors that together hold each name, or expression of names, once; none too long for a URL."""
    room = _SELECTOR_BYTES - len(quote(match))
    group: list[str] = []
    size = 0
    for name in dict.fromkeys(names):
        cost = len(quote(name)) + len(quote("|"))
        if group and size + cost > room:
            yield _selector(group, match)
            group, size = [], 0
        group.append(name)
        size += cost
    if group:
        yield _selector(group, match)


def _selector(names: list[str], match: str) -> str:
    names_matcher = f'__name__=~"{"|".join(names)}"'
    return f"{{{names_matcher},{match}}}" if match else f"{{{names_matcher}}}"
