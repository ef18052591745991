"""One bridge, seen in six ways: the page, ``status``, ``/status.json``, the own metrics, the probes and the log never disagree.

It is driven by the sandbox's script, and by what Prometheus answers, through every state and at random through them.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.account import Fate
from bridge.states import State
from bridge.status import About
from bridge.times import utc
from bridge.web import Web
from bridge.web.charts import FATES
from tests.flow.conftest import INTERVAL, Bridge, MakeBridge, T
from tests.flow.views import Log, Row, Views

ABOUT = About("1.2.3", 'triton "west"', "node-7", INTERVAL, "/etc/bridge/metrics.json", {"Python": "3"})
HOURS = 10
MODELS = ("bert", "resnet")
TOO_NEW = "104: Field 'time' on type 'Envelope' is more recent than the allowed max date."
ALWAYS = 1_000_000
Script = list[dict[str, Any]]


class World:
    """A bridge with its web server; each method lets the next minute pass in some way, its cycle at the end."""

    def __init__(self, bridge: Bridge, log: Log) -> None:
        self.bridge, self.log = bridge, log
        times = [T - 60 + 15 * n for n in range(1, HOURS * 240)]
        bridge.prometheus.scrape(times)
        for model in MODELS:
            bridge.prometheus.add("m", [(time, time % 1000) for time in times], model=model)
            bridge.prometheus.add("c", [(time, time - T + 60) for time in times], model=model)
        self.turns = bridge.turns(about=ABOUT)
        self.web = Web("127.0.0.1", 0, board=self.turns.board, registry=bridge.instruments.registry)

    def views(self) -> Views:
        """All that can be seen now."""
        return Views.of(self.web.url, self.log)

    def well(self, *script: dict[str, Any]) -> None:
        """Prometheus answers; the service replies so, and then as usual."""
        self.bridge.sandbox.script(list(script))
        self._turn()

    def always(self, *script: dict[str, Any]) -> None:
        """The service replies so, the last of them as long as the turn lasts."""
        *first, last = script
        self.well(*first, {**last, "times": ALWAYS})
        self.bridge.sandbox.script([])

    def late(self) -> None:
        """The newest cycle gets through, and nothing of what waits."""
        self.always({"status": 503})
        self.always({}, {"status": 503})

    def rejected_later(self) -> None:
        """A cycle waits, and in its repair a point is refused for good."""
        self.always({"status": 503})
        self.well({}, {"items": {"0": {"status": 400, "message": "too late"}}})

    def hour(self) -> None:
        """The machine sleeps; Prometheus does not."""
        self.bridge.clock.now += 3600
        self.well()

    def without(self, *names: str) -> None:
        """Nothing of these is scraped."""
        start = self.bridge.clock() // INTERVAL * INTERVAL
        for labels, samples in self.bridge.prometheus.series:
            if labels["__name__"] in names:
                samples[:] = [one for one in samples if not start < one[0] <= start + INTERVAL]
        self.well()

    def away(self) -> None:
        """Prometheus does not answer."""
        refused = 503, b'{"status": "error", "errorType": "unavailable", "error": "shutting down"}'
        self.bridge.prometheus.failures = [refused] * 10_000
        self.well()
        self.bridge.prometheus.failures = []

    def fault(self) -> None:
        """The bridge itself fails."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.bridge.cycle, "run", lambda _: 1 / 0)
            self.well()

    def select(self, text: str) -> None:
        """metrics.json is changed."""
        self.bridge.file.write_text(text)
        self.well()

    def _turn(self) -> None:
        clock = self.bridge.clock
        clock.now = (clock() // INTERVAL + 1) * INTERVAL + 6
        self.turns.turn()


SELECTION = json.dumps({"customMetrics": ["m", {"metric": "c", "mode": "increase"}]})
UNREADABLE = json.dumps({"customMetrics": [{"metric": "m", "mode": "of a later version"}]})

# What brings about a state, in a bridge that is well.
CAUSES: dict[State, Callable[[World], object]] = {
    State.DELIVERING: World.well,
    State.CATCHING_UP: World.late,
    State.NOTHING_TO_SEND: lambda world: world.without("m", "c"),
    State.NO_DATA: lambda world: world.without("m", "c", "up"),
    State.PROMETHEUS_UNREACHABLE: World.away,
    State.UNREACHABLE: lambda world: world.always({"reset": "before"}),
    State.THROTTLED: lambda world: world.always({"status": 429, "retry_after": 130}),
    State.QUOTA: lambda world: world.always({"status": 439}),
    State.MISCONFIGURED: lambda world: world.always({"status": 401}),
    State.CLOCK: lambda world: world.always({"items": {"0": {"status": 400, "message": TOO_NEW}}}),
    State.REFUSED: lambda world: world.always({"status": 400, "body": "no"}),
    State.INTERCEPTED: lambda world: world.always({"html": True}),
    State.FAULT: World.fault,
}
OTHERS: dict[str, Callable[[World], object]] = {
    "one point rejected": lambda world: world.well({"items": {"1": {"status": 400, "message": "too <long>"}}}),
    "one point left over": lambda world: world.well({"items": {"1": {"status": 500}}}, {"status": 429}),
    "one point rejected in a repair": World.rejected_later,
    "an hour without a cycle": World.hour,
    "an empty reply": lambda world: world.well({"empty": True}),
    "a cycle without one of its metrics": lambda world: world.without("c"),
    "metrics.json broken": lambda world: world.select("{"),
    "metrics.json changed": lambda world: world.select('{"customMetrics": ["m"]}'),
    "metrics.json as it was": lambda world: world.select(SELECTION),
}
NOT_READY = {State.MISCONFIGURED, State.SELECTION_UNREADABLE}
MOVES = {**{state.value: cause for state, cause in CAUSES.items()}, **OTHERS}


def agree(views: Views, arrived: int) -> None:
    """Hold all against the one document, and that against how many rows ``arrived``."""
    the_state(views)
    the_alarm(views)
    the_account(views, arrived)
    the_facts(views)
    the_cycles(views)
    the_metrics(views)


def the_state(views: Views) -> None:
    """Which it is, since when, why, and what to do."""
    document, page, terminal = views.document, views.page, views.terminal
    words, known, remedy = document["words"], document["detail"], document["remedy"]
    assert [name for name in views.own if name.startswith("state ") and views.own[name]] == [
        f"state {document['state']}"
    ]
    assert page.title == f"{words} · triton-bridge {ABOUT.instance}"
    assert (page.state, page.known, page.remedy) == (words, known, remedy)
    facts = terminal.facts
    assert (terminal.state, facts.get("what is known", ""), facts.get("what to do", "")) == (words, known, remedy)
    assert views.log.state == words
    assert page.since.startswith(f"since {utc(document['since'])[11:19]}, for ")
    assert page.since == f"since {terminal.since}"


def the_alarm(views: Views) -> None:
    """Whether somebody should get up, and why."""
    document, own, log = views.document, views.own, views.log
    assert (views.code == 0) == document["healthy"] == bool(own["healthy"])
    assert views.page.troubles == views.terminal.troubles[: len(document["troubles"])] == document["troubles"]
    assert bool(own["config_last_reload_successful"]) == (not document["selection_problems"])
    assert [one for one in document["selection_problems"] if not any(line.endswith(one) for line in log.lines)] == []
    (live, _), (ready, reasons) = views.probes["livez"], views.probes["readyz"]
    assert live == document["live"]
    assert ready == (bool(document["prometheus_answers"]) and State(document["state"]) not in NOT_READY)
    if not ready:
        assert document["remedy"] in " ".join(reasons)
        assert document["detail"] in " ".join(reasons)


def the_account(views: Views, arrived: int) -> None:
    """What became of all that was read, and of all that fell due."""
    document, own = views.document, views.own
    page, terminal = views.page.account(), views.terminal.account()
    hour, points, cycles = document["hour"], document["points"], document["cycles"]
    assert points["accepted"] == arrived
    assert (document["read"], document["due"]) == (sum(points.values()), sum(cycles.values()))
    counts = {"read": (hour["read"], document["read"])} | {
        name: (hour["points"][name], points[name]) for name in points
    }
    assert page["points"] == terminal["points"] == _written(counts)
    counts = {"due": (sum(hour["cycles"].values()), document["due"])} | {
        name: (hour["cycles"][name], cycles[name]) for name in cycles
    }
    assert terminal["cycles"] == _written(counts)
    assert page["cycles"] == _written({name: (count,) for name, (_, count) in counts.items()})

    decided = {name: count - document["waiting"].get(name, 0) for name, count in points.items() if name != "waiting"}
    assert {name: own[f"points_total {name}"] for name in decided} == decided
    assert own["waiting_points"] == sum(document["waiting"].values())
    assert {name: own[f"cycles_total {name}"] for name in cycles if name != "waiting"} | {
        "waiting": own["backlog_cycles"]
    } == cycles
    unconfirmed = "points were accepted by an empty reply"
    assert own["unconfirmed_points_total"] == document["unconfirmed"]
    assert (unconfirmed in " ".join(views.page.notes)) == bool(document["unconfirmed"])
    assert (unconfirmed in " ".join(views.terminal.parts["Account"])) == bool(document["unconfirmed"])


def the_facts(views: Views) -> None:
    """When it last did something, when it does next, how far behind it is; and how to look in Azure."""
    document, page, terminal, own = views.document, views.page, views.terminal, views.own
    for name in ("Last cycle", "Next cycle", "Newest in Azure", "Waiting"):
        assert page.facts[name] == terminal.facts[name[0].lower() + name[1:]]
    newest = document["reports"][0]["time"] if document["reports"] else 0
    assert own["last_cycle_timestamp_seconds"] == newest
    assert own["last_delivered_timestamp_seconds"] == (document["last_delivered"] or 0)
    assert own["backlog_oldest_timestamp_seconds"] == (document["oldest_waiting"] or 0)
    assert page.query == terminal.parts["What arrived"][-1].strip() == document["query"]

    fates = [FATES[fate] for fate in FATES if fate in {Fate(one) for *_, one in document["timeline"]}]
    assert [re.sub(r"( \d+ (d|h|min|s))+$", "", one) for one in page.legend] == fates
    # Of the terminal, a character is the worst of half an hour.
    legend = re.split(r" {2,}", "  ".join(terminal.parts["Last 48 hours"][3:]))
    shown = [words for words in FATES.values() if any(one.endswith(f" {words.partition(':')[0]}") for one in legend)]
    assert (shown[-1:], set(shown) - set(fates)) == (fates[-1:], set())


def the_cycles(views: Views) -> None:
    """Each as its line in the log told it, or as it was mended since."""
    reports, told = views.document["reports"], views.log.cycles()
    for report in reports:
        counts = {name: count for name, count in report["outcomes"].items() if count}
        if report["obstacle"] != "fault":
            assert told[utc(report["time"])] == (report["settlement"], counts)
    assert views.own["series"] == (sum(reports[0]["outcomes"].values()) if reports else 0)
    now = {one["time"]: one["settlement"] for one in views.document["details"]}
    cycles = views.page.table("cycles")
    assert [row[1] for row in cycles] == [
        now.get(one["time"], one["settlement"]).replace("_", " ") for one in reports[:20]
    ]
    assert [row[5] for row in cycles] == ["; ".join(one["problems"]) for one in reports[:20]]
    assert [row[:5] for row in cycles[:5]] == [row[:5] for row in views.terminal.table("Newest cycles")]


def the_metrics(views: Views) -> None:
    """What was read, what was not there, and what was refused."""
    document, page, terminal = views.document, views.page, views.terminal
    read = next((one["metrics"] for one in document["reports"] if one["metrics"]), {})
    metrics = page.table("metrics")
    assert [row[:2] for row in metrics] == [
        (name + ", ".join(dimensions), str(points)) for name, (points, dimensions, _) in read.items()
    ]
    assert [row[1:3] for row in metrics] == [row[1:3] for row in terminal.table("Metrics")]
    absent = document["reports"][0]["absent"] if document["reports"] else []
    said = [f"ithout a series now: {', '.join(absent)}"] if absent else []
    for lines in (page.notes, terminal.troubles):
        assert [one[1:] for one in lines if "a series now" in one] == said

    rejections = [(one["metric"], f"{one['status']} {one['reason']}") for _, one in document["rejections"]]
    assert views.log.rejections()[::-1] == rejections
    assert [row[2] for row in page.table("rejections")] == [said for _, said in rejections[:20]]
    lines = terminal.parts.get("Rejected points", [""])[2::2]
    assert [line.strip() for line in lines] == [said for _, said in rejections[:5]]


def _written(counts: Mapping[str, tuple[int, ...]]) -> dict[str, Row]:
    """Names and counts as a person reads them."""
    return {name.replace("_", " "): tuple(map(str, row)) for name, row in counts.items()}


@pytest.fixture
def world(make_bridge: MakeBridge, tmp_path: Path) -> Iterator[World]:
    """A bridge that has not had a turn yet."""
    with worlds(make_bridge, tmp_path) as world:
        yield world


@contextmanager
def worlds(make_bridge: MakeBridge, folder: Path, begun: float | None = T - INTERVAL) -> Iterator[World]:
    """The same, and its end."""
    log, loggers = Log(), logging.getLogger("bridge")
    before = loggers.level
    with ExitStack() as closing:
        # The heap of all tests is no bridge's, and not to be collected after each cycle.
        closing.enter_context(pytest.MonkeyPatch.context()).setattr("bridge.turns.collect_between_cycles", lambda: None)
        loggers.setLevel(logging.INFO)
        loggers.addHandler(log)
        closing.callback(loggers.setLevel, before)
        closing.callback(loggers.removeHandler, log)
        metrics = json.loads(SELECTION)["customMetrics"]
        world = World(make_bridge(*metrics, now=T - 30, scraped=False, folder=folder, begun=begun), log)
        closing.callback(world.web.close)
        yield world


def check(world: World) -> Views:
    """Look everywhere, and compare."""
    views = world.views()
    agree(views, len(world.bridge.sandbox.rows()))
    return views


@pytest.mark.parametrize("move", MOVES)
def test_every_view_tells_the_same_of_what_happens_and_of_what_comes_after_it(world: World, move: str) -> None:
    assert check(world).document["state"] == State.STARTING.value
    world.well()
    world.well()
    MOVES[move](world)

    state = check(world).document["state"]
    assert state == move or move in OTHERS
    world.well()
    check(world)
    for _ in range(4):
        world.well()
    assert check(world).document["state"] == State.DELIVERING.value


def test_every_view_tells_the_same_of_a_selection_that_this_version_cannot_read(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    with worlds(make_bridge, tmp_path, begun=None) as world:
        world.bridge.backlog.in_force(T - 2 * INTERVAL, INTERVAL, "of-a-later-version", UNREADABLE)
        world.well()
        views = check(world)
        assert views.document["state"] == State.SELECTION_UNREADABLE.value
        world.well()
        views = check(world)

    # The new cycles get through; why the others do not is told all the same.
    assert views.document["state"] == State.CATCHING_UP.value
    assert "of a later version" in views.document["detail"]


def test_there_is_a_way_into_every_state() -> None:
    assert set(State) - set(CAUSES) == {State.STARTING, State.SELECTION_UNREADABLE}  # which have tests of their own


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(moves=st.lists(st.sampled_from(sorted(MOVES)), min_size=4, max_size=8))
def test_the_views_agree_whatever_happens_after_whatever(
    make_bridge: MakeBridge, tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    with worlds(make_bridge, tmp_path_factory.mktemp("state")) as world:
        for move in moves:
            MOVES[move](world)
            check(world)
