"""Takes a board of snapshots and the own metrics, gives them over HTTP: page, JSON, metrics and probes.

Liveness says that the loop makes progress and nothing of Azure, so an outage there never restarts a healthy pod;
readiness says that Prometheus answers. GET only, no secrets, no work while nobody looks.
"""

from __future__ import annotations

import html
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bridge.errors import ConfigurationError, Finding
from bridge.points import Outcome, Settlement
from bridge.status import Board, Snapshot
from bridge.times import utc

log = logging.getLogger(__name__)

Reply = tuple[HTTPStatus, str, bytes]


class Web:
    """The server on ``host:port`` (0: any free one), in threads of its own.

    Raises ConfigurationError where it cannot listen.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        board: Board,
        registry: CollectorRegistry,
        interval: float,
    ) -> None:
        pages = _Pages(board, registry, interval)

        class Handler(_Handler):
            reply = pages.reply

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = _family(host)

            def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 — socketserver's
                log.debug("a client of the status page went away: %s", sys.exc_info()[1])

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            place, remedy = f"BRIDGE_LISTEN {host}:{port}", "name another address, or end what listens there"
            raise ConfigurationError([Finding(place, f"cannot listen: {error.strerror}", remedy)]) from error
        self.url = "http://{}:{}/".format(f"[{host}]" if ":" in host else host, self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Pages:
    """What stands under each path."""

    def __init__(
        self,
        board: Board,
        registry: CollectorRegistry,
        interval: float,
    ) -> None:
        self._board = board
        self._registry = registry
        self._interval = interval

    def reply(self, path: str) -> Reply:
        """The reply to a GET."""
        if path == "/":
            return HTTPStatus.OK, "text/html; charset=utf-8", _page(self._board.snapshot()).encode()
        if path == "/status.json":
            document = as_json(self._board.snapshot())
            return HTTPStatus.OK, "application/json", orjson.dumps(document, option=orjson.OPT_INDENT_2)
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path == "/livez":
            silent = self._board.silent()
            # Two intervals of grace: a turn may take a whole one, and the next may just be about to begin.
            return _probe(
                silent <= 3 * self._interval + 30,
                f"the loop made its last progress {silent:.0f} s ago",
            )
        if path == "/readyz":
            answers = self._board.snapshot().prometheus_answers
            return _probe(
                answers is True,
                {True: "Prometheus answers", False: "Prometheus does not answer", None: "no cycle is done yet"}[
                    answers
                ],
            )
        text = b"there are / /status.json /metrics /livez /readyz\n"
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text


def _probe(good: bool, reason: str) -> Reply:  # noqa: FBT001 — the one thing a probe says
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "text/plain; charset=utf-8", f"{reason}\n".encode()


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as plain JSON types: enum members as their values, times as epoch seconds.

    The account stands at the top, and adds up: ``read`` = the sum of ``points``, ``due`` = that of ``cycles``.
    """
    document = _plain(snapshot)
    memory = document.pop("memory")
    account = snapshot.memory.account
    points = {one.value: count for one, count in snapshot.points.items()}
    return {**document, **memory.pop("account"), **memory, "points": points, "read": account.read, "due": account.due}


def _plain(value: Any) -> Any:
    """Objects as mappings with text keys. (``asdict`` makes a Counter of a Counter's items.)"""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key.value if isinstance(key, Enum) else key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds for a client to send its request
    reply: Callable[[str], Reply]

    def do_GET(self) -> None:
        status, kind, body = self.reply(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class names it so
        """Probes come every few seconds; they are not worth a line."""


_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { padding: .3rem .6rem; text-align: left }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
tr { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent) } .scroll { overflow-x: auto }
"""


def _page(snapshot: Snapshot) -> str:
    account = snapshot.memory.account
    points = _rows((one.value.replace("_", " "), count) for one, count in snapshot.points.items())
    cycles = _rows((one.value.replace("_", " "), count) for one, count in account.cycles.items())
    since = {detail.time: detail.settlement for detail in account.details}  # repaired, it may be
    newest = "".join(
        f"<tr><td>{utc(report.time)}</td><td>{since.get(report.time, report.settlement).value.replace('_', ' ')}</td>"
        f"<td class=number>{report.read:,}</td><td class=number>{report.outcomes.get(Outcome.ACCEPTED, 0):,}</td>"
        f"<td class=number>{report.seconds * 1000:,.0f}</td><td>{html.escape('; '.join(report.problems))}</td></tr>"
        for report in snapshot.reports[:20]
    )
    rejected = "".join(
        f"<tr><td>{html.escape(rejection.time)}</td><td>{html.escape(rejection.metric)}</td>"
        f"<td>{html.escape(', '.join(f'{k}={v}' for k, v in rejection.dimensions.items()))}</td>"
        f"<td>{rejection.status} {html.escape(rejection.reason)}</td></tr>"
        for _, rejection in account.rejections[:20]
    )
    problems = "".join(
        f"<p><strong>{html.escape(problem)}</strong></p>"
        for problem in (
            *(f"metrics.json was changed and cannot be used: {one}" for one in snapshot.selection_problems),
            *snapshot.memory.problems,
        )
    )
    behind = (
        f"<p>{account.cycles[Settlement.WAITING]:,} cycles wait, the oldest of {_time(account.oldest_waiting)}.</p>"
        if account.cycles[Settlement.WAITING]
        else ""
    )
    return f"""<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width,initial-scale=1">
<meta http-equiv=refresh content=10><title>triton-bridge: {html.escape(snapshot.state)}</title><style>{_STYLE}</style>
<h1>{html.escape(snapshot.state)}</h1>
<p>{html.escape(snapshot.advice)}</p>
{problems}{behind}
<p>Running since {utc(snapshot.started)}; newest accepted grid time: {_time(account.last_delivered)}.</p>
<h2>Account since {_time(account.origin)}</h2>
<table><tr><th scope=row>points read</th><td class=number>{account.read:,}</td></tr>{points}</table>
<table><tr><th scope=row>cycles due</th><td class=number>{account.due:,}</td></tr>{cycles}</table>
<h2>Newest cycles</h2>
<div class=scroll><table><tr><th>T</th><th>outcome</th><th class=number>read</th><th class=number>accepted</th>
<th class=number>ms</th><th>what to know</th></tr>{newest}</table></div>
<h2>Newest rejections</h2>
<div class=scroll><table><tr><th>T</th><th>metric</th><th>dimensions</th><th>what the service said</th></tr>{rejected}</table></div>
<p><a href=status.json>status.json</a> · <a href=metrics>metrics</a></p>
"""


def _rows(counts: Iterable[tuple[str, int]]) -> str:
    return "".join(f"<tr><th scope=row>{name}</th><td class=number>{count:,}</td></tr>" for name, count in counts)


def _time(moment: float | None) -> str:
    return "none yet" if moment is None else utc(moment)
