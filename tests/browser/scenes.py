"""Takes a state, gives a real web server whose board was led there: two days of cycles, an hour of metrics, troubles.

Nothing is drawn at random and the clock stands still: the same scene gives the same page, to the byte.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from bridge.account import Gap
from bridge.backlog import Backlog
from bridge.points import Batch, Condition, Glance, Obstacle, Outcome, Receipt, Rejection, Report, Settlement
from bridge.states import State
from bridge.status import About, Board, Memory
from bridge.web import Web
from tests.scripted.clock import Clock

NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z
HOUR = 3600.0
VERSIONS = {"Python": "3.12.11", "azure-monitor-opentelemetry-exporter": "1.0.0b58", "opentelemetry-sdk": "1.38.0"}
ABOUT = About("0.9.0", "triton", "gpu-node-7", 60.0, "/etc/bridge/metrics.json", VERSIONS)
MODELS = ("model", "version")
METRICS = {
    "nv_inference_request_success": (8, MODELS, 5200.0, True),
    "nv_inference_request_failure": (24, (*MODELS, "reason"), 0.0, True),
    "nv_inference_count": (8, MODELS, 20800.0, True),
    "nv_inference_exec_count": (8, MODELS, 2610.0, True),
    "nv_inference_request_duration_us": (8, MODELS, 61_400_000.0, True),
    "nv_inference_queue_duration_us": (8, MODELS, 8_950_000.0, True),
    "nv_inference_pending_request_count": (8, MODELS, 3.25, False),
    "nv_gpu_utilization": (2, ("gpu_uuid",), 0.74, False),
    "nv_gpu_memory_used_bytes": (2, ("gpu_uuid",), 31_385_968_640.0, False),
    "nv_gpu_power_usage": (2, ("gpu_uuid",), 284.6, False),
    "nv_cpu_utilization": (1, (), 0.3127, False),
    "nv_energy_consumption": (2, ("gpu_uuid",), 34_150.0, True),
}
POINTS = sum(number for number, *_ in METRICS.values())
REJECTIONS = (
    Rejection(
        "nv_inference_request_failure",
        {"model": "<b>ranker</b>", "version": "3", "reason": "BACKEND"},
        "2026-11-21T09:12:00Z",
        400,
        "Field 'name' on type 'MetricData' is too long. Expected: 1024 characters, actual: 1290 <script>alert(1)</script>",
    ),
)
REFUSALS = {
    State.UNREACHABLE: "dc.services.visualstudio.com: name or service not known",
    State.THROTTLED: "Azure answered 429: asked to wait until 2026-11-21T12:02:10Z",
    State.QUOTA: "Azure answered 439: Daily quota exceeded; probing again in 8 min",
    State.MISCONFIGURED: "Azure answered 401 at https://westeurope-5.in.applicationinsights.azure.com: Authentication is required",
    State.CLOCK: "Azure says of 74 points: 104: Telemetry timestamp is in the future",
    State.REFUSED: "Azure answered 400 to every part of a batch, three levels down",
    State.INTERCEPTED: "something other than Azure answered: 200 text/html, <title>Sign in to Guest Wi-Fi</title>",
}
OBSTACLES = {
    State.PROMETHEUS_UNREACHABLE: (Obstacle.PROMETHEUS, "Prometheus at http://127.0.0.1:9090: connection refused"),
    State.SELECTION_UNREADABLE: (Obstacle.SELECTION, "customMetrics[2].mode: unknown, 'ewma'"),
    State.FAULT: (Obstacle.FAULT, "KeyError: 'le', a fault of the bridge itself"),
}


def glances(time: float) -> dict[str, Glance]:
    """What was read at a time: each metric swings in its own rhythm."""
    return {
        name: Glance(
            points,
            dimensions,
            round(base * (1 + 0.25 * math.sin(time / (240 + 90 * number))))
            if gains
            else base * (1 + 0.1 * math.sin(time / (300 + 70 * number))),
        )
        for number, (name, (points, dimensions, base, gains)) in enumerate(METRICS.items())
    }


@dataclass
class Scene:
    """A server and what stands behind it; ``url`` is its page."""

    state: State
    clock: Clock = field(default_factory=lambda: Clock(NOON + 25))
    backlog: Backlog = field(default_factory=lambda: Backlog(None))
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.clock.now = NOON + 5 if self.state is State.STARTING else NOON - HOUR
        self.board = Board(
            self.clock, lambda: Memory(self.backlog.account, problems=self.problems), self.clock, about=ABOUT
        )
        self.board.selected("b1f5c0de97")
        if self.state is not State.STARTING:
            self._live()
        self.clock.now = NOON + 25
        self.registry = CollectorRegistry()
        self.web = Web("127.0.0.1", 0, board=self.board, registry=self.registry)
        self.url = self.web.url

    def turn_into(self, state: State) -> None:
        """Another minute, and another state."""
        self.state = state
        self.clock.now = self.clock() // 60 * 60 + 66
        self.board.record(self._report(self.state, self.clock() - 6))

    def close(self) -> None:
        """Stop the server."""
        self.web.close()

    def _live(self) -> None:
        """Two days before noon, with outages that were repaired; where all is well now, only one, and nothing was lost."""
        begin = NOON - 50 * HOUR
        self.backlog.in_force(begin, 60.0, "b1f5c0de97", "{}")
        known = {
            (NOON - 41 * HOUR, NOON - 38.5 * HOUR): Settlement.EXPIRED,
            (NOON - 20 * HOUR, NOON - 18.75 * HOUR): Settlement.NO_DATA,
        }
        if self.state is State.DELIVERING:
            known.clear()
        late: list[Gap] = []
        for number in range(1, 49 * 60 + 1):
            time = begin + number * 60
            gap = self.backlog.gap(time)
            assert gap
            if NOON - 30 * HOUR < time <= NOON - 27 * HOUR or (known and NOON - 4.4 * HOUR < time <= NOON - 2.7 * HOUR):
                late.append(gap)
                continue
            settlement = next((kind for (start, end), kind in known.items() if start < time <= end), Settlement.SETTLED)
            outcomes = {Outcome.ACCEPTED: POINTS} if settlement is Settlement.SETTLED else {}
            self.backlog.settle(gap.start, time, settlement, outcomes)
        waits = 40 if self.state is State.CATCHING_UP else 0
        for gap in late[: len(late) - waits]:
            self.backlog.settle(
                gap.start, gap.time, Settlement.SETTLED, {Outcome.ACCEPTED: POINTS, Outcome.NOT_FINITE: 2}
            )
        for minute in range(59, -1, -1):
            time = NOON - minute * 60
            fine = State.CATCHING_UP if self.state is State.CATCHING_UP else State.DELIVERING
            self.clock.now = time + 6.2
            self.board.record(self._report(self.state if minute < 12 else fine, time))

    def _report(self, state: State, time: float) -> Report:
        gap = self.backlog.gap(time)
        assert gap
        read = glances(time)
        common = {"posts": 1, "sent_bytes": 4200, "seconds": 0.083, "metrics": read, "billed_bytes": POINTS * 338}
        if state in OBSTACLES:
            obstacle, problem = OBSTACLES[state]
            return Report(time, Settlement.WAITING, {}, problems=(problem,), obstacle=obstacle, seconds=0.004)
        if state is State.NO_DATA:
            self.backlog.settle(gap.start, time, Settlement.NO_DATA, {})
            return Report(time, Settlement.NO_DATA, {}, seconds=0.012)
        if state is State.NOTHING_TO_SEND:
            nothing = dict.fromkeys(Outcome, 0)
            self.backlog.settle(gap.start, time, Settlement.SETTLED, nothing)
            return Report(time, Settlement.SETTLED, nothing, absent=tuple(METRICS), seconds=0.012)
        cycle = self.backlog.begin(gap.start, time, [Batch.pack([b"{}"] * POINTS)])
        if state is State.REJECTED:
            cycle.intent(0)
            cycle.verdict(0, Receipt(rejected=POINTS, rejections=REJECTIONS * 3))
            cycle.end()
            outcomes = {Outcome.REJECTED: POINTS}
            return Report(time, Settlement.SETTLED, outcomes, condition=Condition.DELIVERING, **common)
        if state in REFUSALS:
            cycle.end()
            problem, condition = REFUSALS[state], Condition(state.value)
            return Report(
                time, Settlement.WAITING, {Outcome.WAITING: POINTS}, condition=condition, problems=(problem,), **common
            )
        rejections = REJECTIONS if time == NOON - 600 else ()
        accepted = POINTS - len(rejections)
        cycle.intent(0)
        cycle.verdict(0, Receipt(accepted=accepted, rejected=len(rejections), rejections=rejections))
        cycle.end()
        outcomes = {Outcome.ACCEPTED: accepted, Outcome.REJECTED: len(rejections)}
        return Report(
            time, Settlement.SETTLED, outcomes, condition=Condition.DELIVERING, absent=("nv_cache_hit_rate",), **common
        )
