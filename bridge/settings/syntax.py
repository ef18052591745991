"""Takes one setting as it is written, gives its value, or says what is wrong with it and what mends it. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from bridge.durations import parse_duration
from bridge.matchers import NotMatchersError
from bridge.matchers import read as read_matchers

_HOST = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_USERINFO = re.compile(r"^([a-z]+://)?.*@", re.IGNORECASE | re.DOTALL)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_CLOCKS = ("", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f")


class Wrong(ValueError):
    """A text that is no such value: the problem, which never repeats a secret, and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class Address(NamedTuple):
    """A host and a TCP port; ``str()`` puts an IPv6 host into brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a host, with or without brackets, is this machine by its name or address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def duration(least: str, most: str, reason: str = "") -> Callable[[str], float]:
    """A parser of durations, to seconds, that refuses what lies outside; ``reason`` says why the limits are there."""

    def parse(text: str) -> float:
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            raise Wrong(str(error), "write 60s, 1m30s or 500ms; a bare number is seconds") from error
        if not parse_duration(least) <= seconds <= parse_duration(most):
            remedy = f"from {least} to {most}"
            raise Wrong(f"{text} is out of range", f"{remedy}: {reason}" if reason else remedy)
        return seconds

    return parse


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not re.fullmatch(r"[0-9]{1,18}", text.strip()) or int(text) < 1:
        raise Wrong(f"{text!r} is not a whole number above 0", "write it in digits alone")
    return int(text)


def moment(text: str) -> float:
    """Seconds since the epoch."""
    if not re.fullmatch(r"[0-9]{9,11}(\.[0-9]+)?", text.strip()):
        raise Wrong(f"{text!r} is not a time", "write seconds since the epoch, as date +%s does")
    return float(text)


def when(text: str) -> float:
    """A date, or a date and a time, in epoch s: local where no offset or Z is written (ISO 8601, RFC 3339)."""
    # What date and people write has spaces: before the time, and before the offset.
    written = text.strip().upper().replace(" ", "T", 1).replace(" ", "")
    for form in (f"%Y-%m-%d{clock}{offset}" for clock in _CLOCKS for offset in ("", "%z")):
        with suppress(ValueError, OverflowError, OSError):  # the latter two: local times long ago
            return datetime.strptime(written, form).timestamp()  # noqa: DTZ007 — local time is meant
    raise Wrong(
        f"{text!r} is not a time", "write '2026-11-21 10:00' for local time, or 2026-11-21T10:00:00Z, or …+01:00"
    )


def flag(text: str) -> bool:
    """Whether something is on."""
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    try:
        return known[text.strip().lower()]
    except KeyError:
        raise Wrong(f"{text!r} is neither true nor false", "write true or false") from None


def choice(*known: str) -> Callable[[str], str]:
    """A parser that takes one of some words, in any case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in known:
            raise Wrong(f"{text!r} is not known", f"one of {', '.join(known)}")
        return word

    return parse


def address(text: str, *, any_port: bool = False) -> Address:
    """``host:port``; ``any_port`` takes 0 too, for a port that the system chooses."""
    wrong = Wrong(f"{text!r} is not an address", "write host:port; an IPv6 host stands in brackets")
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    found = Address(host, port or 0)
    if not _is_host(host) or (found.port == 0 and not any_port) or str(found) != text.strip().lower():
        raise wrong
    return found


def url(text: str) -> str:
    """An ``http`` or ``https`` URL of host, port and path; without a slash at its end, and ``=`` percent-encoded."""
    shown = _USERINFO.sub(r"\1***@", text.strip().partition("?")[0])
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Wrong(f"{shown!r} is not a URL", "for example http://127.0.0.1:9090") from None
    if parts.scheme not in {"http", "https"}:
        remedy = f"did you mean http://{shown.rpartition('//')[2]}?"
        raise Wrong(f"{shown!r} begins with neither http:// nor https://", remedy)
    if not _is_host(host) or parts.netloc.endswith(":"):
        raise Wrong(f"{shown!r} names no host", "for example http://127.0.0.1:9090")
    if "@" in parts.netloc:
        raise Wrong("holds a user or a password, which would end up in logs", "give them in settings of their own")
    if parts.query or parts.fragment:
        raise Wrong("has a part behind '?' or '#'", "a URL ends with its path here")
    return f"{parts.scheme}://{parts.netloc.lower()}{quote(parts.path.rstrip('/'), safe='/%')}"


def pairs(text: str) -> dict[str, str]:
    """``key=value,other=value``, percent-decoded, as OpenTelemetry writes attributes and headers in the environment.

    Source: OpenTelemetry specification, "Resource SDK" and "Protocol Exporter", after W3C Baggage.
    """
    found = {}
    for number, part in enumerate(text.split(","), start=1):
        key, equals, value = (unquote(piece.strip()) for piece in part.partition("="))
        if not part.strip():
            continue
        if not (key and equals):
            raise Wrong(f"part {number} is not key=value", "write key=value,other=value; a comma in a value is %2C")
        found[key] = value
    return found


def headers(text: str) -> dict[str, str]:
    """HTTP headers in the notation of ``pairs``, that of OTEL_EXPORTER_OTLP_HEADERS."""
    found = pairs(text)
    for name, value in found.items():
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
            raise Wrong("holds what cannot be an HTTP header", "write Name=value,Other=value")
    return found


def matchers(text: str) -> str:
    """PromQL label matchers, ``job="triton",pod!~"test.*"``; without a comma at the end."""
    try:
        return read_matchers(text).text
    except NotMatchersError as error:
        raise Wrong(error.problem, error.remedy) from None


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST.fullmatch(text))
    return True
