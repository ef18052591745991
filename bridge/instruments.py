"""Takes snapshots of how the bridge is doing, gives its own metrics: all of them from one table, and each from the start.

They are a view of what the status page shows, taken at the moment of the scrape; so the two cannot disagree. What stands
in the account goes on over restarts; the other counters begin with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.account import Account
from bridge.points import Outcome, Report, Settlement
from bridge.states import State
from bridge.status import Snapshot

JOB = "triton-bridge"  # as which the Prometheus that is shipped scrapes them


class Kind(str, Enum):
    """The type in the exposition."""

    COUNTER = "counter"
    GAUGE = "gauge"


class Seen(NamedTuple):
    """What the metrics are read from; ``limit`` in s, the counts since the start of the process."""

    snapshot: Snapshot
    limit: float
    posts: int
    sent_bytes: int

    @property
    def account(self) -> Account:
        """What goes on over restarts."""
        return self.snapshot.memory.account

    @property
    def newest(self) -> Report | None:
        """The newest cycle of this process."""
        return next(iter(self.snapshot.reports), None)


class Own(NamedTuple):
    """One metric: its name, its type, what it says, and how it is read.

    Where it has a ``label``, that has all of ``values`` at all times, and ``read`` gives those that are not 0.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[Seen], float | Mapping[str, float]]
    label: str = ""
    values: tuple[str, ...] = ()


_READ = tuple(outcome.value for outcome in Outcome if outcome is not Outcome.WAITING)
_DONE = tuple(settlement.value for settlement in Settlement if settlement is not Settlement.WAITING)

TABLE: tuple[Own, ...] = (
    Own(
        "triton_bridge_state",
        Kind.GAUGE,
        "1 for what the bridge is doing now, 0 for the others.",
        lambda seen: {seen.snapshot.state.value: 1},
        "state",
        tuple(state.value for state in State),
    ),
    Own(
        "triton_bridge_healthy",
        Kind.GAUGE,
        "1 while points arrive and nothing is wrong beside, as the exit code 0 of triton-bridge status.",
        lambda seen: seen.snapshot.healthy,
    ),
    Own(
        "triton_bridge_points_total",
        Kind.COUNTER,
        "Points by what became of them; with the waiting points, their sum is what was read.",
        lambda seen: {outcome.value: count for outcome, count in seen.account.points.items()},
        "outcome",
        _READ,
    ),
    Own(
        "triton_bridge_waiting_points",
        Kind.GAUGE,
        "Points of the grid times that are not settled, as far as they could be read.",
        lambda seen: sum(seen.account.waiting.values()),
    ),
    Own(
        "triton_bridge_possibly_repeated_points_total",
        Kind.COUNTER,
        "Points that were posted again because the reply to the first post was lost.",
        lambda seen: seen.account.possibly_repeated,
    ),
    Own(
        "triton_bridge_unconfirmed_points_total",
        Kind.COUNTER,
        "Accepted points whose reply had no body to confirm the number.",
        lambda seen: seen.account.unconfirmed,
    ),
    Own(
        "triton_bridge_cycles_total",
        Kind.COUNTER,
        "Cycles by what became of them; with those of the backlog, their sum is what fell due.",
        # What waits may yet become any of the others: a gauge tells of it.
        lambda seen: {one.value: count for one, count in seen.account.cycles.items() if one is not Settlement.WAITING},
        "outcome",
        _DONE,
    ),
    Own(
        "triton_bridge_backlog_cycles",
        Kind.GAUGE,
        "Grid times that are not settled.",
        lambda seen: seen.account.cycles[Settlement.WAITING],
    ),
    Own(
        "triton_bridge_backlog_oldest_timestamp_seconds",
        Kind.GAUGE,
        "The oldest grid time that is not settled; 0: none.",
        lambda seen: seen.account.oldest_waiting or 0,
    ),
    Own(
        "triton_bridge_interval_seconds",
        Kind.GAUGE,
        "Seconds from one grid time to the next.",
        lambda seen: seen.snapshot.about.interval,
    ),
    Own(
        "triton_bridge_backfill_limit_seconds",
        Kind.GAUGE,
        "How old a grid time of the backlog may become before it expires.",
        lambda seen: seen.limit,
    ),
    Own(
        "triton_bridge_last_cycle_timestamp_seconds",
        Kind.GAUGE,
        "The newest grid time that was worked on, whatever came of it; 0: none since the start.",
        lambda seen: seen.newest.time if seen.newest else 0,
    ),
    Own(
        "triton_bridge_last_delivered_timestamp_seconds",
        Kind.GAUGE,
        "The newest grid time of which a point was accepted; 0: none yet.",
        lambda seen: seen.account.last_delivered or 0,
    ),
    Own(
        "triton_bridge_cycle_seconds",
        Kind.GAUGE,
        "How long the newest cycle took from its first question to its last verdict.",
        lambda seen: seen.newest.seconds if seen.newest else 0,
    ),
    Own(
        "triton_bridge_series",
        Kind.GAUGE,
        "Series that the newest cycle read, a point each; 0 where it could not be read.",
        lambda seen: seen.newest.read if seen.newest else 0,
    ),
    Own(
        "triton_bridge_absent_metrics",
        Kind.GAUGE,
        "Selected metrics without a series in the newest cycle; the status page names them.",
        lambda seen: len(seen.snapshot.absent),
    ),
    Own(
        "triton_bridge_monthly_billed_bytes",
        Kind.GAUGE,
        "What 30 days of cycles like the newest that was read are billed as, about; 0: none was yet.",
        lambda seen: seen.snapshot.monthly_bytes or 0,
    ),
    Own(
        "triton_bridge_posts_total",
        Kind.COUNTER,
        "Requests to Application Insights.",
        lambda seen: seen.posts,
    ),
    Own(
        "triton_bridge_sent_bytes_total",
        Kind.COUNTER,
        "Bytes posted, compressed, without headers.",
        lambda seen: seen.sent_bytes,
    ),
    Own(
        "triton_bridge_state_durable",
        Kind.GAUGE,
        "1 while all that a restart must know of is on disk.",
        lambda seen: not seen.snapshot.memory.trouble,
    ),
    Own(
        "triton_bridge_config_last_reload_successful",
        Kind.GAUGE,
        "1 while metrics.json is as it is sent; 0 after a change that could not be used.",
        lambda seen: not seen.snapshot.selection_problems,
    ),
    Own(
        "triton_bridge_build_info",
        Kind.GAUGE,
        "Always 1.",
        lambda _: {__version__: 1},
        "version",
        (__version__,),
    ),
)


class Instruments(Collector):
    """Counts what nothing else keeps, and shows all of the table in a registry of its own.

    A registry a bridge, so that two in one process do not mix. The process's memory, CPU time, start and open files stand
    there too, under the names that every client library of Prometheus gives them.
    """

    def __init__(self) -> None:
        self._snapshot: Callable[[], Snapshot] | None = None
        self._limit = 0.0
        self._posts = self._sent_bytes = 0
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def follow(self, snapshot: Callable[[], Snapshot], *, limit: float) -> None:
        """Show what this gives; until then all is 0. ``limit`` (s) is how far back something may wait."""
        self._snapshot, self._limit = snapshot, limit

    def count(self, report: Report) -> None:
        """Whatever was posted: a newest cycle, a repair, a leftover."""
        self._posts += report.posts
        self._sent_bytes += report.sent_bytes

    def collect(self) -> Iterator[Metric]:
        """All of the table, from one snapshot."""
        snapshot = self._snapshot() if self._snapshot else None
        seen = snapshot and Seen(snapshot, self._limit, self._posts, self._sent_bytes)
        for own in TABLE:
            yield _family(own, own.read(seen) if seen else {})


def _family(own: Own, found: float | Mapping[str, float]) -> Metric:
    """One metric with its values; what was not found is 0."""
    family = (CounterMetricFamily if own.kind is Kind.COUNTER else GaugeMetricFamily)(
        own.name, own.help, labels=[own.label] if own.label else []
    )
    values = found if isinstance(found, Mapping) else {"": found}
    for value in own.values or ("",):
        family.add_metric([value] if own.label else [], float(values.get(value, 0)))
    return family
