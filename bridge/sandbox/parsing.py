"""Takes the body of a POST as it came over the wire, gives its telemetry items, each with its size in bytes.

The service takes an array, JSON lines or one object, whatever the Content-Type, as identity, gzip or deflate.
The JSON is RFC 8259's and nothing more: no NaN or Infinity, no trailing comma, nothing after the end, valid UTF-8
without a byte order mark. Two things are stricter than the RFC, where a reader may do as it likes: a name that occurs
twice in an object, and half of a surrogate pair. Nesting ends at 64, the default of .NET's readers.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from bridge.sandbox.refusals import Refused

MOST_NESTING = 64

_word = re.compile(r"[^ \t\r\n]|\Z")

# zlib's window bits: which container it expects around the deflate stream.
_GZIP, _ZLIB, _RAW = 31, 15, -15


class Item(NamedTuple):
    """One telemetry item: the parsed JSON, its size as sent (bytes, without separators), and why it is not JSON."""

    value: object
    size: int
    error: str = ""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding.

    Raises Refused: 415 for a coding that is none of identity, gzip, deflate (RFC 9110, 15.5.16; the service's own
    reply is not on record), 400 for a damaged or cut stream, 413 where more than ``limit`` bytes would come out.
    """
    coding = encoding.strip().lower() or "identity"
    if coding == "identity":
        return body
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, _GZIP, limit)
    if coding == "deflate":
        # RFC 9110 means zlib's container; many a client sends the bare stream, and HTTP servers take both.
        try:
            return _inflate(body, _ZLIB, limit)
        except Refused as refused:
            if refused.status != 400:
                raise
            return _inflate(body, _RAW, limit)
    raise Refused(415, f"Content-Encoding {coding[:40]!r} is not supported")


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    while True:
        stream = zlib.decompressobj(window)
        try:
            parts.append(stream.decompress(body, room + 1))
        except zlib.error as error:
            raise Refused(400, f"Damaged Content-Encoding: {error}") from error
        room -= len(parts[-1])
        if room < 0:
            raise Refused(413, f"Request body must not exceed {limit} bytes")
        if not stream.eof:
            raise Refused(400, "Damaged Content-Encoding: the stream is cut")
        body = stream.unused_data
        if not body:
            return b"".join(parts)
        if window != _GZIP:
            raise Refused(400, "Damaged Content-Encoding: bytes after the end")
        # A gzip file may hold several members, one after the other (RFC 1952, 2.2).


def parse(body: bytes, *, nan_per_item: bool = False) -> list[Item]:
    """The items of a body: an array, JSON lines, or one object.

    Raises Refused (400) if the body is not JSON or holds nothing: then no item can be named. With ``nan_per_item``
    an item that holds NaN or Infinity comes back with an ``error`` instead, and the others as they are.
    """
    try:
        scanner = _Scanner(body.decode("utf-8"), nan_per_item=nan_per_item)
    except UnicodeDecodeError as error:
        raise Refused(400, f"SyntaxError: not UTF-8 at byte {error.start}") from error
    items = list(_array(scanner) if scanner.next() == "[" else _lines(scanner))
    if scanner.next():
        raise scanner.unexpected()
    if not items:
        raise Refused(400, "No telemetry items")
    return items


def _array(scanner: _Scanner) -> Iterator[Item]:
    scanner.position += 1
    if scanner.next() != "]":
        yield scanner.item()
        while scanner.next() == ",":
            scanner.position += 1
            scanner.next()
            yield scanner.item()
    if scanner.next() != "]":
        raise scanner.unexpected()
    scanner.position += 1


def _lines(scanner: _Scanner) -> Iterator[Item]:
    # An object may span lines (a single, pretty-printed one does); the next must begin on a line of its own.
    while scanner.next() == "{":
        yield scanner.item()
        end = scanner.position
        if scanner.next() and "\n" not in scanner.text[end : scanner.position]:
            raise scanner.unexpected()


class _Scanner:
    """A place in a JSON text, and the steps that can be made from there."""

    def __init__(self, text: str, *, nan_per_item: bool) -> None:
        self.text = text
        self.position = 0
        self._nan_per_item = nan_per_item
        self._constants: list[str] = []
        self._decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=self._constants.append)

    def next(self) -> str:
        """Pass over whitespace; the character that follows, empty at the end."""
        found = _word.search(self.text, self.position)
        assert found is not None  # the pattern matches at the end of any text
        self.position = found.start()
        return found.group()

    def item(self) -> Item:
        """The JSON value that begins here; the position is then after it."""
        start = self.position
        self._constants.clear()
        try:
            value, self.position = self._decoder.raw_decode(self.text, start)
            raw = self.text[start : self.position]
            if "\\u" in raw:
                json.dumps(value, ensure_ascii=False).encode()  # fails on half of a surrogate pair
        except json.JSONDecodeError as error:
            self.position = error.pos
            if error.msg.startswith("Illegal trailing comma"):  # Python 3.13 points at it, the others behind it
                rest = self.text[error.pos + 1 :]
                self.position += 1 + len(rest) - len(rest.lstrip())
            raise self.unexpected() from error
        except (ValueError, RecursionError) as error:  # a repeated name, half a pair, thousands of digits, of brackets
            raise Refused(400, f"SyntaxError: {error} at position {start}") from error
        if raw.count("{") + raw.count("[") > MOST_NESTING and _nesting(value) > MOST_NESTING:
            raise Refused(400, f"SyntaxError: nested deeper than {MOST_NESTING} at position {start}")
        # In 2017 the service refused, in these words, just those JSON lines that held NaN (ApplicationInsights-Java 492).
        problem = f"SyntaxError: Unexpected token {self._constants[0].lstrip('-')[0]}" if self._constants else ""
        if problem and not self._nan_per_item:
            raise Refused(400, f"{problem} at position {start}")
        return Item(value, len(raw) if raw.isascii() else len(raw.encode()), problem)

    def unexpected(self) -> Refused:
        """What a JavaScript parser says of the character here."""
        token = f"token {self.text[self.position]}" if self.position < len(self.text) else "end of JSON input"
        return Refused(400, f"SyntaxError: Unexpected {token} at position {self.position}")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("Duplicate name in an object")
    return found


def _nesting(value: object) -> int:
    level, layer = 0, [value]
    while layer := [each for each in layer if isinstance(each, (dict, list))]:
        level += 1
        layer = [child for each in layer for child in (each.values() if isinstance(each, dict) else each)]
    return level
