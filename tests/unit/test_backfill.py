"""What a person may write for a stretch of time, what of it is refused, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.account import Account
from bridge.backfill import Progress, Result, Wish, due, plan, shown
from bridge.backlog import Backlog, Stretch
from bridge.cli.terminal import progress_lines
from bridge.errors import ConfigurationError, PrometheusRefused
from bridge.points import Batch, Receipt, Rejection, Settlement
from bridge.prometheus import Target
from bridge.settings.syntax import Wrong, when
from tests.scripted.clock import Clock

NOW = 1_795_000_000.0
NEWEST, LIMIT = NOW - 40, 47 * 3600.0


# As POSIX writes them: a small machine knows no zones by their names.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
ZONES = ["UTC0", BERLIN, "EST5EDT,M3.2.0,M11.1.0", "IST-5:30", "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45"]


@contextmanager
def local_time(zone: str) -> Iterator[None]:
    """Let the local time be that of a zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def _berlin() -> Iterator[None]:
    with local_time(BERLIN):
        yield


def findings(call: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        call()
    return [str(finding) for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-21 10:00", "2026-11-21 09:00:00"),
        ("2026-07-21T10:00:30", "2026-07-21 08:00:30"),
        ("2026-11-21", "2026-11-20 23:00:00"),
        ("2026-11-21T10:00:00Z", "2026-11-21 10:00:00"),
        ("2026-11-21 10:00z", "2026-11-21 10:00:00"),
        ("2026-11-21T10:00:00+01:00", "2026-11-21 09:00:00"),
        ("2026-11-21 10:00:00 -0530", "2026-11-21 15:30:00"),
        (" 2026-11-21T10:00:00.25Z ", "2026-11-21 10:00:00.250000"),
    ],
)
def test_a_time_is_read_as_people_and_programs_write_it(text: str, utc: str) -> None:
    assert datetime.fromtimestamp(when(text), timezone.utc) == datetime.fromisoformat(f"{utc}+00:00")


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "10:00", "2026-11-21 25:00", "2026-13-01", "21.11.2026", "2026-11-21 10:00 CET", "1795000000"],
)
def test_what_is_no_time_is_refused_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(Wrong, match="is not a time") as caught:
        when(text)

    assert "2026-11-21T10:00:00Z" in caught.value.remedy


@given(moment=st.integers(0, 4_000_000_000), zone=st.sampled_from(ZONES), offset=st.integers(-23 * 60, 23 * 60))
@example(moment=1792891800, zone=BERLIN, offset=0)  # half past two, for the second time
def test_all_ways_to_write_a_moment_name_the_same(moment: int, zone: str, offset: int) -> None:
    utc = datetime.fromtimestamp(moment, timezone.utc)
    with local_time(zone):
        local = datetime.fromtimestamp(moment)  # noqa: DTZ006 — local time is meant

        assert when(utc.astimezone(timezone(timedelta(minutes=offset))).isoformat()) == moment
        assert when(utc.strftime("%Y-%m-%d %H:%M:%SZ")) == moment
        assert [when(text) for text in shown(moment).removesuffix(")").split(" (")] == [moment, moment]
        # Where a clock is put back, an hour comes twice: what bears no offset means the first.
        assert when(str(local)) == local.replace(fold=0).timestamp()
        assert local.fold or when(str(local)) == moment


def test_a_wish_is_two_times_or_a_time_up_to_now() -> None:
    assert Wish.read("2026-11-18T10:00:00Z", "2026-11-18T11:00:00Z", None) == (1794996000, 1794999600, None)
    assert Wish.read("2026-11-18T10:00:00Z", None, None) == (1794996000, None, None)
    assert Wish.read(None, None, "1h30m") == (None, None, 5400)


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ((None, None, None), ["--start: is missing"]),
        ((None, "2026-11-21", None), ["--start: is missing"]),
        (("2026-11-21", None, "6h"), ["--last: is given beside"]),
        (("2026-11-21", "2026-11-21", None), ["--end: is not later than --start"]),
        (("x", "y", "z"), ["--start: 'x'", "--end: 'y'", "--last: 'z'", "--last: is given beside"]),
        ((None, None, "0s"), ["--last: 0s is out of range"]),
    ],
)
def test_everything_that_is_wrong_with_a_wish_is_told_at_once(given: tuple[str | None, ...], places: list[str]) -> None:
    found = findings(lambda: Wish.read(*given))

    assert [line.startswith(place) for line, place in zip(found, places, strict=True)] == [True] * len(places)
    assert all(" — " in line for line in found)


def test_a_stretch_ends_with_the_newest_grid_time_that_is_due() -> None:
    assert Wish(None, None, 600).bounds(NOW, NEWEST, LIMIT) == (NOW - 600, NEWEST)
    assert Wish(NOW - 600, NOW + 600, None).bounds(NOW, NEWEST, LIMIT) == (NOW - 600, NEWEST)
    assert Wish(NOW - 600, NOW - 300, None).bounds(NOW, NEWEST, LIMIT) == (NOW - 600, NOW - 300)


@pytest.mark.parametrize(("wish", "place"), [(Wish(NOW - 10, None, None), "--start"), (Wish(None, None, 30), "--last")])
def test_a_stretch_in_which_nothing_fell_due_is_refused(wish: Wish, place: str) -> None:
    (line,) = findings(lambda: wish.bounds(NOW, NEWEST, LIMIT))

    assert line.startswith(f"{place}: nothing has fallen due after ")
    assert shown(NEWEST) in line


def test_the_limit_itself_is_not_too_far_back_and_anything_more_is_refused_with_the_earliest_time() -> None:
    start, _ = Wish(None, None, LIMIT).bounds(NOW, NEWEST, LIMIT)
    assert 60 <= start - (NOW - LIMIT) <= 120, "what is at the limit expires before it is posted"

    (line,) = findings(lambda: Wish(NOW - LIMIT - 1, None, None).bounds(NOW, NEWEST, LIMIT))

    assert line.startswith("--start: ")
    assert "BRIDGE_BACKFILL_LIMIT=47h" in line
    earliest = when(line.rpartition("earliest possible time is ")[2].partition(" (")[0])
    assert 60 <= earliest - (NOW - LIMIT) <= 120
    a_minute_later = NOW + 60
    assert Wish(earliest, None, None).bounds(a_minute_later, NEWEST, LIMIT) == (earliest, NEWEST)


class Source:
    """A Prometheus that tells of targets with these scrape time-outs, or of none at all."""

    def __init__(self, *timeouts: float, refuses: bool = False) -> None:
        self._timeouts, self._refuses = timeouts, refuses

    def now(self) -> float:
        return NOW

    def ask(self, expr: str, at: float) -> list:
        raise NotImplementedError

    def lookback(self) -> float:
        raise NotImplementedError

    def targets(self) -> list[Target]:
        if self._refuses:
            raise PrometheusRefused(404, "page not found")
        return [Target("job", "instance", 15.0, timeout, "up", "") for timeout in self._timeouts]


@pytest.mark.parametrize(
    ("source", "newest"),
    [
        (Source(), NOW - 40),  # NOW is 40 s after a full minute
        (Source(4.0, 30.0), NOW - 40),
        (Source(40.0, 4.0), NOW - 100),
        (Source(refuses=True), NOW - 40),
    ],
)
def test_a_grid_time_is_due_when_its_slowest_scrape_has_landed(source: Source, newest: float) -> None:
    assert due(source, 60.0, 5.0) == (NOW, newest)


def test_a_plan_names_the_stretch_in_both_times_and_counts_its_cycles() -> None:
    stretch = Stretch(1_795_000_020, 1_795_000_620, cycles=10, settled=3, waiting=2)

    assert plan(stretch).splitlines() == [
        "from 2026-11-18 12:07:00+01:00 (2026-11-18T11:07:00Z) to 2026-11-18 12:17:00+01:00 (2026-11-18T11:17:00Z)",
        "10 cycles: 3 settled already, 2 waiting, 5 never begun",
    ]


def account_after(*receipts: Receipt) -> tuple[Account, Account]:
    """The account of a bridge before and after cycles that got these receipts; one more had no data.

    Before, a point was rejected.
    """
    backlog = Backlog(None)
    backlog.in_force(1200, 60, "d", "text")

    def post(start: float, receipt: Receipt) -> None:
        points = receipt.accepted + receipt.rejected + receipt.expired
        cycle = backlog.begin(start, start + 60, [Batch.pack([b"{}"] * points)])
        cycle.intent(0)
        cycle.verdict(0, receipt)
        cycle.end()

    post(1200, Receipt(rejected=1, rejections=(Rejection("old", {}, "", 400, "old"),)))
    before = backlog.account
    backlog.settle(1260, 1320, Settlement.NO_DATA, {})
    for number, receipt in enumerate(receipts):
        post(1320 + 60 * number, receipt)
    return before, backlog.account


def test_a_result_without_losses_is_one_line() -> None:
    accounts = account_after(Receipt(accepted=2), Receipt(accepted=3, possibly_repeated=1))

    assert Result.between(*accounts, 12.34) == (
        "2 cycles posted, 5 points accepted, 1 of them possibly repeated, 1 cycles without data, 12.3 s",
        (),
    )


def test_what_was_lost_is_told_with_its_reasons() -> None:
    def rejected(metric: str, times: int, kept: int) -> Receipt:
        return Receipt(accepted=1, rejected=times, rejections=(Rejection(metric, {}, "", 400, "too long"),) * kept)

    accounts = account_after(rejected("m", 2, kept=2), rejected("n", 3, kept=1), Receipt(expired=4))

    assert Result.between(*accounts, 1).losses == (
        "2 points rejected: m: 400 too long",
        "1 points rejected: n: 400 too long",
        "2 points more rejected",
        "0 cycles and 4 points expired: they were older than is taken",
    )


def test_where_no_bar_can_be_drawn_a_line_tells_now_and_then() -> None:
    clock = Clock(0.0)

    def steps() -> Iterator[Progress]:
        for done in range(0, 31, 2):
            yield Progress(done, 30)
            clock.sleep(1)

    assert list(progress_lines(steps(), clock)) == [
        "20 of 30 cycles, 2.0 cycles/s, 5s left",
        "30 of 30 cycles, 1.9 cycles/s",
    ]


def test_a_file_is_told_of_progress_even_where_nothing_moves() -> None:
    clock = Clock(0.0)

    def steps() -> Iterator[Progress]:
        for _ in range(2):
            yield Progress(0, 30)
            clock.sleep(10)

    assert list(progress_lines(steps(), clock)) == ["0 of 30 cycles, 0.0 cycles/s"] * 2
