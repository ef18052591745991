"""The bridge's own metrics: one table, from the start, of what the status shows; and docs/own-metrics.md says the same."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client import ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.account import Account
from bridge.instruments import TABLE, Instruments, Kind, Own
from bridge.points import Condition, Glance, Obstacle, Outcome, Report, Settlement
from bridge.selection import parse
from bridge.states import State
from bridge.status import Board, Memory
from examples.stack import ROOT
from tests.scripted.clock import Clock
from tools.own_metrics import DOCUMENT, filled

LIMIT = 47 * 3600.0
GUIDE = DOCUMENT.read_text(encoding="utf-8")
PROCESS = {sample.name for family in ProcessCollector(registry=None).collect() for sample in family.samples}
READ = {Outcome.ACCEPTED: 5, Outcome.REJECTED: 1, Outcome.NOT_FINITE: 2}
DELIVERED = Report(
    960.0,
    Settlement.SETTLED,
    READ,
    metrics={"m": Glance(6, ("model",), 1.0)},
    condition=Condition.DELIVERING,
    posts=2,
    sent_bytes=700,
    billed_bytes=100,
    seconds=0.25,
)
THROTTLED = Report(1020.0, Settlement.WAITING, {Outcome.WAITING: 8}, condition=Condition.THROTTLED, posts=1)
UNREAD = Report(1080.0, Settlement.WAITING, {}, problems=("it is away",), obstacle=Obstacle.PROMETHEUS, seconds=3.0)
ACCOUNT = Account(
    origin=0.0,
    cycles={Settlement.SETTLED: 15, Settlement.WAITING: 2, Settlement.EXPIRED: 3, Settlement.NO_DATA: 4},
    points={**dict.fromkeys(Outcome, 0), **READ},
    waiting={Outcome.WAITING: 8, Outcome.NOT_FINITE: 1},
    leftovers=0,
    possibly_repeated=6,
    unconfirmed=7,
    last_delivered=960.0,
    oldest_waiting=300.0,
    details=(),
    rejections=(),
    unknown=(),
)
NOTHING = Account(
    origin=None,
    cycles=dict.fromkeys(Settlement, 0),
    points=dict.fromkeys(Outcome, 0),
    waiting={},
    leftovers=0,
    possibly_repeated=0,
    unconfirmed=0,
    last_delivered=None,
    oldest_waiting=None,
    details=(),
    rejections=(),
    unknown=(),
)


class Shown:
    """A board, its memory, and the metrics that follow it."""

    def __init__(self) -> None:
        self.memory = Memory(NOTHING)
        self.board = Board(Clock(1000.0), lambda: self.memory, Clock(0.0))
        self.instruments = Instruments()
        self.instruments.follow(self.board.snapshot, limit=LIMIT)

    def series(self) -> dict[str, float]:
        """All of them as they are written, but those of the process."""
        text = generate_latest(self.instruments.registry).decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines if name not in PROCESS}


@pytest.fixture
def shown() -> Shown:
    return Shown()


def declared() -> set[str]:
    """Every series that the table declares."""
    return {
        f'{own.name}{{{own.label}="{value}"}}' if own.label else own.name
        for own in TABLE
        for value in own.values or ("",)
    }


# -- the table -------------------------------------------------------------------------------------------------------


def test_what_is_exposed_is_what_the_table_declares_in_its_order() -> None:
    exposed = text_string_to_metric_families(generate_latest(Instruments().registry).decode())

    assert [
        (family.name + ("_total" if family.type == "counter" else ""), family.type, family.documentation)
        for family in exposed
        if family.name.startswith("triton_bridge_")
    ] == [(own.name, own.kind.value, own.help) for own in TABLE]


def test_before_anything_is_followed_every_series_is_there_at_zero() -> None:
    text = generate_latest(Instruments().registry).decode()

    series = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("triton_bridge_"))

    assert series == dict.fromkeys(declared(), "0.0")


def test_of_a_bridge_that_has_just_started_all_but_what_it_is_is_zero(shown: Shown) -> None:
    assert {name: value for name, value in shown.series().items() if value} == {
        'triton_bridge_state{state="starting"}': 1.0,
        "triton_bridge_interval_seconds": 60.0,
        "triton_bridge_backfill_limit_seconds": LIMIT,
        "triton_bridge_state_durable": 1.0,
        "triton_bridge_config_last_reload_successful": 1.0,
        next(name for name in declared() if name.startswith("triton_bridge_build_info")): 1.0,
    }


def test_no_series_comes_or_goes_whatever_happens(shown: Shown) -> None:
    seen = [set(shown.series())]
    for report in (DELIVERED, THROTTLED, UNREAD):
        shown.memory = Memory(ACCOUNT, "the disk is full", ("a file is damaged",))
        shown.board.record(report)
        shown.instruments.count(report)
        seen.append(set(shown.series()))

    assert seen == [declared()] * 4


@pytest.mark.parametrize("own", TABLE, ids=lambda own: own.name)
def test_names_are_as_prometheus_has_them(own: Own) -> None:
    assert re.fullmatch(r"triton_bridge_[a-z]+(_[a-z]+)*", own.name)
    assert own.name.endswith("_total") is (own.kind is Kind.COUNTER)
    assert own.help.endswith(".")


# -- what they show --------------------------------------------------------------------------------------------------


def test_each_shows_what_the_status_shows(shown: Shown) -> None:
    shown.memory = Memory(ACCOUNT)
    shown.board.record(DELIVERED)
    snapshot, series = shown.board.snapshot(), shown.series()

    assert {series[f'triton_bridge_points_total{{outcome="{one.value}"}}']: one for one in READ} == {
        5.0: Outcome.ACCEPTED,
        1.0: Outcome.REJECTED,
        2.0: Outcome.NOT_FINITE,
    }
    assert [series[f'triton_bridge_cycles_total{{outcome="{one}"}}'] for one in ("settled", "expired", "no_data")] == [
        15.0,
        3.0,
        4.0,
    ]
    assert {name.removeprefix("triton_bridge_"): value for name, value in series.items() if "{" not in name} == {
        "healthy": float(snapshot.healthy),
        "waiting_points": 9.0,
        "possibly_repeated_points_total": 6.0,
        "unconfirmed_points_total": 7.0,
        "backlog_cycles": 2.0,
        "backlog_oldest_timestamp_seconds": 300.0,
        "interval_seconds": 60.0,
        "backfill_limit_seconds": LIMIT,
        "last_cycle_timestamp_seconds": 960.0,
        "last_delivered_timestamp_seconds": 960.0,
        "cycle_seconds": 0.25,
        "series": 8.0,
        "absent_metrics": 0.0,
        "monthly_billed_bytes": 100.0 * 30 * 86_400 / 60,
        "posts_total": 0.0,
        "sent_bytes_total": 0.0,
        "state_durable": 1.0,
        "config_last_reload_successful": 1.0,
    }


def test_points_read_are_those_decided_and_those_that_wait(shown: Shown) -> None:
    """Read = accepted + rejected + expired + waiting + not finite + left out."""
    shown.memory = Memory(ACCOUNT)
    series = shown.series()

    decided = sum(value for name, value in series.items() if name.startswith("triton_bridge_points_total{"))
    assert decided + series["triton_bridge_waiting_points"] == ACCOUNT.read


@pytest.mark.parametrize(
    "report",
    [
        DELIVERED,
        THROTTLED,
        UNREAD,
        Report(960.0, Settlement.NO_DATA, {}),
        Report(960.0, Settlement.SETTLED, {}),
        *(Report(960.0, Settlement.WAITING, {}, condition=one) for one in Condition),
        *(Report(960.0, Settlement.WAITING, {}, obstacle=one) for one in Obstacle),
    ],
    ids=lambda report: f"{report.settlement.value} {report.condition} {report.obstacle}",
)
def test_the_state_is_that_of_the_board_and_no_other(report: Report, shown: Shown) -> None:
    shown.board.record(report)
    snapshot, series = shown.board.snapshot(), shown.series()

    assert {one: series[f'triton_bridge_state{{state="{one.value}"}}'] for one in State} == {
        one: float(one is snapshot.state) for one in State
    }
    assert series["triton_bridge_healthy"] == float(snapshot.healthy)


def test_a_cycle_that_could_not_be_read_has_no_series_and_leaves_the_estimate(shown: Shown) -> None:
    shown.board.record(DELIVERED)
    estimated = shown.series()["triton_bridge_monthly_billed_bytes"]
    shown.board.record(UNREAD)
    series = shown.series()

    assert (series["triton_bridge_series"], series["triton_bridge_cycle_seconds"]) == (0.0, 3.0)
    assert series["triton_bridge_last_cycle_timestamp_seconds"] == UNREAD.time
    assert series["triton_bridge_monthly_billed_bytes"] == estimated > 0


def test_a_state_that_is_not_on_disk_and_a_bad_selection_are_told(shown: Shown) -> None:
    shown.memory = Memory(NOTHING, trouble="the disk is full")
    shown.board.not_selected(["line 1: no JSON"])
    series = shown.series()

    assert series["triton_bridge_state_durable"] == 0
    assert series["triton_bridge_config_last_reload_successful"] == 0

    shown.memory = Memory(NOTHING)
    shown.board.selected("digest")
    series = shown.series()

    assert series["triton_bridge_state_durable"] == 1
    assert series["triton_bridge_config_last_reload_successful"] == 1


def test_what_was_posted_is_counted_for_every_report(shown: Shown) -> None:
    for report in (DELIVERED, THROTTLED, UNREAD):
        shown.instruments.count(report)
    series = shown.series()

    assert (series["triton_bridge_posts_total"], series["triton_bridge_sent_bytes_total"]) == (3.0, 700.0)


def test_the_process_is_told_under_the_standard_names() -> None:
    text = generate_latest(Instruments().registry).decode()
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}

    assert families["process_resident_memory_bytes"][0].value > 1e6
    assert families["process_cpu_seconds"][0].value > 0
    assert {name for name in families if not name.startswith("triton_bridge_")} == {
        name.removesuffix("_total") for name in PROCESS
    }


# -- what others say of them -----------------------------------------------------------------------------------------


def test_prometheus_own_linter_has_nothing_to_say(prometheis: dict[str, Path | str], shown: Shown) -> None:
    shown.memory = Memory(ACCOUNT)
    shown.board.record(DELIVERED)
    command = [Path(prometheis["own"]) / "promtool", "check", "metrics"]

    done = subprocess.run(command, input=generate_latest(shown.instruments.registry), check=False, capture_output=True)

    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_a_bad_name_is_noticed_by_that_linter(prometheis: dict[str, Path | str]) -> None:
    command = [Path(prometheis["own"]) / "promtool", "check", "metrics"]
    text = b"# HELP things Things.\n# TYPE things counter\nthings 1\n"

    assert subprocess.run(command, input=text, check=False, capture_output=True).returncode != 0


def test_the_tables_of_the_document_are_those_of_the_table() -> None:
    """Otherwise: ``python -m tools.own_metrics``."""
    assert filled(GUIDE) == GUIDE
    assert re.findall(r"<!-- (\w+) -->", GUIDE) == ["own", "end", "labels", "end", "process", "end"]


def test_a_table_that_has_gone_stale_is_noticed() -> None:
    assert filled(GUIDE.replace("| counter |", "| gauge |", 1)) == GUIDE


@pytest.mark.parametrize("text", re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL))
def test_every_metrics_json_of_the_document_is_one(text: str) -> None:
    assert parse(text).entries


def test_whoever_names_an_own_metric_names_one_that_there_is() -> None:
    """Program, documents, presets, dashboards, alerts and queries. (The change log may name what there was.)"""
    places = [
        *(ROOT / "bridge").rglob("*.py"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
        *(ROOT / "config").rglob("*.json"),
        *(path for path in (ROOT / "deploy").rglob("*.*") if path.suffix in {".yml", ".yaml", ".json", ".kql"}),
        *(ROOT / "tools").rglob("*.py"),
    ]
    told = {name for path in places for name in re.findall(r"triton_bridge_\w+[a-z]", path.read_text(encoding="utf-8"))}
    bare = {own.name.removesuffix("_total") for own in TABLE}

    assert {name for name in told if name.removesuffix("_total") not in bare} == set()
