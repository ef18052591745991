"""Takes connections on a port, gives each request to the endpoint and its reply back, with the faults of the script."""

from __future__ import annotations

import contextlib
import http.server
import logging
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from bridge.sandbox import views, wire
from bridge.sandbox.endpoint import TRACK_PATHS, Endpoint, Request
from bridge.sandbox.refusals import Refused
from bridge.sandbox.replies import Reply, to_whole
from bridge.sandbox.script import Dribble

_IDLE = 120.0  # seconds until a silent connection is closed, HTTP.sys's default
_POLL = 0.02  # seconds until the accepting thread sees that it shall stop
_GRACE = 0.8  # seconds for the threads of open connections to end

logger = logging.getLogger(__name__)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """An endpoint on a port: one daemon thread to accept, one a connection. Raises OSError where it cannot listen.

    ``sleep`` waits out what the script delays; by default the wait ends when the server is stopped.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        endpoint: Endpoint,
        *,
        scriptable: bool,
        sleep: Callable[[float], object] | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.endpoint = endpoint
        self.scriptable = scriptable
        self._closing = threading.Event()
        self.sleep = sleep or self._closing.wait
        self._tls = tls
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, _Handler)
        self._acceptor = threading.Thread(target=self.serve_forever, args=(_POLL,), name="sandbox", daemon=True)

    def start(self) -> None:
        """Take connections from now on."""
        self._acceptor.start()

    def stop(self) -> None:
        """Take no more connections, and end those that are open, within a second."""
        self.shutdown()
        self._acceptor.join()
        self.server_close()
        with self._lock:
            threads = list(self._connections.values())
            for connection in self._connections:
                _shut(connection)
            self._closing.set()
        end = time.monotonic() + _GRACE
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Its handshake comes with the first read, in a thread of its own: it may take long."""
        connection, address = super().get_request()
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, known to stop() as long as it lives."""
        with self._lock:
            self._connections[request] = threading.current_thread()
            if self._closing.is_set():
                _shut(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._connections[request]

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Log what went wrong with a connection; a client that goes away or mistrusts us is its own affair."""
        if not isinstance(sys.exc_info()[1], OSError):
            logger.error("the sandbox failed on a request", exc_info=sys.exc_info())


def _shut(connection: socket.socket) -> None:
    # The plain method even under TLS: the thread that reads must come to an end, not to a socket without its TLS.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection: its requests, one after the other."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE
    _expects_go_ahead = False

    def _answer(self) -> None:
        path, query = wire.path_of(self.requestline)
        if self.command == "POST" and path in TRACK_PATHS:
            self._track(path)
            return
        body = self._body()
        if isinstance(body, Refused):
            self._send(to_whole(body))
        else:
            server = self.server
            self._send(views.answer(server.endpoint, self.command, path, query, body, scriptable=server.scriptable))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = _answer  # noqa: N815 (the base class's)

    def _track(self, path: str) -> None:
        scripted = self.server.endpoint.next_reply()
        if scripted.reset == "before":
            body: bytes | Refused = Refused(400, "reset before the body was read")
        elif wire.has_body(self.headers):
            body = self._body()
        else:
            body = Refused(411)
            self.close_connection = True  # what may follow is a body, not a request
        request = Request(
            path,
            body,
            self.headers.get("Content-Encoding", ""),
            self.headers.get("Content-Type"),
            self.headers.get("User-Agent"),
            self.headers.get("Authorization"),
        )
        reply = self.server.endpoint.track(request, scripted)
        if scripted.delay:
            self.server.sleep(scripted.delay)
        if scripted.silent:
            self.close_connection = True
        if scripted.reset:
            # Lingering for no time makes the close a TCP reset; it comes when the last of the connection's files is shut.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif scripted.hang is True:
            self.connection.settimeout(None)
            while self.connection.recv(65_536):
                pass
        elif scripted.hang is not False:
            self.server.sleep(scripted.hang)
        elif not scripted.lost:
            self._send(reply, scripted.dribble)

    def _body(self) -> bytes | Refused:
        proceed = self._go_ahead if self._expects_go_ahead else None
        self._expects_go_ahead = False
        try:
            return wire.read_body(self.rfile, self.headers, self.server.endpoint.limits.body, proceed)
        except Refused as refused:
            self.close_connection = True
            return refused

    def _go_ahead(self) -> None:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _send(self, reply: Reply, dribble: Dribble | None = None) -> None:
        chunked = self.request_version == "HTTP/1.1"
        self.close_connection = self.close_connection or not chunked
        head = wire.head(reply, self.server.endpoint.now(), chunked=chunked, close=self.close_connection)
        body = b"" if self.command == "HEAD" or reply.status in (204, 304) else reply.body
        frame = wire.chunk if chunked else bytes
        end = wire.chunk(b"") if chunked and body else b""
        if dribble is None:
            self.wfile.write(head + (frame(body) if body else b"") + end)
            return
        self.wfile.write(head)
        for byte in body[: dribble.most]:
            self.server.sleep(dribble.every)
            self.wfile.write(frame(bytes([byte])))
        if dribble.most is not None and dribble.most < len(body):
            self.close_connection = True
        else:
            self.wfile.write(end)

    def handle_expect_100(self) -> bool:
        """Ask for the body when it is read, not at once: it may be too long, or the script may not want it."""
        self._expects_go_ahead = True
        return True

    def send_error(self, code: int, message: str | None = None, _explain: str | None = None) -> None:
        """Answer what is no HTTP request, in the form of the other replies."""
        self.close_connection = True
        self._send(to_whole(Refused(int(code), message or "")))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's)
        """Log requests for those who debug the sandbox itself."""
        logger.debug(format, *args)
