"""Takes a reason why the service will not have something, gives it a status and the service's words.

The texts were seen in replies of the real service (issues of Microsoft's SDKs, 2021 to 2026); since 2024 it leaves out
the ``, Actual: …`` that older replies end with. Texts of our own, where no reply is on record, are marked as such.
"""

from __future__ import annotations

import json
from http.client import responses

INVALID_KEY = "Invalid instrumentation key"
NO_AUTHENTICATION_ON_V2 = "Incorrect API was used - v2 API does not support authentication"
UNAUTHORIZED = "Unauthorized - please provide the valid authorization token"

_BY_STATUS = {
    307: "Ingestion is allowed only from stamp specific endpoint",
    308: "Ingestion is allowed only from stamp specific endpoint",
    401: UNAUTHORIZED,
    402: "Daily quota exceeded",  # our own: it is what 439 used to say
    403: "Forbidden - provided credentials do not grant the access to ingest the telemetry into the component",
    404: "Ingestion is allowed only from stamp specific endpoint",
    429: "Too many requests",  # our own
    439: "Daily quota exceeded",
}


class Refused(Exception):
    """The service will not have an item, or a whole POST: ``status`` (HTTP), ``message``, ``retry_after`` (s, or None)."""

    def __init__(self, status: int, message: str = "", retry_after: int | None = None) -> None:
        self.status = status
        self.message = message or default_message(status)
        self.retry_after = retry_after
        super().__init__(self.message)


def default_message(status: int, location: str | None = None) -> str:
    """What an item's error says for ``status``; a redirect names its target after the text, as the service does."""
    if status in _BY_STATUS:
        return _BY_STATUS[status] + (f" - Location: {location}" if location else "")
    return phrase(status)


def phrase(status: int) -> str:
    """The reason phrase of a status line; empty for a status that is not registered, such as 439."""
    return responses.get(status, "")


def too_long(field: str, owner: str, most: int) -> Refused:
    """A string of more than ``most`` characters."""
    return Refused(400, f"100: Field '{field}' on type '{owner}' is too long. Expected: {most} characters")


def not_a_time() -> Refused:
    """``time`` is not ISO 8601 in UTC."""
    return Refused(400, "102: Field 'time' on type 'Envelope' is not a valid time string. Expected: date")


def too_old(window_ms: int) -> Refused:
    """``time`` lies more than ``window_ms`` in the past."""
    return Refused(
        400, f"103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - {window_ms}ms"
    )


def too_new(window_ms: int) -> Refused:
    """``time`` lies more than ``window_ms`` in the future."""
    return Refused(
        400, f"104: Field 'time' on type 'Envelope' is newer than the max date. Expected: now + {window_ms}ms"
    )


def wrong_type(field: str, owner: str, expected: str) -> Refused:
    """A value of another JSON type than the schema's, or a number that is not there."""
    return Refused(400, f"106: Field '{field}' on type '{owner}' is of incorrect type. Expected: {expected}")


def missing(field: str, owner: str, expected: str) -> Refused:
    """A required field that is absent, null or empty."""
    return Refused(
        400, f"109: Field '{field}' on type '{owner}' is required but missing or empty. Expected: {expected}"
    )


def wrong_child(key: str, value: object, expected: str) -> Refused:
    """A value of a map (properties, measurements, tags) that is of another JSON type than the map's."""
    return Refused(
        400,
        f"200: Child value '{_shown(value)}' for key '{key[:150]}' is of incorrect type."
        f" Expected: {expected}, Actual: {json_type(value)}",
    )


def unknown_type(name: object) -> Refused:
    """``data.baseType`` names no telemetry type; an absent one is ``undefined``, as in JavaScript."""
    return Refused(400, f"Unknown domain type '{'undefined' if name is None else _shown(name)}'")


def item_too_long(most: int) -> Refused:
    """An item of more than ``most`` bytes."""
    return Refused(400, f"Telemetry item length must not exceed {most}")


def json_type(value: object) -> str:
    """The JSON type of a parsed value, by JavaScript's names."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "object"


def _shown(value: object) -> str:
    try:
        return (value if isinstance(value, str) else json.dumps(value))[:150]
    except ValueError:  # Python turns no integer of thousands of digits into text
        return "a huge number"
