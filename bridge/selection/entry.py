"""Takes one line of the selection, gives what it asks of Prometheus and under which names it is sent. Frozen nouns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import cached_property

from bridge.matchers import ANY, Matchers

_PARTS = ("bucket", "sum", "count")  # of a histogram's names


class Mode(str, Enum):
    """How a metric is sent; see the table in the README."""

    VALUE = "value"
    INCREASE = "increase"
    RATE = "rate"
    IRATE = "irate"
    STATS = "stats"
    HISTOGRAM = "histogram"

    @property
    def raw(self) -> bool:
        """Whether it is computed from raw samples rather than read at T."""
        return self is not Mode.VALUE

    @property
    def gain(self) -> bool:
        """Whether it needs the sample before the interval, however old that is."""
        return self in {Mode.INCREASE, Mode.RATE, Mode.HISTOGRAM}


class Aggregate(str, Enum):
    """What is made of the values that collapse into one; as PromQL's operators of these names."""

    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True)
class Grouping:
    """Which labels a row keeps: those of ``by``, or all but those of ``without``. One of the two is None.

    ``aggregate`` says what is made of rows that become one; None for modes that are pooled (stats, histogram).
    """

    by: tuple[str, ...] | None
    without: tuple[str, ...]
    aggregate: Aggregate | None

    def keeps(self, label: str) -> bool:
        """Whether a row keeps this label."""
        return label in self.by if self.by is not None else label not in self.without


@dataclass(frozen=True)
class Relabelling:
    """New names for labels, and labels of our own. What a series bears already is never overwritten."""

    rename: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Entry:
    """One line of the selection. Exactly one of ``metric`` and ``query`` is set.

    ``name`` is the published one; of a glob, where each metric has its own (``published``), it is the glob.
    """

    place: str
    name: str
    mode: Mode
    metric: str | None = None
    query: str | None = None
    match: Matchers = ANY
    grouping: Grouping | None = None
    labels: Relabelling = Relabelling()
    quantiles: tuple[float, ...] = ()

    @property
    def glob(self) -> bool:
        """Whether ``metric`` stands for all names that fit."""
        return self.metric is not None and is_glob(self.metric)

    @cached_property
    def asks(self) -> tuple[str, ...]:
        """Regular expressions, RE2's and Python's alike, which the names of the wanted series match as a whole."""
        if self.metric is None:
            return ()
        base = self.metric.replace("?", ".").replace("*", ".*")
        if not self.metric.strip("*"):
            base = ".+"  # Prometheus refuses what matches the empty name
        return self.parts(base)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(self.asks) or "(?!)")

    def wants(self, name: str) -> bool:
        """Whether series of this Prometheus name are asked for."""
        return self._pattern.fullmatch(name) is not None

    def parts(self, metric: str) -> tuple[str, ...]:
        """The names of the series of one of its metrics."""
        return tuple(f"{metric}_{part}" for part in _PARTS) if self.mode is Mode.HISTOGRAM else (metric,)

    def metric_of(self, name: str) -> str:
        """The metric that series of this name belong to: of a histogram's, the name without its last part."""
        return name.rpartition("_")[0] if self.mode is Mode.HISTOGRAM else name

    def published(self, metric: str) -> str:
        """The name of this metric in Application Insights."""
        return published_name(metric) if self.glob else self.name

    def quantile_names(self, published: str) -> dict[str, float]:
        """The names of the quantiles that are sent beside a histogram, with their quantiles."""
        return {quantile_name(published, quantile): quantile for quantile in self.quantiles}


def published_name(metric: str) -> str:
    """A metric's own name, without what Application Insights' readers cannot put into a URL."""
    return metric.replace(":", "_")


def is_glob(metric: str) -> bool:
    """Whether a ``metric`` of the file stands for all names that fit."""
    return "*" in metric or "?" in metric


def quantile_name(published: str, quantile: float) -> str:
    """The name of a quantile of a histogram: 0.5 → NAME_p50, 0.95 → NAME_p95, 0.999 → NAME_p999, 1 → NAME_p100."""
    digits = format(Decimal(repr(quantile)), "f").partition(".")[2]
    return f"{published}_p{'100' if quantile == 1 else digits.ljust(2, '0')}"


@dataclass(frozen=True)
class Selection:
    """What ``metrics.json`` asks for, validated. ``digest`` names it: equal content, equal digest.

    ``text`` is what it was read from.
    """

    entries: tuple[Entry, ...]
    digest: str
    text: str = field(compare=False, repr=False)
