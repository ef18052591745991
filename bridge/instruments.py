"""Takes nothing, gives the bridge's own metrics: each declared once, every series at zero from the start."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.points import Outcome, Settlement


class Instruments:
    """The own metrics, in a registry of their own, so that two bridges in one process do not mix."""

    def __init__(self, version: str) -> None:
        registry = self.registry = CollectorRegistry()
        self.points = Counter(
            "triton_bridge_points",
            "Points by what became of them; with the waiting points, their sum is what was read.",
            ["outcome"],
            registry=registry,
        )
        self.cycles = Counter(
            "triton_bridge_cycles",
            "Cycles that fell due, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.possibly_repeated = Counter(
            "triton_bridge_possibly_repeated_points",
            "Points that were posted again because the reply to the first post was lost.",
            registry=registry,
        )
        self.unconfirmed = Counter(
            "triton_bridge_unconfirmed_points",
            "Accepted points whose reply had no body to confirm the number.",
            registry=registry,
        )
        self.posts = Counter("triton_bridge_posts", "Requests to Application Insights.", registry=registry)
        self.sent_bytes = Counter(
            "triton_bridge_sent_bytes",
            "Bytes posted, compressed, without headers.",
            registry=registry,
        )
        self.missed_cycles = Counter(
            "triton_bridge_missed_cycles",
            "Grid times that passed without a cycle: the bridge was late, suspended or stopped.",
            registry=registry,
        )
        self.backlog_cycles = Gauge(
            "triton_bridge_backlog_cycles",
            "Grid times that are not settled.",
            registry=registry,
        )
        self.waiting_points = Gauge(
            "triton_bridge_waiting_points",
            "Points read at the last try and not yet decided.",
            registry=registry,
        )
        self.last_delivered = Gauge(
            "triton_bridge_last_delivered_timestamp_seconds",
            "The newest grid time of which a point was accepted; 0: none yet.",
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
        self.build_info = Gauge("triton_bridge_build_info", "Always 1.", ["version"], registry=registry)
        self.build_info.labels(version).set(1)
        for outcome in set(Outcome) - {Outcome.WAITING}:  # these may yet become any other: a gauge tells of them
            self.points.labels(outcome.value)
        for settlement in Settlement:
            self.cycles.labels(settlement.value)
