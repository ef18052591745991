"""Takes a JSON list of the replies to give next, gives the faults that tests ask for, one a track POST, in order.

[{"status": 429, "retry_after": 5, "times": 2}, {"pass": true}, {"lost": true}, {"items": {"3": {"status": 500}}}]
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.errors import ConfigurationError, Finding
from bridge.sandbox.refusals import Refused


@dataclass(frozen=True)
class Dribble:
    """A body sent one byte every ``every`` seconds; after ``most`` bytes the connection is closed (None: never)."""

    every: float
    most: int | None = None


@dataclass(frozen=True)
class Scripted:
    """One scripted reply; the default is the service's own. ``status`` alone lets no point in unless it is 2xx."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    retry_after: float | str | None = None  # seconds, or "date:+5": as an HTTP date, seconds from now
    location: str | None = None
    delay: float = 0  # seconds before the reply
    reset: str | None = None  # TCP reset "before" or "after" the body is read, instead of a reply
    lost: bool = False  # points taken, connection closed without a reply
    hang: bool | float = False  # no reply: the connection is held until the client goes, or for so many seconds
    dribble: Dribble | None = None
    empty: bool = False  # points taken, 200 without a body
    html: bool = False  # no point taken, 200 with a proxy's log-in page
    items: Mapping[int, Refused] = field(default_factory=dict)  # these get this verdict, the others their own
    bad_index: int | None = None  # one item is refused (500) under this index
    short: int = 0  # so many items are not taken, and no error names them
    take: bool | None = None  # whether points are taken, against all of the above
    times: int = 1

    @property
    def silent(self) -> bool:
        """Whether the client gets no reply."""
        return bool(self.reset or self.lost or self.hang is not False)

    def takes(self, status: int) -> bool:
        """Whether points are taken where ``status`` is (or would have been) the reply's."""
        if self.take is not None:
            return self.take
        return self.lost or (status < 300 and not self.silent and not self.html)


AS_USUAL = Scripted()


class Script:
    """The replies that are still to be given. Not safe for use by several threads at once."""

    def __init__(self) -> None:
        self._waiting: deque[Scripted] = deque()

    def load(self, entries: object) -> None:
        """Put these replies in place of what was left; [] ends the script. Raises ConfigurationError, see parse."""
        self._waiting = deque(parse(entries))

    def next(self) -> Scripted:
        """The reply for the next track POST."""
        if not self._waiting:
            return AS_USUAL
        scripted = self._waiting.popleft()
        if scripted.times > 1:
            self._waiting.appendleft(replace(scripted, times=scripted.times - 1))
        return scripted

    def __len__(self) -> int:
        return sum(scripted.times for scripted in self._waiting)


def parse(entries: object) -> list[Scripted]:
    """Read a script, a list of objects. Raises ConfigurationError with everything that is wrong in it."""
    if not isinstance(entries, list):
        raise ConfigurationError([Finding("script", "is not a list", "give a JSON list of objects, one a reply")])
    findings: list[Finding] = []
    replies = [_reply(f"[{index}]", entry, findings) for index, entry in enumerate(entries)]
    if findings:
        raise ConfigurationError(findings)
    return replies


def _reply(place: str, entry: object, findings: list[Finding]) -> Scripted:
    if not isinstance(entry, dict):
        findings.append(Finding(place, "is not an object", 'write {} for a usual reply, {"status": 503} for a fault'))
        return AS_USUAL
    values: dict[str, Any] = {}
    for name, value in entry.items():
        if name not in _FIELDS:
            findings.append(Finding(f"{place}.{name}", "unknown field", f"one of {', '.join(_FIELDS)}"))
            continue
        read, wanted = _FIELDS[name]
        try:
            values[name] = read(value)
        except (ValueError, TypeError):
            findings.append(Finding(f"{place}.{name}", f"{json.dumps(value, default=repr)} does not fit", wanted))
    given = [name for name, value in values.items() if value is not None and value is not False]
    kinds = [name for name in given if name in _KINDS]
    if len(kinds) > 1:
        findings.append(Finding(place, f"{' and '.join(kinds)} exclude one another", "keep one of them"))
    for kind in kinds:
        unseen = [name for name in given if name in _SHAPES and kind in _SILENT]
        if unseen:
            findings.append(Finding(place, f"{kind} gives no reply, so nobody sees {', '.join(unseen)}", "keep either"))
    if values.pop("pass", False) and set(given) - {"pass", "times"}:
        findings.append(Finding(f"{place}.pass", "is the usual reply, so only times goes with it", "leave pass out"))
    return Scripted(**values)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: object) -> str:
    # A line break would end the header, and let the rest be read as another.
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise ValueError
    return value


def _whole(least: int, most: int | None = None) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError
        if most is not None and value > most:
            raise ValueError
        return value

    return read


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError
    return value


def _retry_after(value: object) -> float | str:
    if isinstance(value, str):
        prefix, _, offset = value.partition(":")
        if prefix != "date" or not -1e9 < float(offset) < 1e9:
            raise ValueError
        return value
    return _seconds(value)


def _body(value: object) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    return {_text(name): _text(text) for name, text in value.items()}


def _reset(value: object) -> str | None:
    moment = {"before": "before", "after": "after", True: "after", False: None}
    if not isinstance(value, (str, bool)) or value not in moment:
        raise ValueError
    return moment[value]


def _hang(value: object) -> bool | float:
    return value if isinstance(value, bool) else _seconds(value)


def _dribble(value: object) -> Dribble:
    if not isinstance(value, dict):
        return Dribble(_seconds(value))
    if set(value) - {"every", "most"}:
        raise ValueError
    return Dribble(_seconds(value.get("every")), _whole(0)(value["most"]) if "most" in value else None)


def _items(value: object) -> dict[int, Refused]:
    if not isinstance(value, dict):
        raise TypeError
    verdicts: dict[int, Refused] = {}
    for index, verdict in value.items():
        if not isinstance(verdict, dict) or set(verdict) - {"status", "message"}:
            raise ValueError
        message = verdict.get("message", "")
        if not isinstance(message, str):
            raise TypeError
        verdicts[_whole(0)(int(index))] = Refused(_STATUS(verdict.get("status")), message)
    return verdicts


_STATUS = _whole(200, 599)

_FIELDS: dict[str, tuple[Callable[[object], Any], str]] = {
    "status": (_STATUS, "a whole number from 200 to 599"),
    "headers": (_headers, "an object of printable ASCII strings"),
    "body": (_body, "a string, or JSON"),
    "retry_after": (_retry_after, 'seconds, or "date:+5" for an HTTP date five seconds from now'),
    "location": (_text, "an address, as one line of ASCII"),
    "delay": (_seconds, "seconds, 0 or more"),
    "reset": (_reset, '"before" or "after" the body is read'),
    "lost": (_flag, "true or false"),
    "hang": (_hang, "true (until the client goes), or seconds"),
    "dribble": (_dribble, 'seconds between two bytes, or {"every": seconds, "most": bytes}'),
    "empty": (_flag, "true or false"),
    "html": (_flag, "true or false"),
    "items": (_items, 'an object such as {"3": {"status": 500, "message": "…"}}, by index'),
    "bad_index": (_whole(0), "the index that the reply shall name"),
    "short": (_whole(1), "how many items to leave out, 1 or more"),
    "take": (_flag, "true or false"),
    "times": (_whole(1), "how often, 1 or more"),
    "pass": (_flag, "true or false"),
}

# Each kind decides alone what comes back: nothing, or a body that is not the service's.
_SILENT = ("reset", "lost", "hang")
_KINDS = (*_SILENT, "empty", "html", "body")
_SHAPES = ("status", "headers", "retry_after", "location", "dribble")
