"""Takes nothing, gives the nouns of an explanation: what was asked, what came, what is made of it, what became of it.

All of them are plain data: ``dataclasses.asdict`` gives what ``--json`` writes. Times are epoch seconds, samples are as
Prometheus writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.telemetry.nouns import Sample

Envelope = Mapping[str, Any]  # as JSON


@dataclass(frozen=True)
class Asked:
    """A question to Prometheus, verbatim. ``beside``: a cycle does not ask it, an explanation does."""

    what: str
    expr: str
    beside: bool = False


@dataclass(frozen=True)
class Scraped:
    """How often a target was scraped in the interval, and how many of these scrapes failed."""

    job: str
    instance: str
    scrapes: int
    failed: int


@dataclass(frozen=True)
class Fate:
    """What becomes of a label: the dimension, None where it is dropped, and why; with its values, in how many series."""

    label: str
    dimension: str | None
    why: str
    values: Sequence[str]
    series: int


@dataclass(frozen=True)
class Part:
    """The samples of one series: the last one before the interval, None where none is known, and those in it.

    ``origin`` says where the one before comes from if it is not simply the sample before. ``resets`` are times at which
    the value fell, ``seen`` those of samples that the bridge took itself.
    """

    series: str
    before: Sample | None
    samples: Sequence[Sample]
    origin: str = ""
    resets: Sequence[float] = ()
    seen: Sequence[float] = ()


@dataclass(frozen=True)
class Told:
    """One series (of a histogram: all that belong to it), and its own part in what is sent, by published name.

    ``steps`` are the gains from sample to sample, ``seconds`` those from the first to the last of them; of counters
    alone. ``why`` says why there is no value.
    """

    labels: Mapping[str, str]
    parts: Sequence[Part]
    steps: Sequence[str]
    seconds: float | None
    values: Mapping[str, Any]
    why: str


@dataclass(frozen=True)
class Sent:
    """What one entry of the selection makes of the metric; the first of ``series`` and ``envelopes``, and how many there are.

    ``how`` are the fields of the entry that change what is sent, as they are written. ``instead`` names the entry that sends the names in its place. ``remarks`` are sentences for a person.
    """

    place: str
    source: str
    names: Sequence[str]
    mode: str
    how: Mapping[str, str]
    instead: str
    questions: Sequence[Asked]
    scraped: Sequence[Scraped]
    no_data: bool
    labels: Sequence[Fate]
    series: Sequence[Told]
    series_count: int
    without_row: int
    envelopes: Sequence[Envelope]
    envelope_count: int
    remarks: Sequence[str]


@dataclass(frozen=True)
class Known:
    """A cycle in the account, its points by outcome: of all metrics, the account knows no single ones."""

    time: float
    settlement: str
    points: Mapping[str, int]


@dataclass(frozen=True)
class Refused:
    """A point of the metric that the service refused, in its own words.

    ``envelope`` is the point made again from what Prometheus holds, None where that was not wanted or not possible:
    ``note`` says why, or by which selection it was made.
    """

    time: float
    metric: str
    dimensions: Mapping[str, str]
    status: int
    reason: str
    envelope: Envelope | None = None
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the account on disk says: of the cycle at T (``said``), of the newest cycles, of this metric's refused points."""

    folder: str
    said: str
    cycles: Sequence[Known]
    refused: Sequence[Refused]
    refused_count: int
    remarks: Sequence[str]


@dataclass(frozen=True)
class Explanation:
    """All that can be told of a metric; ``time`` and ``start`` are None where Prometheus did not answer (``problem``)."""

    metric: str
    prometheus: str
    digest: str
    start: float | None
    time: float | None
    sent: Sequence[Sent]
    verdict: Verdict
    problem: str = ""
