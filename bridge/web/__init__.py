"""Takes a board of snapshots and the own metrics, gives them over HTTP. GET only, no secrets, no work while nobody looks.

pages      a path → a reply: page, JSON, metrics, probes
document   a snapshot → plain JSON types
probes     a snapshot → whether it lives, whether it is ready, and why
page       a snapshot → HTML, with page.css, page.js and icon.svg beside it
tables     a snapshot → the tables of the page
charts     stretches of time, values → SVG
writing    moments, spans, numbers → text
markup     texts → HTML, escaped
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry

from bridge.errors import ConfigurationError, Finding
from bridge.status import Board
from bridge.web.document import as_json
from bridge.web.pages import Pages, Reply

__all__ = ["Web", "as_json"]

log = logging.getLogger(__name__)

# Nothing but the page's own files: no inline script or style, no frame around it, nothing to send anywhere.
_POLICY = "; ".join(
    (
        *("default-src 'none'", "style-src 'self'", "script-src 'self'", "connect-src 'self'", "img-src 'self'"),
        *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    )
)


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
    ) -> None:
        pages = Pages(board, registry)

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


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds for a client to send its request
    reply: Callable[[str, str], Reply]

    def do_GET(self) -> None:
        status, kind, body = self.reply(self.path.partition("?")[0], self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class names it so
        """Probes come every few seconds; they are not worth a line."""
