"""The first and the last interval of a run: neither lies between two grid times, and both are counted to the unit."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from bridge.daemon import see_opening
from bridge.points import Outcome, Settlement, Sighting, identity
from bridge.turns import Turns
from bridge.witness import Witness
from tests.flow.conftest import INTERVAL, Bridge, MakeBridge, T

TARGET = "triton-0:8002"
GAIN = {"metric": "c", "mode": "increase"}
STOP = T + 22.5
BASE = [(T - 75, 12), (T, 12)]  # nothing gained in the cycle of T


def exposition(value: float) -> str:
    return f'# TYPE c counter\nc{{model="a"}} {value}\ng{{model="a"}} 0.5\nother 1\n'


def started(make_bridge: MakeBridge, folder: Path, *metrics: object, now: float = T) -> tuple[Bridge, Turns]:
    """A bridge whose loop begins with T."""
    bridge = make_bridge(*(metrics or (GAIN,)), now=now, folder=folder, target=TARGET)
    return bridge, bridge.turns()


def sums(bridge: Bridge, name: str = "c") -> list[float]:
    return [row["valueSum"] for row in bridge.rows(name)]


def test_the_last_row_counts_what_stood_on_the_port_against_the_last_scrape(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    bridge, turns = started(make_bridge, tmp_path, GAIN, "g")
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="a")
    bridge.prometheus.add("g", [(T + 15, 0.1)], model="a")
    bridge.prometheus.scrape([T + 15])
    turns.turn()
    bridge.clock.now = STOP + 1
    turns.close((STOP, exposition(27)), 5.0)

    _, row = bridge.rows("c")
    assert (row["valueSum"], row["timestamp"]) == (15, "2026-11-18T11:07:22.5Z")
    assert row["customDimensions"] == {"model": "a", "job": "triton", "instance": TARGET}
    assert [row["value"] for row in bridge.rows("g")][-1:] == [0.5]
    assert turns.board.snapshot().points[Outcome.ACCEPTED] == 3


def test_the_next_start_goes_on_from_there(make_bridge: MakeBridge, tmp_path: Path) -> None:
    """A bridge that was restarted beside the same Triton: what was seen last is not counted again."""
    bridge, turns = started(make_bridge, tmp_path)
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="a")
    bridge.prometheus.scrape([T + 15])
    turns.turn()
    turns.close((STOP, exposition(27)), 5.0)

    bridge.backlog.close()
    again, turns = started(make_bridge, tmp_path, now=T + INTERVAL)
    again.prometheus.add("c", [*BASE, (T + 15, 20), (T + 45, 29), (T + 60, 31)], model="a")
    again.prometheus.scrape([T + 15, T + 45, T + 60])
    turns.turn()

    assert (sums(bridge), sums(again)) == ([0, 15], [4])


def test_a_new_triton_after_the_last_row_counts_from_zero(make_bridge: MakeBridge, tmp_path: Path) -> None:
    """Even where it has passed the count of the old one before its first scrape."""
    first, turns = started(make_bridge, tmp_path)
    first.prometheus.add("c", BASE, model="a")
    turns.turn()
    turns.close((STOP, exposition(27)), 5.0)

    first.backlog.close()
    again, turns = started(make_bridge, tmp_path, now=T + INTERVAL)
    again.prometheus.add("c", [*BASE, (T + 45, 50)], model="a")
    again.prometheus.scrape([T + 45])
    again.witness.saw(Sighting(T + 32, TARGET, None))
    turns.turn()

    assert sums(again) == [50]


def test_what_was_counted_before_the_first_scrape_is_counted_from_the_closed_port(make_bridge: MakeBridge) -> None:
    """Without it the first sample would be the base line: nobody knows how long that target has counted."""
    for sightings, gained in (((), 5), ((Sighting(T - 40, TARGET, None),), 25)):
        bridge = make_bridge(GAIN)
        for sighting in sightings:
            bridge.witness.saw(sighting)
        bridge.prometheus.series.clear()
        bridge.prometheus.scrape([T - 30], up=0)
        bridge.prometheus.scrape([T - 15, T])
        bridge.prometheus.add("c", [(T - 15, 20), (T, 25)], model="a")
        bridge.run()

        assert sums(bridge) == [gained]


def test_without_a_look_the_last_scrape_is_the_end(make_bridge: MakeBridge, tmp_path: Path) -> None:
    """A native sidecar is stopped after Triton: its port is closed already."""
    bridge, turns = started(make_bridge, tmp_path)
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="a")
    bridge.prometheus.scrape([T + 15])
    turns.turn()
    bridge.clock.now = STOP
    turns.close(None, 5.0)

    _, row = bridge.rows("c")
    assert (row["valueSum"], row["timestamp"]) == (8, "2026-11-18T11:07:15Z")


def test_a_scrape_that_lands_after_the_end_is_counted_by_the_next_start(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    """It bears a time before the end, and was not there when the last row was made."""
    bridge, turns = started(make_bridge, tmp_path)
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="slow")
    bridge.prometheus.scrape([T + 15, T + 20])
    turns.turn()
    bridge.clock.now = STOP
    turns.close(None, 5.0)

    bridge.backlog.close()
    again, turns = started(make_bridge, tmp_path, now=T + INTERVAL)
    again.prometheus.add("c", [*BASE, (T + 15, 20), (T + 19, 24), (T + 50, 30)], model="slow")
    again.prometheus.scrape([T + 15, T + 20, T + 50])
    turns.turn()

    assert (sums(bridge), sums(again)) == ([0, 8], [10])


def test_a_drain_that_lasts_is_posted_in_two_parts(make_bridge: MakeBridge, tmp_path: Path) -> None:
    bridge, turns = started(make_bridge, tmp_path)
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="a")
    bridge.prometheus.scrape([T + 15])
    turns.turn()
    turns.close((STOP, exposition(27)), 5.0)
    turns.close((STOP + 9, exposition(31)), 5.0)

    assert sums(bridge) == [0, 15, 4]


def test_a_run_without_a_scrape_is_counted_whole(make_bridge: MakeBridge, tmp_path: Path) -> None:
    """A container that lived for seconds; its labels are those of prometheus.yml."""
    bridge, turns = started(make_bridge, tmp_path)
    bridge.prometheus.series.clear()
    bridge.witness.saw(Sighting(T + 3, TARGET, None))
    turns.turn()
    turns.close((T + 9, exposition(3)), 5.0)

    (row,) = bridge.rows("c")
    assert (row["valueSum"], row["customDimensions"]["job"]) == (3, "triton")


def test_what_a_restart_could_not_know_of_is_not_posted(
    make_bridge: MakeBridge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    bridge, turns = started(make_bridge, tmp_path / "file")
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="a")
    turns.turn()
    turns.close((STOP, exposition(27)), 5.0)

    assert sums(bridge) == [0]
    assert "the last interval is not posted" in caplog.text


def test_an_end_that_cannot_be_posted_is_a_gap_and_not_counted(
    make_bridge: MakeBridge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bridge, turns = started(make_bridge, tmp_path)
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="a")
    turns.turn()
    bridge.sandbox.script([{"status": 503, "times": 1000}])
    with caplog.at_level(logging.ERROR):
        turns.close((STOP, exposition(27)), 5.0)

    assert "gap at 2026-11-18T11:07:22Z: 1 points were not delivered yet" in caplog.text
    assert bridge.backlog.gap(STOP)
    assert bridge.own("backlog_cycles") == 0, "it is no grid time: the next one counts it"
    assert bridge.witness.sightings[-1].time == STOP, "what was seen is kept: only the post failed"


def test_an_end_after_a_prometheus_that_is_away_is_told(
    make_bridge: MakeBridge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bridge, turns = started(make_bridge, tmp_path)
    turns.turn()
    bridge.prometheus.failures = [(503, b"gone")] * 1000
    turns.close((STOP, exposition(27)), 5.0)

    assert "gap at 2026-11-18T11:07:22Z: it could not be read yet: Prometheus answered 503" in caplog.text


def test_where_prometheus_scrapes_another_triton_there_is_no_end_to_count_to(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    """Its scrapes may take long to land; the count goes on from the last grid time, when it is asked for again."""
    bridge = make_bridge(GAIN, now=T, folder=tmp_path, target="127.0.0.1:8002")
    bridge.prometheus.add("c", [*BASE, (T + 15, 20)], model="a")
    bridge.prometheus.scrape([T + 15])
    turns = bridge.turns()
    turns.turn()
    turns.close(None, 5.0)

    assert sums(bridge) == [0]


def test_grid_times_that_wait_at_the_end_are_left_to_the_next_start(make_bridge: MakeBridge, tmp_path: Path) -> None:
    bridge, turns = started(make_bridge, tmp_path)
    samples = [*BASE, *[(T + 15 * n, 12 + 2 * n) for n in range(1, 17)]]
    bridge.prometheus.add("c", samples, model="a")
    bridge.prometheus.scrape([time for time, _ in samples])
    turns.turn()
    bridge.sandbox.script([{"status": 503, "times": 1000}])
    for minute in (1, 2, 3):
        bridge.clock.now = T + minute * INTERVAL
        turns.turn()
    bridge.sandbox.script([])
    bridge.clock.now = T + 190
    turns.close((T + 185, exposition(37)), 5.0)
    bridge.backlog.close()
    again, turns = started(make_bridge, tmp_path, now=T + 4 * INTERVAL)
    again.prometheus.add("c", samples, model="a")
    again.prometheus.scrape([time for time, _ in samples])
    turns.turn()

    # Until T + 60, 120, 180; 37 on the port at T + 185; 44 scraped at T + 240.
    assert (sums(bridge), sums(again)) == ([0, 1], [8, 7, 8, 8])


def test_grid_times_that_had_no_turn_before_the_end_are_counted_with_it(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    """A Triton that drains for seconds over a full minute; there may be no next start."""
    bridge, turns = started(make_bridge, tmp_path)
    samples = [*BASE, *[(T + 15 * n, 12 + 2 * n) for n in range(1, 5)]]
    bridge.prometheus.add("c", samples, model="a")
    bridge.prometheus.scrape([time for time, _ in samples])
    turns.turn()
    bridge.clock.now = T + 70
    turns.close((T + 68, exposition(23)), 5.0)

    assert sums(bridge) == [0, 11]
    assert bridge.own("backlog_cycles") == 0


def test_an_end_before_the_first_turn_takes_in_no_grid_time_that_waited_before(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    """A bridge that was down for ten minutes and is told to stop while it starts."""
    bridge = make_bridge(GAIN, now=T + 10 * INTERVAL + 20, target=TARGET, folder=tmp_path)
    samples = [(T - 75 + 15 * n, n) for n in range(48)]
    bridge.prometheus.add("c", samples, model="a")
    bridge.prometheus.scrape([time for time, _ in samples])
    bridge.turns().close((T + 10 * INTERVAL + 20, exposition(60)), 5.0)

    assert sums(bridge) == [60 - 45]
    assert next(bridge.backlog.gaps(T + 10 * INTERVAL)).time == T


def test_an_interval_that_begins_after_its_last_scrape_is_not_without_data(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    bridge, _ = started(make_bridge, tmp_path)
    bridge.prometheus.add("c", [*BASE, (T + 50, 20)], model="a")
    bridge.prometheus.scrape([T + 50])
    bridge.clock.now = T + INTERVAL + 6
    bridge.backlog.settle(T, T + 58, Settlement.SETTLED, {})

    assert bridge.run(T + INTERVAL).settlement is Settlement.SETTLED


def test_a_gauge_that_was_seen_needs_no_young_scrape(make_bridge: MakeBridge, tmp_path: Path) -> None:
    bridge, turns = started(make_bridge, tmp_path, "g")
    bridge.prometheus.lookback = 300.0
    turns.turn()
    turns.close((STOP, exposition(1)), 5.0)

    assert [row["value"] for row in bridge.rows("g")] == [0.5]


def test_a_triton_that_was_started_with_us_may_open_before_we_look(tmp_path: Path) -> None:
    """The bundle tells when that was; a bridge that is started again is told the same, and knows it already."""
    for _ in range(2):
        witness = Witness(tmp_path)
        see_opening(TARGET, T - 40, witness, threading.Event())

    assert Witness(tmp_path).sightings == (Sighting(T - 40, TARGET, None),)


@pytest.mark.parametrize(("scraped", "seen", "gained"), [(T - 900, T - 1800, 10), (T - 1800, T - 900, 205)])
def test_the_later_of_a_scrape_and_a_look_is_the_base(
    make_bridge: MakeBridge, scraped: float, seen: float, gained: float
) -> None:
    """The hour before is searched where an interval begins without a sample."""
    bridge = make_bridge(GAIN)
    bridge.prometheus.add("c", [(scraped, 300), (T - 10, 310)], model="a")
    key = identity({"__name__": "c", "job": "triton", "instance": TARGET, "model": "a"})
    bridge.witness.saw(Sighting(seen, TARGET, {key: "105"}))
    bridge.run()

    assert sums(bridge) == [gained]


def test_what_is_counted_before_the_first_scrape_is_there_however_long_ago_triton_was_started(
    make_bridge: MakeBridge,
) -> None:
    """It may have loaded its models for minutes; the zero of its start is older than the lookback then."""
    bridge = make_bridge(GAIN, scraped=False)
    bridge.prometheus.add("c", [(T - 10, 7)], model="a")
    bridge.prometheus.scrape([T - 10])
    bridge.witness.saw(Sighting(T - 900, TARGET, None))
    bridge.run()

    assert sums(bridge) == [7]
