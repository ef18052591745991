"""One bridge, seen in six ways: the page, ``status``, ``/status.json``, the own metrics, the probes and the log never disagree.

It is driven by the sandbox's script, and by what Prometheus answers, through every state and at random through them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.account import Fate
from bridge.states import State
from bridge.times import utc
from bridge.web.charts import FATES
from tests.flow.conftest import MakeBridge
from tests.flow.moves import ABOUT, CAUSES, MOVES, OTHERS, World, worlds
from tests.flow.views import Row, Views

NOT_READY = {State.MISCONFIGURED, State.SELECTION_UNREADABLE}


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
    assert page["cycles"] == terminal["cycles"] == _written(counts)
    if document["origin"] is not None and document["now"] - document["origin"] < 3600:
        assert (hour["cycles"], hour["points"]) == (cycles, points)

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
    absent = document["absent"]
    assert views.own["absent_metrics"] == len(absent)
    assert page.absent == terminal.facts.get("without series", "") == ", ".join(absent)
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


def check(world: World) -> Views:
    """Look everywhere, and compare."""
    views = Views.of(world.web.url, world.log)
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
    # What this version cannot read waits for one that can.
    end = State.CATCHING_UP if move == State.SELECTION_UNREADABLE.value else State.DELIVERING
    assert check(world).document["state"] == end.value


def test_where_all_is_rejected_the_reason_is_what_is_known(world: World) -> None:
    world.well()
    world.well({"items": {str(n): {"status": 400, "message": "too <long>"} for n in range(4)}})

    document = check(world).document
    assert document["state"] == State.REJECTED.value
    assert document["detail"].endswith("too <long>")


def test_what_holds_up_a_backlog_is_told_while_all_else_is_well(world: World) -> None:
    world.well()
    world.unreadable()
    world.well()

    document = check(world).document
    assert document["state"] == State.CATCHING_UP.value
    assert "of a later version" in document["detail"]


def test_there_is_a_way_into_every_state() -> None:
    assert set(State) - set(CAUSES) == {State.STARTING}  # in which each begins


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(moves=st.lists(st.sampled_from(sorted(MOVES)), min_size=4, max_size=8))
def test_the_views_agree_whatever_happens_after_whatever(
    make_bridge: MakeBridge, tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    with worlds(make_bridge, tmp_path_factory.mktemp("state")) as world:
        for move in moves:
            MOVES[move](world)
            check(world)
