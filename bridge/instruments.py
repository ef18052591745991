"""Takes the account, gives the bridge's own metrics: each declared once, every series from the start.

What the account knows goes on over restarts; the others count since the start of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.account import Account
from bridge.points import Outcome, Settlement


class Instruments:
    """The own metrics, in a registry of their own, so that two bridges in one process do not mix.

    ``account`` gives the account as it stands, ``durable`` whether it is on disk.
    """

    def __init__(self, version: str, account: Callable[[], Account], durable: Callable[[], bool]) -> None:
        registry = self.registry = CollectorRegistry()
        registry.register(_Accountant(account))
        self.posts = Counter("triton_bridge_posts", "Requests to Application Insights.", registry=registry)
        self.sent_bytes = Counter(
            "triton_bridge_sent_bytes",
            "Bytes posted, compressed, without headers.",
            registry=registry,
        )
        self.cycle_seconds = Gauge(
            "triton_bridge_cycle_seconds",
            "How long the last cycle took from its first question to its last verdict.",
            registry=registry,
        )
        self.reload_good = Gauge(
            "triton_bridge_config_last_reload_successful",
            "1 while metrics.json is as it is sent; 0 after a change that could not be used.",
            registry=registry,
        )
        self.reload_good.set(1)
        Gauge(
            "triton_bridge_state_durable",
            "1 while all that a restart must know of is on disk.",
            registry=registry,
        ).set_function(lambda: float(durable()))
        self.build_info = Gauge("triton_bridge_build_info", "Always 1.", ["version"], registry=registry)
        self.build_info.labels(version).set(1)


class _Accountant(Collector):
    """Shows the account, each time that it is asked."""

    def __init__(self, account: Callable[[], Account]) -> None:
        self._account = account

    def collect(self) -> Iterator[Metric]:
        account = self._account()
        yield _counters(
            "triton_bridge_points",
            "Points by what became of them; with the waiting points, their sum is what was read.",
            account.points,
        )
        # What waits may yet become any of the others: a gauge tells of it.
        done: dict[Settlement, int] = dict(account.cycles)
        del done[Settlement.WAITING]
        yield _counters(
            "triton_bridge_cycles",
            "Cycles by what became of them; with those of the backlog, their sum is what fell due.",
            done,
        )
        yield CounterMetricFamily(
            "triton_bridge_possibly_repeated_points",
            "Points that were posted again because the reply to the first post was lost.",
            value=account.possibly_repeated,
        )
        yield CounterMetricFamily(
            "triton_bridge_unconfirmed_points",
            "Accepted points whose reply had no body to confirm the number.",
            value=account.unconfirmed,
        )
        yield GaugeMetricFamily(
            "triton_bridge_backlog_cycles",
            "Grid times that are not settled.",
            value=account.cycles[Settlement.WAITING],
        )
        yield GaugeMetricFamily(
            "triton_bridge_backlog_oldest_timestamp_seconds",
            "The oldest grid time that is not settled; 0: none.",
            value=account.oldest_waiting or 0,
        )
        yield GaugeMetricFamily(
            "triton_bridge_waiting_points",
            "Points of those grid times, as far as they could be read.",
            value=sum(account.waiting.values()),
        )
        yield GaugeMetricFamily(
            "triton_bridge_last_delivered_timestamp_seconds",
            "The newest grid time of which a point was accepted; 0: none yet.",
            value=account.last_delivered or 0,
        )


def _counters(name: str, text: str, counts: Mapping[Settlement, int] | Mapping[Outcome, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["outcome"])
    for outcome, count in counts.items():
        family.add_metric([outcome.value], count)
    return family
