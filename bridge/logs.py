"""Takes a level, a format and what must stay secret, sets up logging: lines on stderr, for people or for machines.

A problem (WARNING and above) that repeats is written once a minute, with how often it was held back. INFO and DEBUG
are the record of what was done, and are never held back.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, TextIO

WINDOW = 60.0  # s between two lines of one problem
MOST_PROBLEMS = 1000  # remembered at a time; past them the oldest is forgotten, its count written

_SHORTEST_SECRET = 4  # a shorter one would blot out parts of any word or number, and hide little
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
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
    """Send all logging, and Python's warnings, to ``stream`` (stderr) through the handler that is returned.

    ``level`` is the name of one, in any case. ``secrets`` are masked wherever they would be written, whatever their
    case, from 4 characters on. ``clock`` (seconds) measures the minute of a problem. A second call replaces the first.
    Closing the handler, which ``logging`` does at exit, writes the counts that are still held back.
    """
    mask = _masking(secrets)
    handler = _Handler(stream or sys.stderr, clock)
    handler.setFormatter(_Json(mask) if log_format == "json" else _Text(mask))
    handler.setLevel(level.upper())  # a library's own level may lie below the one asked for
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(least)
    return handler


@dataclass
class _Problem:
    """When a problem was last written (on the handler's clock), how often it came since, and its latest record."""

    written: float
    held: int = 0
    latest: logging.LogRecord | None = None

    def count(self, now: float) -> str:
        return f" ({self.held} more in the last {math.ceil(now - self.written)} s)" if self.held else ""


class _Handler(logging.StreamHandler):  # type: ignore[type-arg] # generic from Python 3.11 on
    """Writes records, each problem once a window. Logger, level and unformatted message tell problems apart.

    ``logging`` holds the handler's lock around ``emit``.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        super().__init__(stream)
        self._clock = clock
        self._problems: OrderedDict[tuple[str, int, str], _Problem] = OrderedDict()  # the longest written first

    def emit(self, record: logging.LogRecord) -> None:
        try:
            now = self._clock()
            key = (record.name, record.levelno, str(record.msg))
            known = self._problems.get(key)
            if known and now - known.written < WINDOW:
                known.held += 1
                known.latest = _remark(record, "", exc_info=None)  # a traceback would keep its frames alive
                return
            if known:
                del self._problems[key]
                record = _remark(record, known.count(now))
            self._forget(now, lambda oldest: now - oldest.written >= WINDOW)
            if record.levelno >= logging.WARNING:
                self._forget(now, lambda _: len(self._problems) >= MOST_PROBLEMS)
                self._problems[key] = _Problem(now)
        except Exception:  # noqa: BLE001 - a log call must not fail, whatever it was given: logging's own rule
            self.handleError(record)
        else:
            super().emit(record)

    def close(self) -> None:
        self.acquire()
        try:
            self._forget(self._clock(), lambda _: True)
            super().close()
        finally:
            self.release()

    def _forget(self, now: float, condition: Callable[[_Problem], bool]) -> None:
        """Forget problems, the longest written first, while the condition holds; write what they held back."""
        while self._problems and condition(next(iter(self._problems.values()))):
            _, problem = self._problems.popitem(last=False)
            if problem.latest:
                super().emit(_remark(problem.latest, problem.count(now), created=time.time()))  # lines stay in order


def _remark(record: logging.LogRecord, remark: str, **changes: Any) -> logging.LogRecord:
    """A copy, since other handlers see the record too, with a remark behind its message."""
    changed = copy.copy(record)
    vars(changed).update(changes, msg=record.getMessage() + remark, args=None)
    return changed


class _Text(logging.Formatter):
    """``2026-01-31T12:00:05.250Z WARNING delivery: the message key=value``; one line, but for tracebacks."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        message = " ".join([record.getMessage(), *(f"{name}={value}" for name, value in _extras(record).items())])
        # What a server says may stand in a message: it must not look like lines of ours, nor steer a terminal.
        message = _CONTROL.sub(lambda character: repr(character[0])[1:-1], message)
        return f"{_time(record)} {record.levelname} {record.name.removeprefix('bridge.')}: {message}"


class _Json(logging.Formatter):
    """One JSON object a line: ts, level, logger, message, exception if there is one, and the extras."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "ts": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        # Masked before it is encoded: afterwards a mask might fall on a number, or miss what JSON has escaped.
        return json.dumps({name: self._plain(value) for name, value in {**fields, **_extras(record), **fields}.items()})

    def _plain(self, value: object) -> object:
        if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        return self._mask(str(value))


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _masking(secrets: Iterable[str]) -> Callable[[str], str]:
    longest_first = sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True)
    if not longest_first:
        return str
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return lambda text: pattern.sub("***", text)
