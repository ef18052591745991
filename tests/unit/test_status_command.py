"""``triton-bridge status``: what it shows of a document, and where there is none."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from rich.console import Console

from bridge.account import Account, Detail, Fate
from bridge.backlog import Backlog
from bridge.cli import bars, status_tables, two_days, watching
from bridge.errors import BridgeError, ConfigurationError
from bridge.points import Condition, Glance, Obstacle, Outcome, Rejection, Report, Settlement
from bridge.settings import Address, Settings, load
from bridge.states import State
from bridge.status import About, Board, Memory
from bridge.web import Web, as_json
from tests.scripted.clock import Clock

T = 1_795_000_020.0  # 2026-11-18T11:07:00Z
HOUR = 3600.0
REASON = "Field 'value' is too long\x1b[2J"
KEY = "11111111-2222-3333-4444-555555555555"


def account(**changes: Any) -> Account:
    """One that holds something of everything."""
    rejection = Rejection("m", {"model": "[bold]a"}, "2026-11-18T10:07:00Z", 400, REASON)
    points = {**dict.fromkeys(Outcome, 0), Outcome.ACCEPTED: 1_234_567, Outcome.NOT_FINITE: 3}
    del points[Outcome.WAITING]
    known = Account(
        origin=T - 40 * HOUR,
        cycles={**dict.fromkeys(Settlement, 0), Settlement.SETTLED: 2399, Settlement.WAITING: 1},
        points=points,
        waiting={Outcome.WAITING: 33},
        leftovers=0,
        possibly_repeated=5,
        unconfirmed=0,
        last_delivered=T - 60,
        oldest_waiting=T,
        details=(
            Detail(T - 60, T, Settlement.WAITING, {Outcome.WAITING: 33}),
            Detail(T - 120, T - 60, Settlement.SETTLED, {Outcome.ACCEPTED: 30, Outcome.REJECTED: 2}),
        ),
        rejections=((T - HOUR, rejection),),
        unknown=(),
        timeline=((T - 40 * HOUR, T - 60, Fate.DELIVERED), (T - 60, T, Fate.WAITING)),
    )
    return replace(known, **changes)


def report(**changes: Any) -> Report:
    metrics = {"requests": Glance(24, ("model", "version"), 1234.5), "gpu": Glance(1, (), 0.25)}
    outcomes = {Outcome.ACCEPTED: 25}
    return Report(
        T,
        Settlement.SETTLED,
        outcomes,
        **{"metrics": metrics, "condition": Condition.DELIVERING, "billed_bytes": 29_630, "seconds": 0.083, **changes},
    )


THROTTLED = {"settlement": Settlement.WAITING, "condition": Condition.THROTTLED, "problems": ("Azure answered 429",)}


def board(*reports: Report, memory: Memory | None = None) -> Board:
    about = About("0.1.0", "triton", "pod-1", 60.0, "/etc/bridge/metrics.json", {"opentelemetry-sdk": "1.45.2"})
    made = Board(Clock(T + 25), lambda: memory or Memory(account()), Clock(0.0), about=about)
    made.selected("dc6713848fce")
    for each in reports:
        made.record(each)
    return made


def document(*reports: Report, memory: Memory | None = None) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(as_json(board(*reports, memory=memory).snapshot())))


def shown(told: dict[str, Any], width: int = 80) -> str:
    output = StringIO()
    console = Console(file=output, width=width, highlight=False, markup=False, emoji=False)
    console.print(status_tables.status(told, width))
    return output.getvalue()


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_the_first_lines_say_the_state_since_when_why_and_what_to_do() -> None:
    first, known, remedy, *_ = shown(document(replace(report(), **THROTTLED))).splitlines()

    assert first == "! throttled since 11:07:25, for 0 s"
    assert known.split("  ")[1:] == ["what is known", " Azure answered 429"]
    assert remedy.strip() == f"what to do      {State.THROTTLED.remedy}"


def test_what_needs_a_look_is_shown_whatever_the_state_is() -> None:
    text = shown(document(report(), memory=Memory(account(), "the disk is full", ("a file is damaged",))))

    assert "✗ the disk is full" in text
    assert "✗ a file is damaged" in text


def test_the_account_adds_up_in_both_columns() -> None:
    lines = shown(document(report())).splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip().startswith("points read"))
    points: list[list[int]] = []
    cycles: list[list[int]] = []
    for line in lines[start : start + 7]:
        numbers = [int(text.replace(",", "")) for text in re.findall(r"(?<= )[\d,]+(?= |$)", line)]
        points.append(numbers[:2])
        if numbers[2:]:
            cycles.append(numbers[2:])

    assert points[0] == [65, 1_234_603]
    assert cycles[0] == [2, 2400]
    for total, *parts in (points, cycles):
        assert total == [sum(column) for column in zip(*parts, strict=True)]


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    long = "nv_inference_" + "very_" * 30 + "long"
    told = document(report(metrics={long: Glance(9, (long,), 1e12)}, absent=(long,), left_out={long: 3}))

    assert max(map(len, shown(told, width).splitlines())) <= width


def test_nothing_is_cut_off_at_80_columns() -> None:
    told = document(report())
    text = "".join(shown(told).split())

    for part in (told["query"], "nothing was due", "24hago", REASON.replace("\x1b", "\\x1b"), "1,234", "model,version"):
        assert "".join(part.split()) in text


def test_a_problem_that_lasts_is_written_out_once() -> None:
    throttled = [replace(report(), time=T + 60 * number, **THROTTLED) for number in range(4)]
    ok = replace(report(), time=T + 240)
    rows = shown(document(*throttled, ok), 120).partition("Newest cycles")[2].splitlines()[2:7]

    assert [row.rstrip().split("  ")[-1].strip() for row in rows] == [
        "83",  # ms, and no problem
        THROTTLED["problems"][0],
        *["as above"] * 3,
    ]


def test_what_came_from_outside_neither_steers_the_terminal_nor_is_markup() -> None:
    text = shown(document(report()))

    assert "\x1b" not in text
    assert "model=[bold]a" in text


def test_a_bridge_that_has_just_begun_can_be_shown() -> None:
    nothing = Backlog(None).account
    text = shown(document(memory=Memory(nothing)))

    assert text.startswith("» starting since ")
    for said in ("last cycle      none yet", "newest in Azure nothing yet", "waiting         nothing", "not known yet"):
        assert said in text


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_shown(state: State) -> None:
    told = {**document(report()), "state": state.value, "words": state.words, "remedy": state.remedy}

    assert f" {state.words} since " in shown(told).splitlines()[0]


def test_metrics_that_were_read_last_some_cycles_ago_are_shown_with_a_trend_that_ends_then() -> None:
    unread = Report(T + 600, Settlement.WAITING, {}, problems=("refused",), obstacle=Obstacle.PROMETHEUS)
    told = {**document(report(), unread), "now": T + 625}
    (line,) = [line for line in shown(told, 160).splitlines() if line.startswith("  gpu ")]

    assert line.rstrip().endswith("▄")
    assert len(line) - len(line.rstrip()) >= 10


# -- the pictures ------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_behind_that_of_prometheus_shows_all_the_same() -> None:
    told = document(replace(report(), time=T + 600))

    assert "requests" in shown(told)
    assert next(line for line in shown(told).splitlines() if "requests" in line).rstrip()[-1] in bars._BARS


@given(
    st.lists(st.tuples(st.floats(0, 172_800), st.floats(1, 7200), st.sampled_from(Fate)), max_size=20),
    st.sampled_from([24, 72, 144]),
)
def test_each_character_of_the_timeline_is_the_worst_of_its_stretch_of_time(
    stretches: list[tuple[float, float, Fate]], cells: int
) -> None:
    now = 1_000_000.0
    spans = [
        (now - 172_800 + begin, min(now, now - 172_800 + begin + length), fate) for begin, length, fate in stretches
    ]
    each = 172_800 / cells

    def rank(fates: list[Fate]) -> int:
        return max(map(list(bars.FATES).index, fates), default=-1)

    for cell, found in enumerate(bars.timeline(spans, now, cells)):
        left, right = now - 172_800 + cell * each, now - 172_800 + (cell + 1) * each
        inside = [fate for start, end, fate in spans if start < right - 0.01 and end > left + 0.01]
        touching = [fate for start, end, fate in spans if start < right + 0.01 and end > left - 0.01]
        assert rank(inside) <= rank([found] if found else []) <= rank(touching)


def test_stretches_of_which_something_is_missing_are_listed_newest_first_with_their_reasons() -> None:
    hours = [(Fate.EXPIRED, 40), (Fate.NO_DATA, 30), (Fate.REPAIRED, 20), (Fate.REJECTED, 2)]
    timeline = tuple((T - hour * HOUR, T - (hour - 1) * HOUR, fate) for fate, hour in hours)
    told = shown(document(report(), memory=Memory(account(timeline=timeline))), 120)
    rows = [re.split(r" {2,}", line.strip()) for line in told.splitlines() if ":00 to " in line]

    assert rows == [
        ["%", "09:07:00 to 10:07:00", "1 h", "some or all points rejected"],
        ["·", "17 Nov 05:07:00 to 17 Nov 06:07:00", "1 h", "no data"],
        ["x", "16 Nov 19:07:00 to 16 Nov 20:07:00", "1 h", "expired"],
    ]


def test_where_none_is_missing_that_is_said() -> None:
    assert "No cycle is missing in Azure for good." in shown(document(report()))


def test_of_many_such_stretches_the_others_are_counted() -> None:
    timeline = tuple((T - (9 - n) * HOUR, T - (8.5 - n) * HOUR, Fate.NO_DATA) for n in range(7))

    assert "and 2 more, on the page" in shown(document(report(), memory=Memory(account(timeline=timeline))))


def test_all_fates_have_a_character_of_their_own() -> None:
    marks = [mark for mark, _ in (*two_days.MARKS.values(), two_days.NOT_DUE)]

    assert set(two_days.MARKS) == set(Fate)
    assert len(set(marks)) == len(marks) == len(Fate) + 1


@given(st.lists(st.none() | st.floats(-1e9, 1e9), min_size=60, max_size=60), st.sampled_from([10, 20, 30, 60]))
def test_a_sparkline_has_one_bar_for_each_part_the_least_lowest_and_the_most_highest(
    values: list[float | None], places: int
) -> None:
    line = bars.sparkline(values, places)
    parts = [[one for one in values[n : n + 60 // places] if one is not None] for n in range(0, 60, 60 // places)]
    means = [sum(part) / len(part) if part else math.nan for part in parts]
    known = [one for one in means if not math.isnan(one)]

    assert [bar == " " for bar in line] == [math.isnan(one) for one in means]
    if known and max(known) > min(known):
        assert line[means.index(min(known))] == "▁"
        assert line[means.index(max(known))] == "█"


# -- where it is asked -------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"BRIDGE_STATE_DIR": str(tmp_path), "INSTRUMENTATION_KEY": KEY}, secrets_dir=tmp_path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:9464"),
        ("0.0.0.0", "http://127.0.0.1:9464"),
        ("::", "http://[::1]:9464"),
        ("::1", "http://[::1]:9464"),
        ("bridge.example", "http://bridge.example:9464"),
    ],
)
def test_a_bridge_that_listens_on_all_addresses_is_asked_at_loopback(host: str, expected: str) -> None:
    assert watching.address(Address(host, 9464)) == expected


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web("127.0.0.1", 0, board=board(report()), registry=CollectorRegistry())
    yield web
    web.close()


def test_the_document_is_asked_of_the_bridge_itself_and_of_no_proxy(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert (
        json.loads(watching.fetch(web.url))["words"]
        == json.loads(watching.fetch(web.url[:-1]))["words"]
        == "catching up"
    )


def test_a_url_without_a_scheme_is_told_as_such() -> None:
    with pytest.raises(ConfigurationError, match=r"--url: 'localhost:9464' has no scheme — http://localhost:9464"):
        watching.fetch("localhost:9464")


def test_where_nothing_answers_one_line_says_what_to_do() -> None:
    with pytest.raises(
        BridgeError, match=r"no triton-bridge answers at http://127.0.0.1:9/status.json .* BRIDGE_LISTEN"
    ):
        watching.fetch("http://127.0.0.1:9")


def test_what_answers_and_is_no_bridge_is_told_apart(web: Web) -> None:
    with pytest.raises(BridgeError, match="is no triton-bridge"):
        watching.fetch(f"{web.url}livez")


def test_a_bridge_of_a_version_that_tells_other_things_is_said_to_be_so() -> None:
    with pytest.raises(BridgeError, match=r"another version.* --json writes it as it is"):
        watching.show(b'{"words": "delivering", "healthy": true}')


def test_the_folder_tells_what_a_bridge_that_does_not_run_has_done(settings: Settings, tmp_path: Path) -> None:
    assert watching.kept(settings) is None
    backlog = Backlog(tmp_path / "bridge")
    backlog.lock()
    backlog.in_force(0.0, 60.0, "digest", "{}")
    backlog.settle(0.0, 60.0, Settlement.SETTLED, {})
    backlog.close()

    told = str(watching.kept(settings))
    assert told.startswith(
        f"{tmp_path / 'bridge'}: 0 points were accepted since 1970-01-01T00:00:00Z, the newest of none; "
    )


# -- again and again ---------------------------------------------------------------------------------------------------


class Enough:
    """A pause that is broken off by Ctrl-C after so many."""

    def __init__(self, pauses: int) -> None:
        self.left = pauses

    def __call__(self, _: float) -> None:
        self.left -= 1
        if self.left <= 0:
            raise KeyboardInterrupt


def test_watching_ends_with_ctrl_c_and_the_exit_code_of_what_was_seen_last(capsys: pytest.CaptureFixture[str]) -> None:
    seen = [document(report()), document(replace(report(), **THROTTLED)), document(report())]

    codes = [watching.watch(iter([orjson.dumps(one) for one in seen[:n]]).__next__, Enough(n)) for n in (1, 2, 3)]

    assert codes == [0, 1, 0]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if " since 1" in line and line[0] in "»!"] == [
        *("catching", "catching", "throttled", "catching", "throttled", "catching"),
    ]


def test_watching_goes_on_while_nothing_answers(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([b"", orjson.dumps(document(report()))])

    def ask() -> bytes:
        if not (answer := next(answers)):
            raise BridgeError("no triton-bridge answers")
        return answer

    assert watching.watch(ask, Enough(2)) == 0
    assert capsys.readouterr().out.startswith("✗ no triton-bridge answers\n» catching up")


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    watching.show(orjson.dumps(document(report())))

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "\x1b" in line or line != line.rstrip()] == []
