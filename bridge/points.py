"""The frozen nouns that the stages hand on: series, batches, receipts, and what became of points and cycles."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

# Between two items of a batch. A raw newline cannot stand inside a JSON string, so a body splits at it safely.
_SEPARATOR = b",\n"


class Outcome(str, Enum):
    """What became of a point. The one closed set, from return value to metric label to status page.

    Read = accepted + rejected + expired + waiting + not finite + left out, at every moment.
    """

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WAITING = "waiting"
    NOT_FINITE = "not_finite"
    LEFT_OUT = "left_out"


class Settlement(str, Enum):
    """What became of a cycle. Due = settled + waiting + expired + no data, at every moment."""

    SETTLED = "settled"
    WAITING = "waiting"
    EXPIRED = "expired"
    NO_DATA = "no_data"


class Condition(str, Enum):
    """How the ingestion endpoint answers, as last seen; decides how soon to try again."""

    DELIVERING = "delivering"
    UNREACHABLE = "unreachable"  # no connection, 408, 5xx, lost replies
    THROTTLED = "throttled"  # 429
    QUOTA = "quota"  # 402, 439: the daily cap
    MISCONFIGURED = "misconfigured"  # 401, 403, 404, a wrong key, a redirect that must not be followed
    CLOCK = "clock"  # 104: our clock is ahead of the service's
    REFUSED = "refused"  # every part of a batch gets the same 400: not the points' fault
    INTERCEPTED = "intercepted"  # something other than Azure answered


class Obstacle(str, Enum):
    """Why a cycle could not be read."""

    PROMETHEUS = "prometheus"  # it does not answer
    SELECTION = "selection"  # what another version of the bridge wrote of it
    FAULT = "fault"  # of the bridge itself


class Series(NamedTuple):
    """One series of an answer: all its labels, ``__name__`` too where there is one, and its samples, oldest first.

    A sample is the time (epoch s) and the value as Prometheus writes it ("2.5", "NaN", "+Inf"): it is read as a
    number where it is used, once.
    """

    labels: dict[str, str]
    samples: Sequence[tuple[float, str]]


Identity = frozenset[tuple[str, str]]


def identity(labels: Mapping[str, str]) -> Identity:
    """What tells a series from all others: all its labels, ``__name__`` among them."""
    return frozenset(labels.items())


@dataclass(frozen=True)
class Sighting:
    """What the bridge itself saw at Triton's metrics port: raw samples beside those that Prometheus scraped.

    ``time`` in epoch s, ``instance`` as Prometheus labels that target. ``samples`` holds the values by series, as text;
    None: nothing listened there, so that all that Triton counts afterwards begins at zero.
    """

    time: float
    instance: str
    samples: Mapping[Identity, str] | None


@dataclass(frozen=True)
class Batch:
    """A JSON array of envelopes as it goes over the wire: gzip bytes, how many points, bytes before compression."""

    body: bytes
    points: int
    size: int

    @classmethod
    def pack(cls, items: Sequence[bytes]) -> Batch:
        """Join envelopes (one JSON object each, without raw newlines) and compress them."""
        text = b"[" + _SEPARATOR.join(items) + b"]"
        # Level 1: a third of the CPU of level 6 for a body a quarter larger. mtime 0: same points, same bytes.
        return cls(gzip.compress(text, compresslevel=1, mtime=0), len(items), len(text))

    def items(self) -> list[bytes]:
        """The envelopes again, in order."""
        return gzip.decompress(self.body)[1:-1].split(_SEPARATOR) if self.points else []

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches that hold the same envelopes; needs at least two."""
        items = self.items()
        middle = len(items) // 2
        return Batch.pack(items[:middle]), Batch.pack(items[middle:])


@dataclass(frozen=True)
class Rejection:
    """A point that the service will not take: what it was, and the service's own words."""

    metric: str
    dimensions: Mapping[str, str]
    time: str
    status: int
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What became of the points of one post: ``accepted + rejected + expired + waiting`` is their number.

    ``waiting`` holds what must be posted again, as batches. ``detail`` is one sentence for a person, empty when
    all went well. ``not_before`` (epoch s) is set where the service, or our patience, forbids an earlier try.
    ``unconfirmed`` counts accepted points whose reply was empty; ``possibly_repeated`` those whose reply was lost.
    """

    accepted: int = 0
    rejected: int = 0
    expired: int = 0
    waiting: tuple[Batch, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    condition: Condition = Condition.DELIVERING
    detail: str = ""
    not_before: float | None = None
    unconfirmed: int = 0
    possibly_repeated: int = 0
    posts: int = 0
    sent_bytes: int = 0


class Glance(NamedTuple):
    """One published metric in one cycle: how many points, their dimensions' names, and one number for all.

    ``value`` is their sum where they are gains, else their mean.
    """

    points: int
    dimensions: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Report:
    """What one cycle did: ``read`` = accepted + rejected + expired + waiting + not finite + left out, always.

    ``time`` is T (epoch s), ``seconds`` how long it took from the first question to the last verdict. ``metrics`` is what
    was read, by published name; ``absent`` names the entries of which there is no series, ``problems`` are sentences for
    a person. ``condition`` is None where nothing was posted, ``obstacle`` where the cycle was read. ``billed_bytes`` is
    what its points are billed as, about, of a live cycle.
    """

    time: float
    settlement: Settlement
    outcomes: Mapping[Outcome, int]
    metrics: Mapping[str, Glance] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    problems: tuple[str, ...] = ()
    condition: Condition | None = None
    obstacle: Obstacle | None = None
    unconfirmed: int = 0
    possibly_repeated: int = 0
    posts: int = 0
    sent_bytes: int = 0
    billed_bytes: int = 0
    seconds: float = 0.0

    @property
    def read(self) -> int:
        """All points of the cycle, whatever became of them."""
        return sum(self.outcomes.values())
