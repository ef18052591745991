"""Logging: what a line looks like, what is held back, what is never written."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import logs
from bridge.times import utc

KEY = "1a2b3c4d-0000-4000-8000-00000000000f"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "logs.md").read_text(encoding="utf-8")
SCHEMA = json.loads(DOCUMENT.partition("```json\n")[2].partition("```")[0])


class Output(io.StringIO):
    """A stream that also gives what was written as lines."""

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    @property
    def messages(self) -> list[str]:
        return [line.partition(": ")[2] for line in self.lines]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Logging is one thing to a process: give it back as it was."""
    loggers = [logging.getLogger(name) for name in [None, *logs._LIBRARIES]]
    levels = [logger.level for logger in loggers]
    handlers, hook = logging.root.handlers[:], threading.excepthook
    logging.root.handlers = []
    yield
    logging.captureWarnings(False)
    threading.excepthook = hook
    logging.root.handlers = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def make_record(**changes: Any) -> logging.LogRecord:
    plain = {"name": "bridge.delivery", "levelno": logging.WARNING, "levelname": "WARNING", "msg": "one"}
    return logging.makeLogRecord(plain | changes)


def run(statements: str) -> list[str]:
    """What a process of its own writes to stderr."""
    program = f"import logging, warnings; from bridge import logs; {statements}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


@pytest.fixture
def make_log() -> Callable[..., tuple[Output, Clock, logging.Handler]]:
    def make(level: str = "info", log_format: Any = "text", **changes: Any) -> tuple[Output, Clock, logging.Handler]:
        output, clock = Output(), Clock()
        return output, clock, logs.setup(level, log_format, stream=output, clock=clock, **changes)

    return make


MakeLog = Callable[..., tuple[Output, Clock, logging.Handler]]
log = logging.getLogger("bridge.delivery")


# -- what a line looks like ------------------------------------------------------------------------------------------


def test_a_text_line_has_time_level_short_logger_and_message(make_log: MakeLog) -> None:
    output, _, _ = make_log()

    log.info("%d points accepted", 3, extra={"anything": "else"})

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO delivery: 3 points accepted\n",
        output.getvalue(),
    )


def test_the_time_is_utc_to_the_millisecond(make_log: MakeLog) -> None:
    output, _, handler = make_log()

    handler.handle(make_record(created=1767225600.25))

    assert output.getvalue().startswith("2026-01-01T00:00:00.250Z ")


def test_the_logger_of_a_library_keeps_its_name(make_log: MakeLog) -> None:
    output, _, _ = make_log()

    logging.getLogger("urllib3.connectionpool").warning("x")

    assert output.getvalue().endswith(" WARNING urllib3.connectionpool: x\n")


def test_a_json_line_has_time_level_logger_and_message_and_nothing_that_the_schema_lacks(make_log: MakeLog) -> None:
    output, _, handler = make_log(log_format="json")

    handler.handle(make_record(msg="%s", args=("späť",), created=1767225600.25, points=3))

    assert json.loads(output.getvalue()) == {
        "ts": "2026-01-01T00:00:00.250Z",
        "level": "warning",
        "logger": "bridge.delivery",
        "message": "späť",
    }


def test_an_exception_is_part_of_its_json_line(make_log: MakeLog) -> None:
    output, _, _ = make_log(log_format="json")

    log.error("not stored", exc_info=OSError("the disk is full"))

    assert json.loads(output.getvalue())["exception"] == "OSError: the disk is full"


def test_an_exception_follows_its_text_line(make_log: MakeLog) -> None:
    output, _, _ = make_log()

    log.error("not stored", exc_info=OSError("the disk is full"))

    first, second = output.lines
    assert first.endswith(" ERROR delivery: not stored")
    assert second == "OSError: the disk is full"


def test_a_message_cannot_look_like_two_lines_or_steer_a_terminal(make_log: MakeLog) -> None:
    output, _, _ = make_log()

    log.info("server says: %s", "no\n2026-01-01T00:00:00.000Z INFO cycle: all is well\x1b[2J")

    assert len(output.lines) == 1
    assert output.getvalue().endswith("no\\n2026-01-01T00:00:00.000Z INFO cycle: all is well\\x1b[2J\n")


# -- of which cycle --------------------------------------------------------------------------------------------------


def test_the_cycle_that_is_worked_on_stands_in_each_line_once(make_log: MakeLog) -> None:
    text, _, _ = make_log()
    with logs.of_cycle(1767225600.9):
        log.info("posted")
        log.info("gap at 2026-01-01T00:00:00Z")
    log.info("after it")

    assert text.messages == ["posted (cycle 2026-01-01T00:00:00Z)", "gap at 2026-01-01T00:00:00Z", "after it"]


def test_the_cycle_is_a_field_for_machines(make_log: MakeLog) -> None:
    output, _, _ = make_log(log_format="json")

    with logs.of_cycle(1767225600.0):
        log.info("gap at 2026-01-01T00:00:00Z")
        with logs.of_cycle(1767225660.0):
            log.info("another")
        log.info("the first again")
    log.info("none")

    assert [json.loads(line).get("cycle") for line in output.lines] == [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:01:00Z",
        "2026-01-01T00:00:00Z",
        None,
    ]


def test_each_thread_works_on_a_cycle_of_its_own(make_log: MakeLog) -> None:
    output, _, _ = make_log()

    with logs.of_cycle(1767225600.0):
        thread = threading.Thread(target=log.info, args=("from beside",))
        thread.start()
        thread.join()

    assert output.messages == ["from beside"]


def test_a_problem_that_is_written_late_stays_of_its_own_cycle(make_log: MakeLog) -> None:
    output, clock, _ = make_log()
    with logs.of_cycle(1767225600.0):
        log.warning("a")
        log.warning("a")
    clock.now = 60
    with logs.of_cycle(1767225660.0):
        log.info("b")

    assert [re.findall(r"cycle (\S+)\)", line) for line in output.lines] == [
        ["2026-01-01T00:00:00Z"],
        ["2026-01-01T00:00:00Z"],
        ["2026-01-01T00:01:00Z"],
    ]


# -- where to, and from whom -----------------------------------------------------------------------------------------


def test_logs_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("info", "text")

    log.info("here")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("delivery: here\n")


def test_python_warnings_are_lines_too() -> None:
    _, line = run("logs.setup('info', 'json'); logging.info('x'); warnings.warn('old API')")

    assert json.loads(line)["logger"] == "py.warnings"
    assert "old API" in json.loads(line)["message"]


# -- levels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["debug", "INFO", "warning", "error"])
def test_what_lies_below_the_level_is_not_written(make_log: MakeLog, level: str) -> None:
    output, _, _ = make_log(level)

    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        log.log(number, "%s", logging.getLevelName(number))

    shown = ["DEBUG", "INFO", "WARNING", "ERROR"]
    assert output.messages == shown[shown.index(level.upper()) :]


@pytest.mark.parametrize("library", ["azure.core.pipeline.policies.http_logging_policy", "urllib3"])
def test_libraries_are_heard_from_warning_on(make_log: MakeLog, library: str) -> None:
    output, _, _ = make_log("debug")

    logging.getLogger(library).info("traffic")
    logging.getLogger(library).warning("trouble")

    assert output.messages == ["trouble"]


def test_an_alarm_that_the_scheduler_skips_is_left_to_the_daemon(make_log: MakeLog) -> None:
    output, _, _ = make_log("debug")

    logging.getLogger("apscheduler.scheduler").warning("skipped")
    logging.getLogger("apscheduler.executors.default").error("raised")

    assert output.messages == ["raised"]


def test_libraries_do_not_undercut_the_level(make_log: MakeLog) -> None:
    output, _, _ = make_log("error")

    logging.getLogger("urllib3").warning("trouble")

    assert output.lines == []


def test_the_exporters_dropped_envelopes_are_not_printed(make_log: MakeLog) -> None:
    """Its errors carry instrumentation key and label values."""
    output, _, _ = make_log("debug")

    logging.getLogger("azure.monitor.opentelemetry.exporter.export._base").error("Data drop 400: %s", "envelope")

    assert output.lines == []


def test_a_second_set_up_replaces_the_first(make_log: MakeLog) -> None:
    first, _, _ = make_log()
    second, _, _ = make_log()

    log.info("once")

    assert (first.messages, second.messages) == ([], ["once"])


# -- what is held back -----------------------------------------------------------------------------------------------


def test_a_repeating_problem_is_written_once_a_minute_with_its_count(make_log: MakeLog) -> None:
    output, clock, handler = make_log()

    for clock.now in range(0, 121, 10):
        handler.handle(make_record(msg="no connection, try %d", args=(clock.now,), created=1767225600.0 + clock.now))

    assert output.messages == [
        "no connection, try 0",
        "no connection, try 60 (5 more since 00:00:00Z)",
        "no connection, try 120 (5 more since 00:01:00Z)",
    ]


def test_a_problem_that_comes_back_later_is_written_plainly(make_log: MakeLog) -> None:
    output, clock, _ = make_log()

    log.warning("no connection")
    clock.now = 60
    log.warning("no connection")

    assert output.messages == ["no connection", "no connection"]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "bridge.cycle"},
        {"levelno": logging.ERROR, "levelname": "ERROR"},
        {"msg": "another"},
    ],
)
def test_logger_level_and_message_tell_problems_apart(make_log: MakeLog, other: dict[str, Any]) -> None:
    output, _, handler = make_log()

    handler.handle(make_record())
    handler.handle(make_record(**other))

    assert len(output.lines) == 2


def test_information_is_never_held_back(make_log: MakeLog) -> None:
    output, _, _ = make_log()

    for _ in range(3):
        log.info("cycle done")

    assert output.messages == ["cycle done"] * 3


def test_a_count_is_written_with_the_next_line_of_anything_once_its_minute_is_over(make_log: MakeLog) -> None:
    """That line is late, and says when the problem came last."""
    output, clock, handler = make_log()

    handler.handle(make_record(msg="try 1", created=1767225605.0))
    handler.handle(make_record(msg="try 1", created=1767225641.0))
    log.info("within the minute")
    clock.now = 75
    log.info("after it")

    late = "earlier: try 1 (1 more since 00:00:05Z, the latest at 00:00:41Z)"
    assert output.messages == ["try 1", "within the minute", late, "after it"]


def test_a_count_is_written_at_the_end(make_log: MakeLog) -> None:
    output, _, handler = make_log()

    for second in (5, 17, 18):
        handler.handle(make_record(msg="try %d", args=(second,), created=1767225600.0 + second))
    handler.close()
    handler.close()

    assert output.messages == ["try 5", "earlier: try 18 (2 more since 00:00:05Z, the latest at 00:00:18Z)"]


def test_machines_get_the_count_and_its_times_as_fields(make_log: MakeLog) -> None:
    output, clock, handler = make_log(log_format="json")

    for clock.now in (0, 30, 60, 70):
        handler.handle(make_record(created=1767225600.0 + clock.now))
    handler.close()

    first, second, late = map(json.loads, output.lines)
    assert first.keys() == {"ts", "level", "logger", "message"}
    assert (second["more"], second["since"]) == (1, "2026-01-01T00:00:00.000Z")
    assert (late["more"], late["since"]) == (1, "2026-01-01T00:01:00.000Z")
    assert late["latest"] == "2026-01-01T00:01:10.000Z"
    assert {line["message"] for line in (first, second, late)} == {"one"}


def test_the_end_of_the_process_writes_the_counts() -> None:
    first, last = run("logs.setup('info', 'text'); [logging.error('x') for _ in '123']")

    assert first.endswith(" ERROR root: x")
    assert re.search(r" ERROR root: earlier: x \(2 more since [\d:]{8}Z, the latest at [\d:]{8}Z\)$", last)


def test_a_held_back_problem_is_not_changed_for_other_handlers(make_log: MakeLog) -> None:
    _, clock, _ = make_log()
    seen: list[str] = []
    other = logging.Handler()
    other.emit = lambda record: seen.append(record.getMessage())
    logging.root.addHandler(other)

    for clock.now in (0, 1, 60):
        log.warning("try %d", clock.now)

    assert seen == ["try 0", "try 1", "try 60"]


def test_memory_is_bounded_and_no_count_lost_for_it(make_log: MakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_PROBLEMS", 2)
    output, _, handler = make_log()

    for message in ("a", "a", "b", "c", "d"):
        log.warning(message)

    assert [re.sub(r" since.*", "", message) for message in output.messages] == [
        "a",
        "b",
        "earlier: a (1 more",
        "c",
        "d",
    ]
    assert len(handler._problems) == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100))))
def test_every_problem_is_either_written_or_counted(events: list[tuple[str, float]]) -> None:
    output, clock = Output(), Clock()
    handler = logs._Handler(output, clock)
    handler.setFormatter(logs._Text(str))

    written: dict[str, float] = {}
    held = 0
    for message, pause in events:
        clock.now += pause
        handler.handle(make_record(msg=message))
        if clock.now - written.get(message, -60) < 60:
            held += 1
        else:
            written[message] = clock.now
    handler.close()

    assert sum(map(int, re.findall(r"\((\d+) more", output.getvalue()))) == held


def test_a_log_call_that_is_wrong_is_a_line_and_does_not_raise(make_log: MakeLog) -> None:
    output, _, handler = make_log(secrets=[KEY])

    for _ in range(2):
        log.warning("%d points", KEY)
    handler.close()

    first, second = output.messages
    assert first.startswith("%d points (the log call is wrong: ")
    assert "(1 more since " in second
    assert KEY not in output.getvalue()


def test_a_stream_that_is_gone_stops_nothing_and_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """``logging`` itself would write the arguments to standard error, secrets among them."""
    output = Output()
    logs.setup("info", "text", stream=output)
    output.close()

    log.warning("key %s", KEY)

    assert capsys.readouterr().err == ""


def test_what_ends_a_thread_is_a_line_with_secrets_masked(make_log: MakeLog) -> None:
    output, _, _ = make_log(log_format="json", secrets=[KEY])

    def fail() -> None:
        raise ValueError(KEY)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    (line,) = map(json.loads, output.lines)
    assert (line["level"], line["exception"].splitlines()[-1]) == ("critical", "ValueError: ***")


# -- what is never written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_is_masked_in_message_arguments_and_exceptions(make_log: MakeLog, log_format: str) -> None:
    output, _, _ = make_log(log_format=log_format, secrets=[KEY, 'pass"wörd'])

    log.error(
        f"key {KEY} or %s, Basic %s",  # noqa: G004 - a secret in the message itself, too
        KEY.upper(),
        'pass"wörd',
        exc_info=ValueError(f"bad {KEY}"),
    )

    assert output.getvalue().count("***") == 4
    assert not re.search(r"1a2b3c4d|pass|rd\b", output.getvalue(), re.IGNORECASE)


def test_the_longer_of_two_secrets_is_masked_whole(make_log: MakeLog) -> None:
    output, _, _ = make_log(secrets=["token", "token-and-more"])

    log.info("token-and-more")

    assert output.messages == ["***"]


def test_a_very_short_secret_does_not_blot_out_the_log(make_log: MakeLog) -> None:
    output, _, _ = make_log(secrets=["", "1"])

    log.info("1 point")

    assert output.messages == ["1 point"]


def test_a_secret_that_is_a_number_leaves_json_whole(make_log: MakeLog) -> None:
    output, _, _ = make_log(log_format="json", secrets=["2026", "12345"])

    with logs.of_cycle(1767225600.0):
        log.info("password 12345")

    line = json.loads(output.getvalue())
    assert (line["message"], line["cycle"]) == ("password ***", "2026-01-01T00:00:00Z")


# -- the schema ------------------------------------------------------------------------------------------------------


@given(
    message=st.text(),
    more=st.integers(1, 1000),
    latest=st.none() | st.floats(0, 4e9),
    cycle=st.just("") | st.floats(0, 4e9).map(utc),
    raised=st.booleans(),
)
def test_every_line_for_machines_is_of_the_documented_schema(
    message: str, more: int, latest: float | None, cycle: str, raised: bool
) -> None:
    record = make_record(
        msg=message,
        cycle=cycle,
        repeated=logs._Repeated(more, 0.0, latest),
        exc_info=(ValueError, ValueError("x"), None) if raised else None,
    )

    jsonschema.validate(json.loads(logs._Json(str).format(record)), SCHEMA)
