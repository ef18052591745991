"""Takes a level, a format and what must stay secret, sets up logging: lines on stderr, for people or for machines.

A line tells which cycle was worked on when it was written. A problem (WARNING and above) that repeats is written once a
minute, with how often it was held back, and since when. INFO and DEBUG are the record of what was done, and are never
held back. The schema of lines for machines: docs/logs.md.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple, TextIO

from bridge.masking import masking
from bridge.times import utc

log = logging.getLogger(__name__)

WINDOW = 60.0  # s between two lines of one problem
MOST_PROBLEMS = 1000  # remembered at a time; past them the oldest is forgotten, its count written

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CYCLE: ContextVar[float | None] = ContextVar("cycle", default=None)  # of each thread its own
# At INFO libraries tell of traffic that the bridge reports itself. The exporter's errors print whole envelopes, key and
# labels included; the bridge tells of the same failures in its own words.
_LIBRARIES = {
    **dict.fromkeys(("azure", "msal", "opentelemetry", "requests", "urllib3"), logging.WARNING),
    "apscheduler": logging.ERROR,  # an alarm that it skips is told by the daemon
    "azure.monitor.opentelemetry.exporter": logging.CRITICAL,
}


def setup(
    level: str,
    log_format: Literal["text", "json"],
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> logging.Handler:
    """Send all logging, Python's warnings, and what ends a thread, to ``stream`` (stderr) through the handler returned.

    ``level`` is the name of one, in any case. ``secrets`` are masked wherever they would be written (``masking``).
    ``clock`` (seconds) measures the minute of a problem. A second call replaces the first. Closing the handler, which
    ``logging`` does at exit, writes the counts that are still held back.
    """
    mask = masking(secrets)
    handler = _Handler(stream or sys.stderr, clock)
    handler.setFormatter(_Json(mask) if log_format == "json" else _Text(mask))
    handler.setLevel(level.upper())  # a library's own level may lie below the one asked for
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    threading.excepthook = _thrown
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(least)
    return handler


@contextmanager
def of_cycle(time: float) -> Iterator[None]:
    """Let the lines that this thread writes meanwhile be of the cycle of T (epoch s)."""
    token = _CYCLE.set(time)
    try:
        yield
    finally:
        _CYCLE.reset(token)


def _know_cycle(record: logging.LogRecord) -> bool:
    """A filter that lets all through: a problem that is written later stays of its own cycle."""
    time = _CYCLE.get()
    record.cycle = "" if time is None else utc(time)
    return True


def _thrown(thrown: threading.ExceptHookArgs) -> None:
    if issubclass(thrown.exc_type, SystemExit):  # which ends a thread in order
        return
    log.critical(
        "a thread was ended by a fault of the bridge itself; please report it",
        exc_info=(thrown.exc_type, thrown.exc_value or thrown.exc_type(), thrown.exc_traceback),
    )


class _Repeated(NamedTuple):
    """How often a problem was held back since a line of it (epoch s); ``latest`` where that is not the line's own time."""

    more: int
    since: float
    latest: float | None = None

    def __str__(self) -> str:
        latest = "" if self.latest is None else f", the latest at {utc(self.latest)[11:]}"
        return f" ({self.more} more since {utc(self.since)[11:]}{latest})"


@dataclass
class _Problem:
    """When a problem was last written (on the handler's clock, and in epoch s), and what came of it since."""

    written: float
    since: float
    held: int = 0
    latest: logging.LogRecord | None = None


class _Handler(logging.StreamHandler):  # type: ignore[type-arg] # generic from Python 3.11 on
    """Writes records, each problem once a window. Logger, level and unformatted message tell problems apart.

    ``logging`` holds the handler's lock around ``emit``.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        super().__init__(stream)
        self.addFilter(_know_cycle)
        self._clock = clock
        self._problems: OrderedDict[tuple[str, int, str], _Problem] = OrderedDict()  # the longest written first

    def emit(self, record: logging.LogRecord) -> None:
        try:
            now, record = self._clock(), _written_out(record)
            key = (record.name, record.levelno, str(record.msg))
            known = self._problems.get(key)
            if known and now - known.written < WINDOW:
                known.held += 1
                # A traceback, and arguments, would keep alive what they lead to.
                known.latest = _changed(record, msg=record.getMessage(), args=None, exc_info=None)
                return
            if known:
                del self._problems[key]
                if known.held:
                    record = _changed(record, repeated=_Repeated(known.held, known.since))
            self._forget(lambda oldest: now - oldest.written >= WINDOW)
            if record.levelno >= logging.WARNING:
                self._forget(lambda _: len(self._problems) >= MOST_PROBLEMS)
                self._problems[key] = _Problem(now, record.created)
            super().emit(record)
        except Exception:  # noqa: BLE001 - a log call must not fail, whatever it was given: logging's own rule
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: there is nowhere left to say it. (logging's own would write the arguments, secrets too.)"""

    def close(self) -> None:
        self.acquire()
        try:
            self._forget(lambda _: True)
            super().close()
        finally:
            self.release()

    def _forget(self, condition: Callable[[_Problem], bool]) -> None:
        """Forget problems, the longest written first, while the condition holds; write what they held back."""
        while self._problems and condition(next(iter(self._problems.values()))):
            _, problem = self._problems.popitem(last=False)
            if latest := problem.latest:
                repeated = _Repeated(problem.held, problem.since, latest.created)
                super().emit(_changed(latest, repeated=repeated, created=time.time()))  # lines stay in order


def _changed(record: logging.LogRecord, **changes: Any) -> logging.LogRecord:
    """A copy, since other handlers see the record too."""
    changed = copy.copy(record)
    vars(changed).update(changes)
    return changed


def _written_out(record: logging.LogRecord) -> logging.LogRecord:
    """The record itself; one whose arguments do not fit its message, so that it shows that."""
    try:
        record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever it was given
        return _changed(record, msg=f"{record.msg} (the log call is wrong: {error}; please report it)", args=None)
    return record


class _Text(logging.Formatter):
    """``2026-01-31T12:00:05.250Z WARNING delivery: the message (cycle 2026-01-31T12:00:00Z)``; one line, but for tracebacks."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        message, cycle = record.getMessage(), getattr(record, "cycle", "")
        if cycle and cycle not in message:
            message += f" (cycle {cycle})"
        if repeated := getattr(record, "repeated", None):
            message += str(repeated)
            if repeated.latest is not None:  # all may be well again
                message = f"earlier: {message}"
        # What a server says may stand in a message: it must not look like lines of ours, nor steer a terminal.
        message = _CONTROL.sub(lambda character: repr(character[0])[1:-1], message)
        return f"{_time(record.created)} {record.levelname} {record.name.removeprefix('bridge.')}: {message}"


class _Json(logging.Formatter):
    """One JSON object a line, as in docs/logs.md."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        # Masked before it is encoded: a mask must neither fall on a number, nor miss what JSON has escaped.
        fields: dict[str, str | int] = {
            "ts": _time(record.created),
            "level": record.levelname.lower(),
            "logger": self._mask(record.name),
            "message": self._mask(record.getMessage()),
        }
        if cycle := getattr(record, "cycle", ""):
            fields["cycle"] = cycle
        if repeated := getattr(record, "repeated", None):
            fields |= {"more": repeated.more, "since": _time(repeated.since)}
            if repeated.latest is not None:
                fields["latest"] = _time(repeated.latest)
        if record.exc_info:
            fields["exception"] = self._mask(self.formatException(record.exc_info))
        return json.dumps(fields)


def _time(moment: float) -> str:
    text = datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
