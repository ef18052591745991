"""Takes a path, gives a reply: the page, the status as JSON, the own metrics, the probes."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bridge.status import Board
from bridge.web.document import as_json
from bridge.web.page import page
from bridge.web.probes import Probe, liveness, readiness

Reply = tuple[HTTPStatus, str, bytes]

_JSON = "application/json"
_PROBES = {"/livez": liveness, "/readyz": readiness}

_ASSETS = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}


class Pages:
    """What stands under each path."""

    def __init__(
        self,
        board: Board,
        registry: CollectorRegistry,
    ) -> None:
        self._board = board
        self._registry = registry

    def reply(self, path: str, accept: str = "") -> Reply:
        """The reply to a GET; ``accept`` is its header of that name, which makes JSON of a probe's text."""
        if path == "/":
            return HTTPStatus.OK, "text/html; charset=utf-8", page(self._board.snapshot()).encode()
        if path == "/status.json":
            document = as_json(self._board.snapshot())
            return HTTPStatus.OK, _JSON, orjson.dumps(document, option=orjson.OPT_INDENT_2)
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path in _PROBES:
            return _probe(_PROBES[path](self._board.snapshot()), accept)
        if path in _ASSETS:
            return HTTPStatus.OK, _ASSETS[path], files("bridge.web").joinpath(path[1:]).read_bytes()
        text = b"there are / /status.json /metrics /livez /readyz\n"
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text


def _probe(probe: Probe, accept: str) -> Reply:
    status = HTTPStatus.OK if probe.ok else HTTPStatus.SERVICE_UNAVAILABLE
    if _JSON in accept.lower():
        return status, _JSON, orjson.dumps(probe._asdict())
    return status, "text/plain; charset=utf-8", "".join(f"{reason}\n" for reason in probe.reasons).encode()
