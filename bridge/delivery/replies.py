"""Takes an HTTP reply, gives what it says: the service's words and numbers, how long to wait, where to go. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import orjson

_find_location = re.compile(r"Location:\s*(https?://[^\s\"']+)", re.IGNORECASE).search
_find_secret = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<=//)[^/\s@]+(?=@)", re.IGNORECASE)
_is_number = re.compile(r"\d{1,300}(\.\d*)?", re.ASCII).fullmatch


class ItemError(NamedTuple):
    """What the service says against one item: its place in the batch (-1: none given), a status, a message."""

    position: int
    status: int
    message: str


class Track(NamedTuple):
    """The service's own reply, ``TrackResponse`` in its swagger: how many items it took, and what it says of others."""

    accepted: int
    errors: tuple[ItemError, ...]


class Reply(NamedTuple):
    """An HTTP reply: header names in lower case, the body decoded, the address that was asked."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""

    @property
    def track(self) -> Track | None:
        """The body, if the service wrote it; None for any other body."""
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        if (
            not isinstance(body, dict)
            or not _is_int(body.get("itemsReceived"))
            or not _is_int(body.get("itemsAccepted"))
        ):
            return None
        errors = body.get("errors")
        named = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
        return Track(body["itemsAccepted"], tuple(_item_error(error, self.status) for error in named))

    @property
    def words(self) -> str:
        """The first message where the body is the service's, else the whole body; not masked, not cut."""
        track = self.track
        if track is None:
            return self.body.decode(errors="replace")
        return next((error.message for error in track.errors if error.message), "")

    @property
    def location(self) -> str:
        """Where a redirect points, by its header or by the service's words; empty where it names no place."""
        return self.headers.get("location") or location(self.words)

    @property
    def date(self) -> float | None:
        """The sender's clock (epoch s), if it says so."""
        return _epoch(self.headers.get("date", ""))

    def wait(self, now: float) -> float | None:
        """The seconds that it asks to wait: Retry-After as a number or an HTTP date, or Azure's in milliseconds.

        None where it names none, none that can be read, or none to come. A date is compared with the sender's own
        clock, so that ours may be wrong.
        """
        for name, unit in (("x-ms-retry-after-ms", 0.001), ("retry-after-ms", 0.001), ("retry-after", 1.0)):
            text = self.headers.get(name, "").strip()
            if _is_number(text):
                return float(text) * unit or None
        until = _epoch(self.headers.get("retry-after", ""))
        seconds = 0.0 if until is None else until - (self.date or now)
        return seconds if seconds > 0 else None


def location(message: str) -> str:
    """The address after "Location:" in an item's message; empty if there is none."""
    found = _find_location(message)
    return found[1] if found else ""


def plain(text: str, most: int = 200) -> str:
    """Foreign words fit for a log: on one line, cut, with keys (whatever looks like a GUID) and passwords masked."""
    line = _find_secret.sub("***", " ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def _item_error(error: Mapping[str, Any], status: int) -> ItemError:
    index, own, message = error.get("index"), error.get("statusCode"), error.get("message")
    return ItemError(
        index if isinstance(index, int) and _is_int(index) else -1,
        own if isinstance(own, int) and _is_int(own) else status,
        message if isinstance(message, str) else "",
    )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _epoch(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, TypeError, LookupError, OverflowError):  # as various as what a header may hold
        return None
