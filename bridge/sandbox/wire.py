"""Takes bytes off a connection, gives a request's body; takes a reply, gives the bytes for the connection (HTTP/1.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.message import Message
from email.utils import formatdate
from io import BufferedIOBase

from bridge.sandbox.refusals import Refused, phrase
from bridge.sandbox.replies import Reply

_PIECE = 65_536  # bytes read at once
_LINE = 1_024  # bytes of a chunk's head, or of a trailer
_hexadecimal = re.compile(rb"[0-9a-fA-F]+").fullmatch

# Seen on replies of the service in 2025; Transfer-Encoding, Content-Type and Date come with each reply.
_HEADERS = {
    "Server": "Microsoft-HTTPAPI/2.0",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}


def path_of(request_line: str) -> tuple[str, str]:
    """The path and the query of a request line, untouched: a doubled slash at the beginning is still there."""
    words = request_line.split()
    target = words[1] if len(words) > 1 else ""
    absolute = re.match(r"https?://[^/?]*", target, re.IGNORECASE)  # what a client sends to a proxy
    path, _, query = target[absolute.end() if absolute else 0 :].partition("?")
    return path, query


def has_body(headers: Message) -> bool:
    """Whether a request says that it has a body (RFC 9112, 6.3)."""
    return "Content-Length" in headers or "Transfer-Encoding" in headers


def read_body(stream: BufferedIOBase, headers: Message, most: int, proceed: Callable[[], None] | None = None) -> bytes:
    """The body of a request, b"" if it has none.

    ``proceed`` asks a client that waits for it (Expect: 100-continue) to send. Raises Refused with 400 or 501 for
    a wrong framing and 413 for more than ``most`` bytes, and ConnectionError where the client went away; after any
    of these the connection is of no further use.
    """
    length = _declared_length(headers)
    if proceed:
        if length is not None and length > most:
            raise _too_much(most)
        proceed()
    body = bytearray()
    size = 0
    for piece in _chunks(stream) if length is None else _pieces(stream, length):
        size += len(piece)
        if size <= most:
            body += piece
        elif size > 4 * most:
            break  # A client that is still sending does not see the reply, so some more is read than is taken.
    if size > most:
        raise _too_much(most)
    return bytes(body)


def _declared_length(headers: Message) -> int | None:
    """Bytes; None where the body comes in chunks."""
    lengths = {each.strip() for each in headers.get_all("Content-Length", ["0"])}
    coding = headers.get("Transfer-Encoding")
    if coding is not None and "Content-Length" in headers:
        raise Refused(400, "Content-Length and Transfer-Encoding exclude one another")
    if coding is not None and coding.strip().lower() != "chunked":
        raise Refused(501, "Transfer-Encoding is not chunked")
    if coding is not None:
        return None
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise Refused(400, "Content-Length is not one number")
    return int(length)


def _too_much(most: int) -> Refused:
    return Refused(413, f"Request body must not exceed {most} bytes")


def _pieces(stream: BufferedIOBase, length: int) -> Iterator[bytes]:
    while length:
        piece = stream.read(min(length, _PIECE))
        if not piece:
            raise ConnectionError("the client went away within a body")
        length -= len(piece)
        yield piece


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    while True:
        size = stream.readline(_LINE).partition(b";")[0].strip()
        if not _hexadecimal(size):
            raise Refused(400, "a chunk has no size")
        if int(size, 16) == 0:
            break
        yield from _pieces(stream, int(size, 16))
        if stream.readline(_LINE) not in (b"\r\n", b"\n"):
            raise Refused(400, "a chunk is longer than its size")
    for _ in range(100):
        line = stream.readline(_LINE)
        if line in (b"\r\n", b"\n"):
            return
        if not line:
            raise ConnectionError("the client went away before the end of a body")
    raise Refused(400, "too many trailers")


def head(reply: Reply, now: float, *, chunked: bool, close: bool) -> bytes:
    """Status line and headers, up to the empty line; ``now`` (epoch s) is the Date. A body that is empty is not chunked."""
    reason = "".join(each if each.isascii() and each.isprintable() else "?" for each in reply.reason[:200])
    framing = {"Transfer-Encoding": "chunked"} if chunked and reply.body else {"Content-Length": str(len(reply.body))}
    headers = {
        **({} if reply.status in (204, 304) else framing),
        **({"Content-Type": reply.content_type} if reply.body else {}),
        **_HEADERS,
        "Date": formatdate(now, usegmt=True),
        **({"Connection": "close"} if close else {}),
    }
    for name, value in reply.headers.items():
        same = [each for each in headers if each.lower() == name.lower()]
        headers[same[0] if same else name] = value
    lines = [f"HTTP/1.1 {reply.status} {reason or phrase(reply.status)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def chunk(piece: bytes) -> bytes:
    """A piece of a body in chunked coding; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
